"""The visit that every example tells of, made by the views that make what is really sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from bot.contract.entries import GuestEntry, TherapistEntry
from bot.errors import Refusal
from bot.identity import Audience, conversation_feed, therapist_feed
from bot.schemas.notice_words import app_offer_data, notice_data
from bot.schemas.render import render_entry, state_view
from bot.schemas.views import booking_view, error_view, moment, offer_view, raw_booking, service_view, therapist_view
from bot.turns.showing import card_data, offer_data, state_data
from bot.words import Words
from conversations import replies
from conversations.booking import Booking, Status
from conversations.conversation import Conversation, State, card_on_screen, state_on_screen
from conversations.money.amounts import Money
from conversations.notices import BookingFacts, Person
from conversations.values import Contact, Countdown, Draft, Location, Price, Service, Therapist, Visit

CONVERSATION_ID = "c_01j9zq3v7k5m2n8p4r6t0w1x2y"
BOOKING_ID = "b_4c1f7a2e9d3b6058"
OFFER_ID = "o_9b8d2f4a6c1e3075"
THERAPIST_ID = "t_2f6b8c0d4e1a3957"
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjXzAxajkifQ.an-example-opens-nothing"
EPOCH = "f3a91c"
FCM_TOKEN = "dT0kenOfAnExample:APA91bF-which_reaches-nobody"
SUBSCRIPTION: dict[str, Any] = {
    "endpoint": "https://fcm.googleapis.com/fcm/send/an-example-that-reaches-nobody",
    "expirationTime": None,
    "keys": {
        "p256dh": "BDa7FiSFaCGN3kuVNK_1WuCiyFuUd7YaRv8p_Ha_Nf2PXmJsWa2sKqWTZUzsj34MlLrb142pm1UcGG4V8EpcXdY",
        "auth": "q4T9bXwZr1mK7uYc0nVd2A",
    },
}

NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
SARI = Therapist(THERAPIST_ID, "Sari Dewi", "/photos/01.svg", 4.9, 132, "female", ("Balinese",), ("English",))
MASSAGE = Service(
    "balinese",
    {"en": "Balinese massage", "id": "Pijat Bali"},
    {"en": "Long, calm strokes and gentle stretches.", "id": "Gerakan panjang, tenang, dan peregangan lembut."},
    tuple(Price(minutes, Money(minutes * 400_000, "IDR")) for minutes in (60, 90, 120)),
)
PLACE = Location("Jl. Sultan Agung 7, Jakarta Selatan", -6.2088, 106.8456)
GUEST = Contact("Budi Santoso", "+6281234567890")
VISIT = Visit(
    "balinese",
    MASSAGE.names,
    90,
    Money(36_000_000, "IDR"),
    PLACE,
    GUEST,
    notes="Blok B, lantai 3",
)
BOOKED = Booking(
    BOOKING_ID,
    state=Status.ACTIVE,
    conversation_id=CONVERSATION_ID,
    visit=VISIT,
    therapist=SARI,
    created_at=NOW - timedelta(minutes=2),
    arrives_by=NOW + timedelta(hours=1),
    commission_basis_points=3000,
)
SEARCHED = replace(BOOKED, state=Status.SEARCHING, therapist=None, arrives_by=None)
APPOINTED_GUEST = Person(f"guest:{CONVERSATION_ID}", GUEST.name, "en", "Asia/Jakarta", GUEST.phone)
AT_WORK = Person(f"therapist:{THERAPIST_ID}", SARI.name, "id", "Asia/Jakarta")
BOOKING_FACTS = BookingFacts(
    booking_id=BOOKING_ID,
    reference="JNJ-4C1F",
    revision=0,
    status="confirmed",
    starts_at=NOW + timedelta(hours=3),
    duration=VISIT.duration,
    customer=APPOINTED_GUEST,
    therapist=AT_WORK,
    service_names=MASSAGE.names,
    brand="Janji",
    price=VISIT.price,
    address=PLACE.address,
    conversation_revision=4,
)
# The conversation in the states whose screens differ, with the revision that each has when nothing went wrong.
CONFIRMING = Conversation(
    CONVERSATION_ID,
    state=State.CONFIRMING,
    revision=1,
    expires_at=NOW + timedelta(minutes=30),
    draft=Draft(MASSAGE, "menu"),
)
SEARCHING = replace(
    CONFIRMING,
    state=State.SEARCHING,
    revision=2,
    booking_id=BOOKING_ID,
    countdown=Countdown(1, 5, NOW + timedelta(seconds=60)),
)
CHOOSING = replace(
    SEARCHING,
    state=State.CHOOSING,
    revision=3,
    countdown=None,
    offer_id=OFFER_ID,
    therapist=SARI,
    distance_km=2.3,
    expires_at=NOW + timedelta(minutes=2),
)
ACTIVE = replace(CHOOSING, state=State.ACTIVE, revision=4)
COMPLETED = replace(ACTIVE, state=State.COMPLETED, revision=5)
NO_THERAPIST = replace(SEARCHING, state=State.NO_THERAPIST, revision=3, countdown=None)


SIGNALS: Mapping[Audience, Mapping[str, dict[str, Any]]] = {
    "guest": {
        "typing": {"by": "therapist", "on": True},
        "delivered": {"by": "therapist", "seq": 12},
        "presence": {"therapist": "online"},
    },
    "therapist": {
        "typing": {"booking_id": BOOKING_ID, "by": "guest", "on": True},
        "delivered": {"booking_id": BOOKING_ID, "by": "guest", "seq": 12},
        "presence": {"booking_id": BOOKING_ID, "guest": "away"},
    },
}


@dataclass(frozen=True, slots=True)
class Line:
    """An entry of one of the story's feeds."""

    feed: str
    seq: int
    id: str
    at: datetime
    type: str
    data: Mapping[str, Any]


