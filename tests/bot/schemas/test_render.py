"""An entry says to each reader what they may know, in their language, whatever code wrote it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pytest

from bot.errors import STATUS_BY_CODE, Refusal
from bot.identity import Audience
from bot.schemas.render import LINES, SUBTITLES, render_entry
from bot.schemas.views import (
    THERAPIST_WORDS,
    booking_view,
    error_view,
    moment,
    problem_text,
    raw_booking,
    service_view,
    therapist_view,
)
from bot.store.driver import type_codec
from bot.turns.showing import card_data, offer_data, state_data
from bot.words import LOCALES, Words
from conversations import booking, replies
from conversations.conversation import Conversation, State, state_on_screen
from conversations.effects import ShowCard
from conversations.money.amounts import Money
from conversations.values import Contact, Countdown, Draft, Locale, Location, Price, Service, Therapist, Visit

NOW = datetime(2026, 12, 1, 3, 0, 0, 123456, tzinfo=UTC)
AT = "2026-12-01T03:00:00.123Z"
PRICE = Money(25_000_000, "IDR")
AUDIENCES: tuple[Audience, ...] = ("guest", "therapist")

AYU = Therapist("t_ayu", "Ayu", "/photos/ayu.svg", 4.9, 120, "female", ("Reflexology", "Four-handed"), ("English",))
SERVICE = Service(
    "balinese",
    {"en": "Balinese massage", "id": "Pijat Bali"},
    {"en": "Long strokes.", "id": "Usapan panjang."},
    (Price(60, PRICE), Price(90, Money(35_000_000, "IDR"))),
)
VISIT = Visit(
    service_id=SERVICE.id,
    service_names=SERVICE.names,
    duration=60,
    price=PRICE,
    location=Location("Jalan Kemang 1", -6.26, 106.81),
    contact=Contact("Budi", "+6281234567890"),
    notes="Ring twice",
)
SEARCHING = booking.decide(booking.Booking("b_1"), booking.BookingOpened("c_1", VISIT, 3000), NOW).record
PENDING = booking.decide(SEARCHING, booking.TherapistProposed(AYU), NOW).record
ACTIVE = booking.decide(PENDING, booking.TherapistBooked(AYU, "r_1", NOW + timedelta(hours=1)), NOW).record
COMPLETED = booking.decide(ACTIVE, booking.VisitCompleted(), NOW).record


@dataclass(frozen=True)
class Line:
    """What a feed keeps."""

    type: str
    data: dict[str, Any]
    feed: str = "conversation:c_1"
    seq: int = 7
    id: str = "e_1"
    at: datetime = field(default=NOW)


@pytest.fixture(scope="module")
def loaded() -> Words:
    return Words()


@pytest.fixture
def words(loaded: Words) -> Words:
    """Words that have reported nothing yet."""
    loaded.gaps.clear()
    return loaded


def stored(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document as the database gives it back."""
    read: dict[str, Any] = bson.decode(bson.encode(document), codec_options=type_codec)
    return read


def card(shown: ShowCard) -> Line:
    return Line("card", stored(card_data(shown)))


def state(conversation: Conversation, of: booking.Booking | None = None) -> Line:
    return Line("state", stored(state_data(state_on_screen(conversation), raw_booking(of) if of else None)))


def system(key: str, **params: Any) -> Line:
    return Line("system", stored({"key": key, "params": params}))


def data_of(words: Words, line: Line, locale: Locale = "en", audience: Audience = "guest") -> dict[str, Any]:
    rendered = render_entry(words, line, locale, audience)
    json.dumps(rendered)
    data: dict[str, Any] = rendered["data"]
    return data


# --- entries ----------------------------------------------------------------------------------------------------------


def test_an_entry_has_the_shape_of_the_contract(words: Words) -> None:
    message = {"from": "guest", "text": "Halo {name} %s", "client_id": "m1"}

    assert render_entry(words, Line("message", stored(message)), "id", "guest") == {
        "feed": "conversation:c_1",
        "seq": 7,
        "id": "e_1",
        "at": AT,
        "type": "message",
        "data": message,
    }


