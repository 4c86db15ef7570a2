"""Takes in what other systems say of bookings: it becomes turns, and they hear what people are told and what not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.clock import Now
from bot.errors import Outage, Refusal
from bot.integrations.booking_news import BookingNews, Understood, understand
from bot.integrations.delivery_desk import notification_view
from bot.integrations.incoming import OUR_BOOKING, Occurrence, event_of, record_id
from bot.schemas.views import moment
from bot.settings.settings import Settings
from bot.store.api_keys import ApiKey
from bot.store.kinds import BOOKING, EXTERNAL_BOOKING, R, RecordKind
from bot.store.notifications import Notifications
from bot.store.records import Records
from bot.turns.outboxes import Outboxes
from bot.turns.turns import Integrator, Turns
from conversations import booking as ours
from conversations.notices import Notify
from conversations.replies import N_, REFUSALS

# What a booking of ours must be for what is told of it to be true already: our own turns have notified everybody.
_STANDS_AS: Mapping[str, tuple[ours.Status, ...]] = {
    "booking-confirmed": (ours.Status.ACTIVE,),
    "scheduled": (ours.Status.ACTIVE,),
    "booking-cancelled": (ours.Status.CANCELLED, ours.Status.EXPIRED),
}


@dataclass(frozen=True, slots=True)
class BookingIntake:
    """`await tell(…)`, for whoever has a key that may."""

    settings: Settings
    turns: Turns
    outboxes: Outboxes
    bookings: Records[ours.Booking]
    notifications: Notifications
    now: Now

    async def tell(self, occurrence: Occurrence, news: BookingNews, key: ApiKey) -> dict[str, Any]:
        """Take the news in, and answer with what people are told of it, and what not and why."""
        understood = understand(news, self.settings)
        _check_sense(occurrence, news, understood, self.now())
        if OUR_BOOKING.fullmatch(news.booking_id):
            booking = await self._tell_ours(occurrence, news, understood, key)
            return await self._planned(BOOKING, booking.id, booking.revision, news, ())
        booking_id = record_id(key.name, news.booking_id)
        event = event_of(occurrence, news, understood)
        outcome = await self.turns.take(EXTERNAL_BOOKING, booking_id, event, by=Integrator(key.id))
        faults = [
            {"channel": each.channel, "field": each.field, "reason": each.reason} for each in understood.unreachable
        ]
        return await self._planned(EXTERNAL_BOOKING, booking_id, outcome.record.revision, news, faults)

    async def _tell_ours(
        self, occurrence: Occurrence, news: BookingNews, understood: Understood, key: ApiKey
    ) -> ours.Booking:
        """Of our own bookings only a payment can be news: of all else our own turns have told everybody."""
        stored = await self.bookings.load(news.booking_id)
        if stored is None:
            raise Refusal("not_found", REFUSALS["not_found"])
        if occurrence in _STANDS_AS:
            if stored.record.state not in _STANDS_AS[occurrence]:
                raise Refusal("not_now", N_("This booking of ours does not stand like that."))
            return stored.record
        if news.payment_intent is None:
            raise Refusal("invalid", REFUSALS["invalid"], fields={"payment_intent": N_("is required")})
        event: ours.Event = ours.PaymentFailed(news.payment_intent)
        if occurrence == "payment-confirmed":
            visit = stored.record.visit
            amount = understood.details.price or (visit.price if visit else None)
            assert amount is not None, "a booking is opened with a price"
            event = ours.PaymentConfirmed(news.payment_intent, amount)
        outcome = await self.turns.take(BOOKING, news.booking_id, event, by=Integrator(key.id))
        return outcome.record

    async def _planned(
        self,
        kind: RecordKind[R, Any],
        booking_id: str,
        revision: int,
        news: BookingNews,
        unreachable: Sequence[Mapping[str, str]],
    ) -> dict[str, Any]:
        """What stands in the ledger of this booking as it is now. Raises `Outage` where that is not written yet."""
        await self.outboxes.settled(kind.name, booking_id, self.settings.command_timeout_s)
        stored = await self.turns.records_of(kind).load(booking_id)
        if stored is not None and any(isinstance(item.effect, Notify) for item in stored.outbox):
            raise Outage(f"what is told of {booking_id} is not written yet")
        rows = [row for row in await self.notifications.of_booking(booking_id) if row.revision == revision]
        return {
            "ok": True,
            "booking_id": news.booking_id,
            "id": booking_id,
            "revision": revision,
            "notifications": [notification_view(row) for row in rows],
            "unreachable": list(unreachable),
            "server_time": moment(self.now()),
        }


def _check_sense(occurrence: Occurrence, news: BookingNews, understood: Understood, now: datetime) -> None:
    """Nobody is told of an appointment that is over, or that it stands when it does not."""
    if occurrence not in ("booking-confirmed", "scheduled"):
        return
    fields = {}
    if understood.details.ends_at <= now:
        fields["appointment_date"] = N_("has passed")
    if news.booking_status in ("cancelled", "completed", "no_show"):
        fields["booking_status"] = N_("does not go with this request")
    if fields:
        raise Refusal("invalid", REFUSALS["invalid"], fields=fields)