def _in_chat(seq: int, kind: str, data: Mapping[str, Any]) -> Line:
    return Line(conversation_feed(CONVERSATION_ID), seq, f"e_{seq:016x}", NOW + timedelta(seconds=seq), kind, data)


def _to_therapist(seq: int, kind: str, data: Mapping[str, Any]) -> Line:
    return Line(therapist_feed(THERAPIST_ID), seq, f"e_a{seq:015x}", NOW + timedelta(seconds=seq), kind, data)


def _card(conversation: Conversation) -> dict[str, Any]:
    card = card_on_screen(conversation)
    assert card is not None, "these states have a card"
    return card_data(card)


class Story:
    """What the two people of the story are sent, in English, by name."""

    def __init__(self, words: Words) -> None:
        self._words = words

    @cached_property
    def entries_of_guest(self) -> Mapping[str, dict[str, Any]]:
        lines = {
            "message": _in_chat(12, "message", {"from": "guest", "text": "Lantai 3, ya.", "client_id": "m-1"}),
            "read": _in_chat(13, "read", {"by": "therapist", "seq": 12}),
            "system": _in_chat(11, "system", {"key": "booking_confirmed", "params": {}}),
            "card_service": _in_chat(3, "card", _card(CONFIRMING)),
            "card_therapist": _in_chat(9, "card", _card(CHOOSING)),
            "card_no_therapist": _in_chat(9, "card", _card(NO_THERAPIST)),
            "card_app_download": _in_chat(15, "card", app_offer_data(BOOKING_FACTS)),
            "card_rating": _in_chat(16, "card", _card(COMPLETED)),
            "card_problem": _in_chat(5, "card", {"card": "problem", "revision": 2, "code": "unavailable"}),
            "state_searching": _in_chat(5, "state", self._standing(SEARCHING, SEARCHED)),
            "state_active": _in_chat(10, "state", self._standing(ACTIVE, BOOKED)),
            "notification_to_guest": _in_chat(
                14,
                "notification",
                notice_data("reminder_3h", "customer", BOOKING_FACTS, APPOINTED_GUEST, "normal", "app-download", NOW),
            ),
        }
        return {name: self._shown(line, "guest") for name, line in lines.items()}

    @cached_property
    def entries_of_therapist(self) -> Mapping[str, dict[str, Any]]:
        lines = {
            "message": _in_chat(12, "message", {"from": "guest", "text": "Lantai 3, ya.", "client_id": "m-1"}),
            "system": _in_chat(11, "system", {"key": "booking_confirmed", "params": {}}),
            "card_problem": _in_chat(13, "card", {"card": "problem", "revision": 4, "code": "unavailable"}),
            "state_room": _in_chat(10, "state", self._standing(ACTIVE, BOOKED)),
            "state_available": _to_therapist(1, "state", {"available": True}),
            "offer": _to_therapist(2, "offer", self._raw_offer),
            "offer_waiting": _to_therapist(
                3, "offer_waiting", {"offer_id": OFFER_ID, "until": self._raw_offer["respond_by"]}
            ),
            "offer_closed": _to_therapist(4, "offer_closed", {"offer_id": OFFER_ID, "why": "accepted"}),
            "booking": _to_therapist(5, "booking", {"booking": raw_booking(BOOKED)}),
            "notification": _to_therapist(
                6,
                "notification",
                notice_data("new_booking", "therapist", BOOKING_FACTS, AT_WORK, "urgent", "urgent-booking", NOW),
            ),
        }
        return {name: self._shown(line, "therapist") for name, line in lines.items()}

    @cached_property
    def session_of_guest(self) -> dict[str, Any]:
        return {
            "token": TOKEN,
            "conversation_id": CONVERSATION_ID,
            "feed": conversation_feed(CONVERSATION_ID),
            "epoch": EPOCH,
            "locale": "en",
            **state_view(self._words, self._standing(ACTIVE, BOOKED), "en", "guest"),
            **self._live,
            "typing": {"by": "therapist", "on": False},
            "presence": {"therapist": "online"},
            "entries": [self.entries_of_guest[name] for name in ("state_active", "system", "message")],
            "last_seq": 12,
            "resync": False,
            "server_time": moment(NOW),
        }

    @cached_property
    def session_of_therapist(self) -> dict[str, Any]:
        return {
            "therapist": {"id": THERAPIST_ID, "name": SARI.name, "photo": SARI.photo, "rating": SARI.rating},
            "available": True,
            "offers": [offer_view(self._words, self._raw_offer, "en")],
            "bookings": [
                {
                    **booking_view(self._words, raw_booking(BOOKED), "en", "therapist"),
                    **self._live,
                    "unread": 1,
                    "typing": {"by": "guest", "on": False},
                    "presence": {"guest": "away"},
                }
            ],
            "feeds": {therapist_feed(THERAPIST_ID): 5, conversation_feed(CONVERSATION_ID): 12},
            "entries": [self.entries_of_therapist["message"]],
            "epoch": EPOCH,
            "resync": False,
            "locale": "en",
            "server_time": moment(NOW),
        }

    @cached_property
    def menu(self) -> dict[str, Any]:
        return {"services": [service_view(self._words, MASSAGE, "en")], "server_time": moment(NOW)}

    @cached_property
    def therapists(self) -> dict[str, Any]:
        shown = {
            **therapist_view(self._words, SARI, "en"),
            "available": True,
            "distance_km": 2.3,
            "distance_text": self._words.distance("en", 2.3),
            "durations": [60, 90, 120],
        }
        return {"therapists": [shown], "server_time": moment(NOW)}

    def page(self, audience: Audience) -> dict[str, Any]:
        """The answer of a long poll."""
        entries = self.entries_of_guest if audience == "guest" else self.entries_of_therapist
        return {
            "entries": [entries["message"]],
            "last_seq": 12,
            "signals": [{"signal": name, "data": data} for name, data in SIGNALS[audience].items()],
            "signals_cursor": f"{BOOKING_ID}.online.1.12",
            "epoch": EPOCH,
            "resync": False,
            "over": False,
            "server_time": moment(NOW),
        }

    def error(self, code: str, fields: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The error object of a code."""
        retry_after_s = 2.0 if code in ("unavailable", "too_many_requests") else None
        refusal = Refusal(code, replies.REFUSALS[code], fields=fields, retry_after_s=retry_after_s)
        return error_view(self._words, refusal, "en")

    @property
    def _live(self) -> dict[str, Any]:
        """The message of the guest has reached the therapist and was not read yet."""
        receipts = {"guest": {"delivered": 11, "read": 0}, "therapist": {"delivered": 12, "read": 0}}
        return {"receipts": receipts, "unread": 0}

    @property
    def _raw_offer(self) -> dict[str, Any]:
        return offer_data(raw_booking(SEARCHED), OFFER_ID, 2.3, NOW + timedelta(seconds=60), 1)

    def _standing(self, conversation: Conversation, booking: Booking) -> dict[str, Any]:
        return state_data(state_on_screen(conversation), raw_booking(booking))

    def _shown(self, line: Line, audience: Audience) -> dict[str, Any]:
        return render_entry(self._words, line, "en", audience)


EntryTypes = Mapping[Audience, Any]
ENTRY_TYPES: EntryTypes = {"guest": GuestEntry, "therapist": TherapistEntry}