def test_a_line_is_said_to_each_side_in_its_language(words: Words) -> None:
    line = system("delayed", therapist="Ayu", minutes=10)

    assert data_of(words, line, "en", "guest") == {
        "key": "delayed",
        "text": "Ayu is delayed by about 10 minutes.",
        "params": {"therapist": "Ayu", "minutes": 10},
    }
    assert data_of(words, line, "id", "guest")["text"] == "Ayu akan terlambat sekitar 10 menit."
    to_therapist = "Anda memberi tahu tamu bahwa Anda terlambat sekitar 10 menit."
    assert data_of(words, line, "id", "therapist")["text"] == to_therapist


def test_what_has_no_line_for_the_therapist_is_said_as_to_the_guest(words: Words) -> None:
    line = system("visit_closed")

    assert data_of(words, line, "en", "therapist") == data_of(words, line, "en", "guest")


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("audience", AUDIENCES)
def test_every_line_card_state_and_notification_has_its_words(words: Words, locale: Locale, audience: Audience) -> None:
    people = {"therapist": "Ayu", "guest": "Budi", "address": "Kemang", "reason": "sick"}
    every = {**people, "attempt": 1, "max_attempts": 5, "minutes": 10}
    texts = [data_of(words, system(key, **every), locale, audience)["text"] for key in LINES[audience]]
    for key in replies.CARDS:
        buttons = [{"command": "x", "label": label, "style": "quiet"} for label in replies.LABELS]
        for arrival in replies.ARRIVALS:
            raw = {"card": key, "arrival": arrival, "therapist": {"name": "Ayu"}, "buttons": buttons}
            shown = data_of(words, Line("card", raw), locale)
            texts += [shown["title"], shown["text"], *(action["label"] for action in shown["actions"])]
    for key in SUBTITLES[audience]:
        texts.append(data_of(words, Line("state", {"state": key}), locale, audience)["header"]["subtitle"])
    for key in replies.NOTIFICATIONS:
        notification = data_of(words, Line("notification", {"kind": key, "params": every}), locale, audience)
        texts += [notification["title"], notification["body"]]

    assert all(texts)
    assert not [text for text in texts if "{" in text]
    assert not words.gaps


def test_every_state_of_a_conversation_has_a_subtitle() -> None:
    assert all(SUBTITLES[audience].keys() == {each.value for each in State} for audience in AUDIENCES)


# --- cards ------------------------------------------------------------------------------------------------------------


def test_the_service_card_is_ready_to_show(words: Words) -> None:
    shown = replies.service_card(Draft(SERVICE, "menu", AYU), 3, {"duration": 60, "name": "Budi"}, NOW)

    assert data_of(words, card(shown), "id") == {
        "card": "service",
        "revision": 3,
        "title": "Konfirmasi pijat Anda",
        "text": "Pilih durasinya, lalu beri tahu kami ke mana terapis harus datang.",
        "service": {"id": "balinese", "name": "Pijat Bali", "description": "Usapan panjang."},
        "therapist": {"id": "t_ayu", "name": "Ayu", "photo": "/photos/ayu.svg"},
        "durations": [
            {"minutes": 60, "price": {"amount": 25_000_000, "currency": "IDR"}, "price_text": "Rp250.000"},
            {"minutes": 90, "price": {"amount": 35_000_000, "currency": "IDR"}, "price_text": "Rp350.000"},
        ],
        "defaults": {"duration": 60, "name": "Budi"},
        "expires_at": AT,
        "actions": [
            {
                "command": "confirm_service",
                "label": "Konfirmasi & cari",
                "style": "primary",
                "payload": {"revision": 3},
            },
            {"command": "cancel", "label": "Batalkan", "style": "quiet", "payload": {}},
        ],
    }


def test_the_therapist_card_promises_an_arrival(words: Words) -> None:
    shown = data_of(words, card(replies.therapist_card(AYU, "o_1", 2.34, 4, NOW)))

    assert shown["text"] == "Can be with you within 20 minutes. Nobody sets off before you accept."
    assert (shown["arrival_text"], shown["distance_km"], shown["distance_text"]) == ("within 20 minutes", 2.3, "2.3 km")
    assert shown["therapist"] == {
        "id": "t_ayu",
        "name": "Ayu",
        "photo": "/photos/ayu.svg",
        "rating": 4.9,
        "rating_count": 120,
        "specialties": ["Reflexology", "Four-handed"],
        "languages": ["English"],
        "gender": "female",
    }
    assert (shown["offer_id"], shown["expires_at"]) == ("o_1", AT)
    accept = shown["actions"][0]
    assert accept["payload"] == {"revision": 4, "offer_id": "o_1"}


