"""What people are shown: effects that become entries of feeds."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from bot.feeds.feed import NewEntry
from bot.identity import conversation_feed, therapist_feed
from bot.schemas.views import raw_booking
from bot.store.codec import to_document
from bot.store.records import Records
from bot.turns.cause import Cause
from conversations import effects as do
from conversations.booking import Booking
from matching import effects as find


@dataclass(frozen=True, slots=True)
class Showing:
    """Each method gives the feed and the entry of one effect; the effect's id is the entry's."""

    bookings: Records[Booking]

    async def line(self, effect: do.Say, cause: Cause) -> tuple[str, NewEntry]:
        data = {"key": effect.key, "params": effect.params}
        return conversation_feed(cause.record_id), _entry(cause, "system", data)

    async def card(self, effect: do.ShowCard, cause: Cause) -> tuple[str, NewEntry]:
        return conversation_feed(cause.record_id), _entry(cause, "card", card_data(effect))

    async def state(self, effect: do.ShowState, cause: Cause) -> tuple[str, NewEntry]:
        booking = await self._booking_now(effect.booking_id) if effect.booking_id else None
        return conversation_feed(cause.record_id), _entry(cause, "state", state_data(effect, booking))

    async def therapist_booking(self, effect: do.ShowTherapistBooking, cause: Cause) -> tuple[str, NewEntry]:
        booking = await self._booking_now(effect.booking_id)
        if booking["therapist"] is None or booking["therapist"]["id"] != effect.therapist_id:
            # For this therapist it is over, and nothing is earned: the booking goes on with somebody else.
            nothing = {"amount": 0, "currency": booking["price"]["currency"]}
            booking |= {"status": "cancelled", "earnings": nothing, "commission": nothing}
        return therapist_feed(effect.therapist_id), _entry(cause, "booking", {"booking": booking})

    async def notification(self, effect: do.NotifyTherapist, cause: Cause) -> tuple[str, NewEntry]:
        data = {"kind": effect.kind, "params": effect.params, "sound": None, "urgency": "high"}
        return therapist_feed(effect.therapist_id), _entry(cause, "notification", data)

    async def offer(self, effect: find.SendOffer, cause: Cause) -> tuple[str, NewEntry]:
        booking = await self._booking_now(effect.booking_id)
        data = offer_data(booking, effect.offer_id, effect.distance_km, effect.respond_by, effect.attempt)
        return therapist_feed(effect.therapist_id), _entry(cause, "offer", data)

    async def offer_closed(self, effect: find.CloseOffer, cause: Cause) -> tuple[str, NewEntry]:
        data = {"offer_id": effect.offer_id, "why": effect.why}
        return therapist_feed(effect.therapist_id), _entry(cause, "offer_closed", data)

    async def offer_waiting(self, effect: find.WaitForGuest, cause: Cause) -> tuple[str, NewEntry]:
        data = {"offer_id": effect.offer_id, "until": effect.until}
        return therapist_feed(effect.therapist_id), _entry(cause, "offer_waiting", data)

    async def _booking_now(self, booking_id: str) -> dict[str, Any]:
        stored = await self.bookings.load(booking_id)
        assert stored is not None, "a booking is opened before it is shown"
        return raw_booking(stored.record)


def _entry(cause: Cause, kind: str, data: dict[str, Any]) -> NewEntry:
    return NewEntry(id=cause.effect_id, type=kind, data=data)


def card_data(effect: do.ShowCard) -> dict[str, Any]:
    """A card as it stands on a feed; words and buttons' labels are keys until somebody reads it."""
    buttons = [to_document(button) for button in effect.buttons]
    return {"card": effect.card, "revision": effect.revision, "buttons": buttons, **effect.data}


def offer_data(
    booking: dict[str, Any], offer_id: str, distance_km: float, respond_by: datetime, attempt: int
) -> dict[str, Any]:
    """An offer as it stands on a feed: what a therapist must know to say yes or no, and no phone number yet."""
    return {
        "offer_id": offer_id,
        "booking": {
            "service": booking["service"],
            "duration": booking["duration"],
            "address": (booking["location"] or {}).get("address"),
        },
        "guest": {"name": booking["name"]},
        "distance_km": round(distance_km, 2),
        "respond_by": respond_by,
        "earnings": booking["earnings"],
        "attempt": attempt,
    }


def state_data(effect: do.ShowState, booking: dict[str, Any] | None) -> dict[str, Any]:
    """A state line as it stands on a feed."""
    data = asdict(effect)
    data["buttons"] = [to_document(button) for button in effect.buttons]
    return {**data, "booking": booking}
