"""The desk: what other systems tell us of bookings becomes turns, and what became of each notification can be asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import Field

from bot.booking_news import BookingNews, Understood, understand
from bot.clock import Now
from bot.errors import Outage, Refusal
from bot.incoming import OUR_BOOKING, Occurrence, event_of, record_id
from bot.outboxes import Outboxes
from bot.payloads import Payload
from bot.settings import Settings
from bot.store.api_keys import ApiKey
from bot.store.notifications import Notifications, Reason, Room, Row, Status
from bot.store.records import Records
from bot.turns import Integrator, Turns
from bot.views import moment, moment_or_none
from conversations import booking as ours
from conversations.external_booking import ExternalBooking
from conversations.notices import Notify
from conversations.replies import N_, REFUSALS

PREFIX = "/api/v1/booking-notifications"
WAITING: tuple[Status, ...] = ("pending", "sending")
DEAD: tuple[Status, ...] = ("dead",)
# Whoever tries a dead letter again has looked at it; whether its visit still stands is asked again when it is sent.
RETRIED_IS_USEFUL = timedelta(hours=1)
# What a booking of ours must be for what is told of it to be true already: our own turns have notified everybody.
_STANDS_AS: Mapping[str, tuple[ours.Status, ...]] = {
    "booking-confirmed": (ours.Status.ACTIVE,),
    "scheduled": (ours.Status.ACTIVE,),
    "booking-cancelled": (ours.Status.CANCELLED, ours.Status.EXPIRED),
}


class PageQuery(Payload):
    """Which part of a list, whose values come as text."""

    limit: Annotated[int, Field(ge=1, le=100)] = 50
    offset: Annotated[int, Field(ge=0, le=100_000)] = 0


@dataclass(frozen=True, slots=True)
class Desk:
    """For whoever has a key, and for the operator's command line."""

    settings: Settings
    turns: Turns
    outboxes: Outboxes
    bookings: Records[ours.Booking]
    external_bookings: Records[ExternalBooking]
    notifications: Notifications
    now: Now

    async def tell(self, occurrence: Occurrence, news: BookingNews, key: ApiKey) -> dict[str, Any]:
        """Take the news in, and answer with what people are told of it, and what not and why."""
        understood = understand(news, self.settings)
        _check_sense(occurrence, news, understood, self.now())
        if OUR_BOOKING.fullmatch(news.booking_id):
            booking = await self._tell_ours(occurrence, news, understood, key)
            return await self._planned("booking", booking.id, booking.revision, news, ())
        booking_id = record_id(key.name, news.booking_id)
        event = event_of(occurrence, news, understood)
        outcome = await self.turns.take("external_booking", booking_id, event, by=Integrator(key.id))
        faults = [
            {"channel": each.channel, "field": each.field, "reason": each.reason} for each in understood.unreachable
        ]
        return await self._planned("external_booking", booking_id, outcome.record.revision, news, faults)

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
        outcome = await self.turns.take("booking", news.booking_id, event, by=Integrator(key.id))
        booking: ours.Booking = outcome.record
        return booking

    async def _planned(
        self, room: Room, booking_id: str, revision: int, news: BookingNews, unreachable: Sequence[Any]
    ) -> dict[str, Any]:
        """What stands in the ledger of this booking as it is now. Raises `Outage` where that is not written yet."""
        await self.outboxes.settled(room, booking_id, self.settings.command_timeout_s)
        stored = await self.turns.records_of(room).load(booking_id)
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

    async def show(self, notification_id: str) -> dict[str, Any]:
        row = await self.notifications.get(notification_id)
        if row is None:
            raise Refusal("not_found", REFUSALS["not_found"])
        return notification_view(row)

    async def page(self, statuses: Sequence[Status], limit: int, offset: int) -> dict[str, Any]:
        rows = await self.notifications.page(statuses, limit, offset)
        return {
            "notifications": [notification_view(row) for row in rows],
            "total": await self.notifications.count(statuses),
            "limit": limit,
            "offset": offset,
            "server_time": moment(self.now()),
        }

    async def retry(self, notification_id: str) -> dict[str, Any]:
        """A dead letter goes out again; nothing else needs to be told to."""
        now = self.now()
        is_revived = await self.notifications.revive(notification_id, now, now + RETRIED_IS_USEFUL)
        return await self._changed(notification_id, is_revived, N_("Only a dead notification can be tried again."))

    async def discard(self, notification_id: str) -> dict[str, Any]:
        is_discarded = await self.notifications.discard(notification_id, self.now())
        return await self._changed(notification_id, is_discarded, N_("This notification is not waiting any more."))

    async def _changed(self, notification_id: str, is_changed: bool, why_not: str) -> dict[str, Any]:
        view = await self.show(notification_id)
        if not is_changed:
            raise Refusal("not_now", why_not)
        return view


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


def notification_view(row: Row) -> dict[str, Any]:
    """A row of the ledger, without a word of whom it goes to."""
    return {
        "id": row.id,
        "booking_id": row.booking_id,
        "revision": row.revision,
        "kind": row.kind,
        "side": row.side,
        "channel": row.channel,
        "urgency": row.urgency,
        "status": row.status,
        "due_at": moment(row.due_at),
        "next_at": moment_or_none(row.next_at),
        "sent_at": moment_or_none(row.sent_at),
        "attempts": row.attempts,
        "reason": row.reasons[-1].what if row.reasons else None,
        "reasons": [_reason_view(reason) for reason in row.reasons],
        "provider_status": row.provider_status,
        "instead_of": row.instead_of,
    }


def _reason_view(reason: Reason) -> dict[str, Any]:
    return {"at": moment(reason.at), "what": reason.what, "code": reason.code}