def test_the_rating_card_asks_about_the_therapist_and_thanks_for_the_stars(words: Words) -> None:
    asked = data_of(words, card(replies.rating_card(AYU, None, 6)))
    given = data_of(words, card(replies.rating_card(AYU, 4, 6)))

    assert asked == {
        "card": "rating",
        "revision": 6,
        "title": "How was your visit?",
        "text": "Your stars help other guests to choose, and Ayu to do well.",
        "therapist": {"id": "t_ayu", "name": "Ayu", "photo": "/photos/ayu.svg"},
        "stars": None,
        "actions": [{"command": "rate", "label": "Send rating", "style": "primary", "payload": {"revision": 6}}],
    }
    assert (given["title"], given["stars"]) == ("Thank you for your rating!", 4)


def test_a_problem_is_explained_on_its_card(words: Words) -> None:
    line = Line("card", {"card": "problem", "revision": 1, "code": "offer_taken", "message": "", "buttons": []})

    assert data_of(words, line, "id") == {
        "card": "problem",
        "revision": 1,
        "title": "Belum berhasil",
        "text": "Terapis lain telah menerima pesanan ini.",
        "code": "offer_taken",
        "actions": [],
    }


def test_a_therapist_gets_no_buttons_of_the_guest(words: Words) -> None:
    active = Conversation("c_1", state=State.ACTIVE, revision=5, therapist=AYU)
    lines = [card(replies.no_therapist_card(3)), state(active, ACTIVE)]

    assert all(data_of(words, line, "en", "guest")["actions"] for line in lines)
    assert not any(data_of(words, line, "en", "therapist")["actions"] for line in lines)


# --- states -----------------------------------------------------------------------------------------------------------


def test_a_search_shows_its_countdown(words: Words) -> None:
    searching = Conversation("c_1", state=State.SEARCHING, revision=2, countdown=Countdown(1, 5, NOW))

    assert data_of(words, state(searching, SEARCHING), "id") == {
        "state": "searching",
        "revision": 2,
        "header": {"title": "Janji", "subtitle": "Mencari terapis untuk Anda", "photo": None, "locked": False},
        "booking": booking_view(words, stored(raw_booking(SEARCHING)), "id", "guest"),
        "countdown": {"attempt": 1, "max_attempts": 5, "deadline_at": AT},
        "actions": [{"command": "cancel", "label": "Batalkan", "style": "quiet", "payload": {}}],
    }


def test_each_side_sees_the_other_in_the_header(words: Words) -> None:
    line = state(Conversation("c_1", state=State.ACTIVE, revision=5, therapist=AYU), ACTIVE)

    assert data_of(words, line, "en", "guest")["header"] == {
        "title": "Ayu",
        "subtitle": "Your therapist",
        "photo": "/photos/ayu.svg",
        "locked": True,
    }
    assert data_of(words, line, "en", "therapist")["header"] == {
        "title": "Budi",
        "subtitle": "Your guest",
        "photo": None,
        "locked": True,
    }


def test_the_countdown_of_a_search_is_the_guests_own(words: Words) -> None:
    searching = Conversation("c_1", state=State.SEARCHING, countdown=Countdown(1, 5, NOW))

    assert data_of(words, state(searching), "en", "therapist")["countdown"] is None


def test_the_state_of_a_therapist_is_whether_they_are_available(words: Words) -> None:
    line = Line("state", {"available": True}, feed="therapist:t_ayu")

    assert data_of(words, line, "en", "therapist") == {"available": True}


# --- bookings and offers ----------------------------------------------------------------------------------------------


