"""A notice says the same truth in a feed whoever reads it, and whenever."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.schemas.notice_words import notice_data, notice_params, notice_text
from bot.schemas.render import render_entry
from bot.words import LOCALES, Words
from conversations import notices
from conversations.money.amounts import Money
from conversations.notice_texts import TEXTS, text_of
from conversations.notices import BookingFacts, Person, Side
from conversations.values import Locale
from tests.bot.schemas.test_render import Line, stored

NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
BUDI = Person("guest:c_1", "Budi", "id", "Asia/Jakarta", "+6281234567890", "budi@example.com")
AYU = Person("therapist:t_ayu", "Ayu", "en", "Asia/Makassar", "+6281234567891")
BOOKING_FACTS = BookingFacts(
    booking_id="b_1",
    reference="JNJ-7",
    revision=0,
    status="confirmed",
    starts_at=NOW + timedelta(hours=5),
    duration=60,
    customer=BUDI,
    therapist=AYU,
    service_names={"en": "Balinese massage", "id": "Pijat Bali"},
    brand="Janji",
    price=Money(25_000_000, "IDR"),
    address="Jalan Kemang 1",
)
CASES = list(TEXTS)


@pytest.fixture(scope="module")
def loaded() -> Words:
    return Words()


@pytest.fixture
def words(loaded: Words) -> Words:
    """Words that have reported nothing yet."""
    loaded.gaps.clear()
    return loaded


def said(
    words: Words, kind: str, side: Side, locale: Locale, of: BookingFacts = BOOKING_FACTS, at: datetime = NOW
) -> str:
    reader = of.person(side)
    assert reader is not None
    text = notice_text(words, kind, side, notice_params(side, of, reader, at), locale)
    assert text is not None
    return "|".join(text)


def shown(words: Words, data: dict[str, Any], locale: Locale, audience: Any) -> dict[str, Any]:
    rendered: dict[str, Any] = render_entry(words, Line("notification", stored(data)), locale, audience)["data"]
    return rendered


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize(("kind", "side"), CASES)
def test_every_kind_has_a_title_and_a_body_that_lack_nothing(
    words: Words, kind: str, side: Side, locale: Locale
) -> None:
    title, _, body = said(words, kind, side, locale).partition("|")

    assert title
    assert body.endswith((".", "!"))
    assert "{" not in title + body
    assert "…" not in body
    assert not words.gaps


def test_every_kind_that_is_ever_planned_has_its_words() -> None:
    rungs = [
        (rung.kind, side)
        for side, ladder in (
            ("customer", notices.DEFAULT_LADDER.customer),
            ("therapist", notices.DEFAULT_LADDER.therapist),
        )
        for rung in ladder
    ]
    for kind, side in [*notices.MANNERS, *rungs]:
        assert text_of(kind, side), (kind, side)  # type: ignore[arg-type]  # the sides of the loop above are literals


@pytest.mark.parametrize(("kind", "side"), CASES)
def test_the_body_does_without_what_is_not_known(words: Words, kind: str, side: Side) -> None:
    alone = replace(BOOKING_FACTS, price=None, service_names={}, **{_other(side): None})
    body = said(words, kind, side, "en", alone).partition("|")[2]

    assert "…" not in body
    assert "None" not in body
    assert not words.gaps


def _other(side: Side) -> str:
    return "therapist" if side == "customer" else "customer"


@pytest.mark.parametrize(
    ("said_at", "english", "indonesian"),
    [
        (NOW, "today at 15:00 WIB", "hari ini pukul 15.00 WIB"),
        (NOW - timedelta(hours=10), "today at 15:00 WIB", "hari ini pukul 15.00 WIB"),
        (NOW - timedelta(hours=11), "tomorrow at 15:00 WIB", "besok pukul 15.00 WIB"),
        (
            NOW - timedelta(days=2),
            "Tuesday, 1 December 2026, 15:00 WIB",
            "Selasa, 1 Desember 2026, pukul 15.00 WIB",
        ),
    ],
)
def test_a_reminder_says_when_by_the_clock_so_that_a_late_one_is_still_true(
    words: Words, said_at: datetime, english: str, indonesian: str
) -> None:
    kind = "reminder_24h"

    assert english in said(words, kind, "customer", "en", at=said_at)
    assert indonesian in said(words, kind, "customer", "id", at=said_at)


def test_each_reads_the_hour_of_their_own_clock(words: Words) -> None:
    assert said(words, "reminder_1h", "customer", "en").endswith("Balinese massage with Ayu, today at 15:00 WIB.")
    assert said(words, "reminder_1h", "therapist", "en").endswith("Balinese massage for Budi, today at 16:00 WITA.")


def test_an_entry_keeps_values_and_is_put_into_words_when_it_is_read(words: Words) -> None:
    data = notice_data("payment_confirmed", "customer", BOOKING_FACTS, BUDI, "low", "booking-success", NOW)

    assert shown(words, data, "id", "guest") == {
        "kind": "payment_confirmed",
        "title": "Pembayaran diterima",
        "body": "Kami telah menerima Rp250.000 untuk pesanan JNJ-7. Terima kasih!",
        "sound": "booking-success",
        "urgency": "low",
    }
    assert shown(words, data, "en", "guest")["title"] == "Payment received"


def test_what_is_meant_for_the_guest_makes_no_sound_at_the_therapists(words: Words) -> None:
    data = notice_data("reminder_3h", "customer", BOOKING_FACTS, BUDI, "normal", "app-download", NOW)
    guests, therapists = (shown(words, data, "en", audience) for audience in ("guest", "therapist"))

    assert (guests["sound"], guests["urgency"]) == ("app-download", "normal")
    assert (therapists["sound"], therapists["urgency"]) == (None, "low")
    assert therapists["body"] == guests["body"]


def test_a_kind_that_both_vocabularies_know_is_said_by_the_one_that_wrote_it(words: Words) -> None:
    old = {"kind": "booking_cancelled", "params": {"guest": "Budi"}, "sound": None, "urgency": "high"}
    new = notice_data("booking_cancelled", "therapist", BOOKING_FACTS, AYU, "high", "therapist-alert", NOW)

    assert shown(words, old, "en", "therapist")["body"] == "The booking with Budi was cancelled."
    assert shown(words, new, "en", "therapist")["body"].startswith("Balinese massage for Budi, today")


def test_a_long_name_leaves_room_for_the_hour(words: Words) -> None:
    verbose = replace(BOOKING_FACTS, therapist=replace(AYU, name="Ayu " * 100))
    body = said(words, "reminder_1h", "customer", "en", verbose)

    assert len(body) < 200
    assert "today at 15:00 WIB" in body


def test_a_notice_that_lacks_everything_does_not_stop_a_reader(words: Words) -> None:
    for kind, side in CASES:
        assert shown(words, {"kind": kind, "side": side}, "id", "guest")["title"]
    assert not words.gaps
    assert shown(words, {"kind": "no_kind", "side": "customer"}, "id", "guest")["title"] == "no_kind"
