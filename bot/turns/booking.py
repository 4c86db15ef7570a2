"""What makes a booking, ends it and tells of it: reservations, figures, tokens, erasure and announcements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from bot.access.admission import Access
from bot.clock import Now
from bot.identity import conversation_feed
from bot.messaging.jobs import Jobs
from bot.notifications.announcements import Announcements
from bot.store.kinds import BOOKING, CONVERSATION
from bot.store.reservations import Reservations
from bot.store.therapists import Therapists
from bot.turns.cause import Cause
from bot.turns.erasure import Erasure
from conversations import effects as do
from conversations import events as on
from conversations.notices import Notify
from matching.availability import visit_cells

# How long a therapist stays held while their time is being reserved: longer than any call may take.
RESERVING = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Booking:
    """Each method performs one effect of a conversation or of a booking; one that gives False is tried again later."""

    therapists: Therapists
    reservations: Reservations
    jobs: Jobs
    access: Access
    erasure: Erasure
    announcements: Announcements
    now: Now

    async def tell_booking(self, effect: do.TellBooking, cause: Cause) -> None:
        await cause.take(BOOKING, effect.booking_id, effect.event, by=cause.record)

    async def reserve_slot(self, effect: do.ReserveSlot, cause: Cause) -> None:
        """The commit point: one row, while the therapist is still held for this guest."""
        event: on.SlotReserved | on.SlotTaken = on.SlotTaken(effect.offer_id)
        if await self._reserve(effect):
            event = on.SlotReserved(effect.offer_id, effect.reservation_id)
        await cause.take(CONVERSATION, cause.record_id, event, by=cause.record)

    async def _reserve(self, effect: do.ReserveSlot) -> bool:
        if await self.reservations.exists(effect.reservation_id):
            return True
        until = self.now() + RESERVING
        if not await self.therapists.keep_hold(effect.therapist_id, effect.offer_id, until):
            return False
        reserved = await self.reservations.reserve(
            effect.reservation_id,
            therapist_id=effect.therapist_id,
            booking_id=effect.booking_id,
            cells=visit_cells(effect.starts_at, effect.ends_at, effect.buffer_minutes),
            starts_at=effect.starts_at,
            ends_at=effect.ends_at,
        )
        if reserved:
            await self.therapists.mark_busy(effect.therapist_id, effect.booking_id, effect.ends_at)
        return reserved

    async def release_slot(self, effect: do.ReleaseSlot, cause: Cause) -> None:
        released = await self.reservations.release(effect.reservation_id)
        if released is not None:
            await self.therapists.mark_free(released.therapist_id, released.booking_id)

    async def count_visit(self, effect: do.CountVisit, cause: Cause) -> bool:
        return await self.jobs.enqueue("default", "workers.jobs.count_visits", cause.effect_id, effect.therapist_id)

    async def end_tokens(self, effect: do.EndTokens, cause: Cause) -> None:
        await self.access.end("guest", cause.record_id)

    async def erase_guest(self, effect: do.EraseGuest, cause: Cause) -> None:
        await self.erasure(cause.take, cause.record_id, conversation_feed(cause.record_id))

    async def notify(self, effect: Notify, cause: Cause) -> None:
        assert cause.record in ("booking", "external_booking"), "only bookings have something to announce"
        await self.announcements(cause.record, cause.record_id, effect)