def test_the_guest_sees_what_was_ordered_and_not_how_it_is_shared(words: Words) -> None:
    view = booking_view(words, stored(raw_booking(ACTIVE)), "id", "guest")

    assert view == {
        "id": "b_1",
        "status": "active",
        "service": {"id": "balinese", "name": "Pijat Bali"},
        "duration": 60,
        "price": {"amount": 25_000_000, "currency": "IDR"},
        "price_text": "Rp250.000",
        "location": {"address": "Jalan Kemang 1", "latitude": -6.26, "longitude": 106.81},
        "name": "Budi",
        "phone": "+6281234567890",
        "therapist": {"id": "t_ayu", "name": "Ayu", "photo": "/photos/ayu.svg", "rating": 4.9},
        "progress": None,
        "created_at": AT,
        "starts_at": None,
        "arrives_by": "2026-12-01T04:00:00.123Z",
    }


def test_the_therapist_sees_the_guest_the_notes_and_what_it_earns(words: Words) -> None:
    line = Line("booking", stored({"booking": raw_booking(ACTIVE)}), feed="therapist:t_ayu")
    guests_view = booking_view(words, stored(raw_booking(ACTIVE)), "en", "guest")

    assert data_of(words, line, "en", "therapist")["booking"] == {
        **guests_view,
        "guest": {"name": "Budi", "phone": "+6281234567890"},
        "notes": "Ring twice",
        "earnings": {"amount": 17_500_000, "currency": "IDR"},
        "earnings_text": "Rp175.000",
        "feed": "conversation:c_1",
    }


@pytest.mark.parametrize("audience", AUDIENCES)
def test_nobody_is_shown_the_commission_and_no_guest_the_earnings(words: Words, audience: Audience) -> None:
    lines = [
        state(Conversation("c_1", state=State.COMPLETED), COMPLETED),
        Line("booking", stored({"booking": raw_booking(COMPLETED)})),
    ]
    shown = json.dumps([data_of(words, line, "en", audience) for line in lines])

    assert "commission" not in shown
    assert ("earnings" in shown) is (audience == "therapist")
    assert "therapist_id" not in shown


def test_a_booking_says_what_it_will_earn_then_what_it_earned_and_nothing_without_a_visit() -> None:
    settled = replace(COMPLETED, earnings=Money(1, "IDR"), commission=Money(2, "IDR"))
    cancelled = booking.decide(ACTIVE, booking.BookingCancelled("guest"), NOW).record
    shares = [
        (raw_booking(each)["earnings"]["amount"], raw_booking(each)["commission"]["amount"])
        for each in (SEARCHING, COMPLETED, settled, cancelled)
    ]

    assert shares == [(17_500_000, 7_500_000), (17_500_000, 7_500_000), (1, 2), (0, 0)]


def test_an_offer_says_what_the_therapist_must_know_and_no_phone_number(words: Words) -> None:
    raw = offer_data(raw_booking(PENDING), "o_1", 2.34, NOW, 1)

    assert data_of(words, Line("offer", stored(raw)), "id", "therapist") == {
        "offer_id": "o_1",
        "booking": {"service_name": "Pijat Bali", "duration": 60, "address": "Jalan Kemang 1"},
        "guest": {"name": "Budi"},
        "distance_km": 2.3,
        "distance_text": "2,3 km",
        "respond_by": AT,
        "earnings": {"amount": 17_500_000, "currency": "IDR"},
        "earnings_text": "Rp175.000",
        "attempt": 1,
        "waiting_until": None,
    }
    closed = Line("offer_closed", {"offer_id": "o_1", "why": "taken"})
    assert data_of(words, closed, "id", "therapist") == {"offer_id": "o_1", "why": "taken"}


def test_a_notification_is_in_the_therapists_language(words: Words) -> None:
    params = {"guest": "Budi {address}"}
    line = Line("notification", {"kind": "booking_closed", "params": params, "sound": None, "urgency": "high"})

    assert data_of(words, line, "id", "therapist") == {
        "kind": "booking_closed",
        "title": "Pesanan ditutup",
        "body": "Kunjungan dengan Budi {address} telah ditutup.",
        "sound": None,
        "urgency": "high",
    }


# --- therapists, services, refusals -----------------------------------------------------------------------------------


