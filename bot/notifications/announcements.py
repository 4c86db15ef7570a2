"""From an occasion to the ledger: writes what a booking deserves, and shows at once what belongs on people's pages.

It is performed as an effect of the booking's turn, at least once: the rows have ids made of what they are for, and an
entry on a feed takes its id from its row.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import get_args

import structlog

from bot.clock import Now
from bot.feeds.feed import NewEntry
from bot.feeds.feeds import Feeds
from bot.identity import Audience, key_of, own_feed
from bot.notifications.facts import FactsOfBookings
from bot.schemas.notice_words import app_offer_data, notice_data
from bot.store.catalogue import Catalogue
from bot.store.devices import Devices
from bot.store.notifications import BookingKind, Notifications, Reason, Row
from bot.store.webhooks import Event, EventType, Webhooks
from conversations import notices
from conversations.ids import derived_id
from conversations.notices import MANNERS, BookingFacts, Ladder, Notice, Notify, Occasion
from matching.effects import SendOffer

log = structlog.get_logger()

# What other systems are told of it.
EVENTS: Mapping[Occasion, EventType] = {
    "confirmed": "booking.confirmed",
    "moved": "booking.moved",
    "cancelled": "booking.cancelled",
    "completed": "booking.completed",
    "payment_confirmed": "payment.confirmed",
    "payment_failed": "payment.failed",
}


def feed_of(person_id: str) -> str | None:
    """The feed that somebody's pages read; None for who is known to another system alone."""
    audience, _, subject = person_id.partition(":")
    return own_feed(audience, subject) if audience in get_args(Audience) else None  # type: ignore[arg-type]


class Announcements:
    """`await announcements(room, booking_id, notify)`."""

    def __init__(
        self,
        facts_of_bookings: FactsOfBookings,
        ledger: Notifications,
        catalogue: Catalogue,
        devices: Devices,
        webhooks: Webhooks,
        feeds: Feeds,
        now: Now,
        ladder: Ladder,
    ) -> None:
        self._facts_of_bookings = facts_of_bookings
        self._ledger = ledger
        self._catalogue = catalogue
        self._devices = devices
        self._webhooks = webhooks
        self._feeds = feeds
        self._now = now
        self._ladder = ladder

    async def __call__(self, room: BookingKind, booking_id: str, notify: Notify) -> None:
        booking_facts = await self._facts_of_bookings.find(room, booking_id)
        if booking_facts is None:
            return
        if notify.revision < booking_facts.revision and notify.occasion not in notices.OF_MONEY:
            return  # it has been agreed on anew, and that is announced by its own effect
        now = self._now()
        await self._skip(booking_facts, notify, now)
        planned = notices.plan(notify.occasion, booking_facts, await self._ladder_of(booking_facts), now)
        ids = await self._ledger.write(room, booking_id, notify.revision, planned, now, occasion=notify.about)
        await self._show_now(ids, planned, booking_facts, now)
        await self._tell_integrators(booking_facts, notify, now)

    async def _tell_integrators(self, booking_facts: BookingFacts, notify: Notify, now: datetime) -> None:
        kind = EVENTS.get(notify.occasion)
        if kind is None:
            return
        event_id = derived_id("ev", booking_facts.booking_id, notify.revision, notify.occasion, notify.about)
        data = {"booking_id": booking_facts.booking_id, "revision": notify.revision}
        await self._webhooks.publish(Event(event_id, kind, now, data), now)

    async def announce_offers(self, offers: Sequence[SendOffer]) -> None:
        """Those whose page is closed are told as well, where they have a device; an offer is open for a minute."""
        people = {key_of("therapist", offer.therapist_id): offer for offer in offers}
        now, manner = self._now(), MANNERS[notices.NEW_OFFER, "therapist"]
        for person_id in await self._devices.with_any(list(people)):
            offer = people[person_id]
            planned = [
                Notice(
                    kind=notices.NEW_OFFER,
                    side="therapist",
                    person_id=person_id,
                    channel=channel,
                    due_at=now,
                    useful_until=offer.respond_by,
                    urgency=manner.urgency,
                    sound=manner.sound,
                )
                for channel in manner.channels
            ]
            await self._ledger.write("booking", offer.booking_id, 0, planned, now, occasion=offer.offer_id)

    async def _ladder_of(self, booking_facts: BookingFacts) -> Ladder:
        """The one of the service, where its operator has given it one that can be read."""
        if booking_facts.service_id is None:
            return self._ladder
        try:
            return await self._catalogue.ladder_of(booking_facts.service_id) or self._ladder
        except ValueError as error:
            log.error("the reminders of a service cannot be read", service=booking_facts.service_id, why=str(error))
            return self._ladder

    async def _skip(self, booking_facts: BookingFacts, notify: Notify, now: datetime) -> None:
        """Reminders of what was agreed before, or of what does not take place, are not waited for."""
        booking_id = booking_facts.booking_id
        if notify.occasion in ("confirmed", "scheduled", "moved"):
            money = sorted(notices.OF_MONEY)
            await self._ledger.skip(booking_id, now, "moved", before_revision=booking_facts.revision, but=money)
        if notify.occasion == "cancelled":
            needed = [notices.BOOKING_CANCELLED, *sorted(notices.OF_MONEY)]
            await self._ledger.skip(booking_id, now, "cancelled", but=needed)

    async def _show_now(
        self, ids: Sequence[str], planned: Sequence[Notice], booking_facts: BookingFacts, now: datetime
    ) -> None:
        due = [
            row_id
            for row_id, notice in zip(ids, planned, strict=True)
            if notice.channel == "in_app" and notice.due_at <= now
        ]
        rows = [row for row in await self._ledger.load(due) if row.status == "pending"] if due else []
        await asyncio.gather(*(self.show(row, booking_facts) for row in rows))

    async def show_due(self, row: Row) -> None:
        """A row whose moment has come, if it still makes sense."""
        booking_facts, now = await self._facts_of_bookings.find(row.room, row.booking_id), self._now()
        if booking_facts is None:
            await self._ledger.settle(row, "skipped", now, Reason(now, "nobody"))
        elif why := notices.why_not(row.kind, row.revision, row.useful_until, booking_facts, now):
            await self._ledger.settle(row, "skipped", now, Reason(now, why))
        else:
            await self.show(row, booking_facts)

    async def show(self, row: Row, booking_facts: BookingFacts) -> None:
        """The notice on the person's own pages; again changes nothing."""
        feed, reader, now = feed_of(row.person_id), booking_facts.person(row.side), self._now()
        if feed is None or reader is None or reader.id != row.person_id:
            await self._ledger.settle(row, "skipped", now, Reason(now, "nobody"))
            return
        # An id that begins with the booking is found when its guest is forgotten.
        name = f"{row.booking_id}:{row.id}"
        data = notice_data(row.kind, row.side, booking_facts, reader, row.urgency, row.sound, now)
        entries = [NewEntry(name, "notification", data)]
        if notices.offers_app(row.side, row.sound):
            entries.append(NewEntry(f"{name}:app", "card", app_offer_data(booking_facts)))
        await self._feeds.append_many(feed, entries)
        await self._ledger.settle(row, "sent", now)
