"""Hands out what is due in the ledger: pages are told at once, and workers get a job for what is due in a queue.

A few rows are one job; of many, each part of the queue has one. A job drains its part, so that a thousand rows at one
moment cost a few jobs and not a thousand forks. Mongo is the truth: a job that is lost, or run twice, changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

import structlog

from bot.clock import Now
from bot.errors import Outage
from bot.messaging.jobs import Jobs
from bot.notifications.announcements import Announcements
from bot.rounds import keep_doing
from bot.store.driver import PyMongoError
from bot.store.heartbeats import Heartbeats
from bot.store.notifications import Notifications, Queue, Row

log = structlog.get_logger()

SHOWN_AT_ONCE = 200
# More than these, and it is worth it that several workers have a part each.
A_FEW = 100
# A worker that was killed keeps the name of its job for a minute and a half: others get a new one much sooner.
NAME_LIVES_S = 5
# The workers are looked for every quarter of a minute.
BEAT_EVERY_S = 15


class Dispatch:
    """Runs in the sweep's process, in any number of them."""

    def __init__(
        self,
        ledger: Notifications,
        announcements: Announcements,
        jobs: Jobs,
        heartbeats: Heartbeats,
        now: Now,
        *,
        every_s: float,
    ) -> None:
        self._heartbeats = heartbeats
        self._ledger = ledger
        self._announcements = announcements
        self._jobs = jobs
        self._now = now
        self._every_s = every_s

    async def run(self) -> None:
        await keep_doing("dispatch", self.once, self._every_s)

    async def once(self) -> None:
        now = self._now()
        rows = await self._ledger.due_in_app(now, SHOWN_AT_ONCE)
        await asyncio.gather(*(self._show(row) for row in rows))
        for queue, part in _jobs_for(await self._ledger.parts_due(now)):
            which = "all" if part is None else part
            name = f"deliver:{queue}:{which}:{int(now.timestamp()) // NAME_LIVES_S}"
            await self._jobs.enqueue(queue, "workers.jobs.deliver", name, queue, part)
        await self._show_life(now)

    async def _show_life(self, now: datetime) -> None:
        """That somebody hands out, and by a job whether somebody takes it: neither is seen from the other."""
        await self._heartbeats.beat("dispatch", now)
        name = f"beat:{int(now.timestamp()) // BEAT_EVERY_S}"
        await self._jobs.enqueue("default", "workers.jobs.beat", name)

    async def _show(self, row: Row) -> None:
        """What goes wrong with one does not keep the others from being shown."""
        try:
            await self._announcements.show_due(row)
        except (PyMongoError, Outage, OSError):
            raise
        except Exception:
            log.exception("a notice could not be shown", id=row.id, kind=row.kind)


def _jobs_for(due: Mapping[tuple[Queue, int], int]) -> list[tuple[Queue, int | None]]:
    """The parts that get a job, None for all of a queue in which but a few rows are due."""
    totals: Counter[Queue] = Counter()
    for (queue, _), count in due.items():
        totals[queue] += count
    few: list[tuple[Queue, int | None]] = [(queue, None) for queue, total in totals.items() if total <= A_FEW]
    return few + [each for each in due if totals[each[0]] > A_FEW]