def test_what_therapists_say_of_themselves_is_translated_where_it_can_be(words: Words) -> None:
    view = therapist_view(words, AYU, "id")

    assert view["specialties"] == ["Refleksi", "Four-handed"]
    assert view["languages"] == ["Bahasa Inggris"]
    assert view == therapist_view(words, stored(asdict(AYU)), "id")
    assert all(words.knows(word) for word in THERAPIST_WORDS)
    assert not words.gaps


def test_a_service_is_described_in_the_readers_language_or_the_one_there_is(words: Words) -> None:
    untranslated = replace(SERVICE, names={"en": "Balinese massage"}, descriptions={"de": "Lange Striche."})

    assert service_view(words, SERVICE, "en")["description"] == "Long strokes."
    view = service_view(words, untranslated, "id")
    assert (view["name"], view["description"]) == ("Balinese massage", "Lange Striche.")
    assert view["durations"][0]["price_text"] == "Rp250.000"


def test_a_refusal_is_explained_in_the_readers_language_down_to_its_fields(words: Words) -> None:
    reasons = {"phone": "is not a phone number", "": "no words for this"}
    refusal = Refusal("invalid", "Please check what you entered.", fields=reasons, retry_after_s=2.5)

    assert error_view(words, refusal, "id") == {
        "code": "invalid",
        "message": "Mohon periksa kembali isian Anda.",
        "fields": {"phone": "bukan nomor telepon", "": "no words for this"},
        "retry_after_s": 2.5,
    }


def test_a_message_without_a_translation_gives_way_to_what_its_code_says(words: Words) -> None:
    message = "Never seen before."

    assert problem_text(words, "en", "offer_taken", message) == message
    assert problem_text(words, "id", "offer_taken", message) == "Terapis lain telah menerima pesanan ini."
    assert problem_text(words, "id", "no_such_code", message) == message
    assert words.gaps == {("translation", message): 3}


@pytest.mark.parametrize("locale", LOCALES)
def test_every_code_explains_itself_when_it_comes_without_a_message(words: Words, locale: Locale) -> None:
    for code in STATUS_BY_CODE.keys() & replies.REFUSALS.keys():
        assert " " in problem_text(words, locale, code, "")
    assert not words.gaps


def test_moments_are_in_utc_with_milliseconds() -> None:
    jakarta = datetime.fromisoformat("2026-12-01T10:00:00+07:00")

    assert moment(jakarta) == "2026-12-01T03:00:00.000Z"


# --- old and unknown entries ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("audience", AUDIENCES)
def test_what_nobody_knows_is_shown_by_its_key_and_reported(words: Words, locale: Locale, audience: Audience) -> None:
    button = {"command": "x", "label": "no_label", "style": "quiet"}
    raw_card = {"card": "no_card", "revision": 1, "until": NOW, "list": [{"at": NOW}], "buttons": [button]}
    shown = data_of(words, Line("card", raw_card), locale, audience)

    assert (shown["title"], shown["until"], shown["list"]) == ("no_card", AT, [{"at": AT}])
    assert [action["label"] for action in shown["actions"]] == (["no_label"] if audience == "guest" else [])
    assert data_of(words, system("no_line"), locale, audience)["text"] == "no_line"
    assert data_of(words, Line("state", {"state": "no_state"}), locale, audience)["header"]["subtitle"] == "no_state"
    assert data_of(words, Line("notification", {"kind": "no_kind"}), locale, audience)["title"] == "no_kind"
    assert data_of(words, Line("no_type", {"at": NOW, "text": "x"}), locale, audience) == {"at": AT, "text": "x"}
    labels = {"no_label"} if audience == "guest" else set()
    assert {key for _, key in words.gaps} == {"no_card", "no_line", "no_state", "no_kind", "no_type", *labels}


@pytest.mark.parametrize("audience", AUDIENCES)
@pytest.mark.parametrize(
    "kind", ["message", "system", "card", "state", "notification", "booking", "offer", "offer_closed", "no_type"]
)
def test_an_entry_that_lacks_everything_does_not_stop_a_reader(words: Words, kind: str, audience: Audience) -> None:
    data_of(words, Line(kind, {}), "id", audience)


@pytest.mark.parametrize("name", list(replies.CARDS))
def test_a_card_that_lacks_everything_does_not_stop_a_reader(words: Words, name: str) -> None:
    assert data_of(words, Line("card", {"card": name}))["title"]
