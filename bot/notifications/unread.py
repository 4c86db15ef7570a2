"""Messages that wait: who has had one for two minutes, has not read it and is not there, is told of it elsewhere.

A message itself costs nothing for this: the visits that are on are looked through every few seconds. Until somebody
reads, they are told once, however many messages follow.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog

from bot.clock import Now
from bot.identity import Audience, conversation_feed, for_audience, key_of, other_side
from bot.live.signals import LiveVisit, Signals
from bot.rounds import keep_doing
from bot.store.notifications import Notifications
from bot.store.read_marks import ReadMarks
from bot.store.records import Records
from conversations.booking import Booking
from conversations.notices import MANNERS, MESSAGE_WAITING, USEFUL, Notice, Side

log = structlog.get_logger()

AT_ONCE = 100
SIDES: dict[Audience, Side] = {"guest": "customer", "therapist": "therapist"}


class Unread:
    """`after` is how long a message waits, `every_s` how often it is looked for."""

    def __init__(
        self,
        bookings: Records[Booking],
        marks: ReadMarks,
        ledger: Notifications,
        signals: Signals,
        now: Now,
        *,
        after: timedelta,
        every_s: float,
    ) -> None:
        self._bookings = bookings
        self._marks = marks
        self._ledger = ledger
        self._signals = signals
        self._now = now
        self._after = after
        self._every_s = every_s

    async def run(self) -> None:
        await keep_doing("messages that wait", self.once, self._every_s)

    async def once(self) -> None:
        before: datetime | None = None
        while visits := await self._active(before):
            await self._look(visits)
            before = visits[-1].created_at

    async def _active(self, before: datetime | None) -> list[Booking]:
        older = {} if before is None else {"created_at": {"$lt": before}}
        return await self._bookings.find({"state": "active", **older}, limit=AT_ONCE)

    async def _look(self, visits: Iterable[Booking]) -> None:
        by_feed = {conversation_feed(visit.conversation_id): visit for visit in visits}
        until = self._now() - self._after
        newest = await self._marks.last_messages(list(by_feed), until - USEFUL[MESSAGE_WAITING], until)
        for (feed, sender), seq in newest.items():
            await self._tell(by_feed[feed], other_side(sender), feed, seq)

    async def _tell(self, booking: Booking, reader: Audience, feed: str, seq: int) -> None:
        read = await self._marks.last(feed, reader)
        if read >= seq or booking.therapist is None or await self._is_there(booking, reader):
            return
        manner, now = MANNERS[MESSAGE_WAITING, SIDES[reader]], self._now()
        person = key_of(reader, for_audience(reader, guest=booking.conversation_id, therapist=booking.therapist.id))
        notices = [
            Notice(
                kind=MESSAGE_WAITING,
                side=SIDES[reader],
                person_id=person,
                channel=channel,
                due_at=now,
                useful_until=now + USEFUL[MESSAGE_WAITING],
                urgency=manner.urgency,
                sound=manner.sound,
            )
            for channel in manner.channels
        ]
        occasion = f"after {read}"
        await self._ledger.write("booking", booking.id, booking.revision, notices, now, occasion=occasion, seq=seq)

    async def _is_there(self, booking: Booking, reader: Audience) -> bool:
        assert booking.therapist is not None, "looked at before"
        visit = LiveVisit(booking.conversation_id, booking.id, booking.therapist.id)
        return (await self._signals.sight(visit, other_side(reader))).presence == "online"
