"""What makes everything come true in the end: every second, what is overdue is rung and what was left is performed.

Every process does it, without a leader or a lock: the version in the record lets one win, and the others find nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot.clock import Now
from bot.errors import Outage
from bot.logs.failures import why
from bot.store.driver import PyMongoError
from bot.store.kinds import RecordName
from bot.store.records import Records, Unreadable
from bot.turns.backoff import Backoff
from bot.turns.outboxes import Outboxes
from bot.turns.turns import Turns

log = structlog.get_logger()

# With growing pauses that is half a minute.
PARKED_AFTER = 5
# Younger effects are most likely being performed right now by the process that saved them.
LEFT_BEHIND = timedelta(seconds=2)


class Sweep:
    """Rings overdue records and hands out unperformed effects. `laps` counts finished rounds."""

    def __init__(
        self,
        records: Mapping[RecordName, Records[Any]],
        turns: Turns,
        outboxes: Outboxes,
        now: Now,
        *,
        every_s: float = 1.0,
    ) -> None:
        self._records = records
        self._turns = turns
        self._outboxes = outboxes
        self._now = now
        self._every_s = every_s
        self._backoff: Backoff[tuple[RecordName, str]] = Backoff()
        self._unreadable: Counter[tuple[RecordName, str]] = Counter()
        self.laps = 0
        self.failures = 0
        self.away_since: datetime | None = None
        """Since when no round could be finished for want of the database."""

    async def run(self) -> None:
        """For ever; an outage ends a round and never the sweep."""
        while True:
            begun_at = self._now()
            try:
                await self.once()
                self.laps += 1
                self.away_since = None
            except (PyMongoError, Outage, OSError) as error:
                self.away_since = self.away_since or begun_at
                log.warning("the sweep waits", why=why(error))
            except Exception:
                log.exception("the sweep failed")
            # Processes that were started together drift apart, so that they do not all ask at once.
            await asyncio.sleep(self._every_s * random.uniform(0.75, 1.25))

    async def once(self) -> None:
        for name, records in self._records.items():
            if records.kind.ring is not None:
                resting = [record_id for each, record_id in self._backoff.resting() if each == name]
                for record_id in await records.overdue(self._now(), but=resting):
                    await self.ring(name, record_id)
            left_behind = self._now() - LEFT_BEHIND
            for record_id in await records.unperformed(left_behind, but=self._outboxes.resting(name)):
                await self._hand_out(name, record_id)

    async def ring(self, name: RecordName, record_id: str) -> None:
        """One ring; what goes wrong with one record does not keep the others from being rung."""
        kind = self._records[name].kind
        if kind.ring is None:
            return
        try:
            await self._turns.take(kind, record_id, kind.ring, by="clock")
            self._backoff.succeeded((name, record_id))
        except (PyMongoError, Outage, OSError) as error:
            log.warning("a ring waits for the sweep", room=name, id=record_id, why=why(error))
        except Unreadable as error:
            self.failures += 1
            self._backoff.failed((name, record_id))
            await self._bear(name, record_id, error)
        except Exception:
            self.failures += 1
            self._backoff.failed((name, record_id))
            log.exception("a ring failed", room=name, id=record_id)

    async def _bear(self, name: RecordName, record_id: str, error: Unreadable) -> None:
        """A few tries, since a newer process may know better; then it is parked, where an operator finds it."""
        tries = self._unreadable[name, record_id] = self._unreadable[name, record_id] + 1
        if tries < PARKED_AFTER:
            log.warning("a record cannot be read", room=name, id=record_id, why=why(error.__cause__ or error))
            return
        del self._unreadable[name, record_id]
        if await self._records[name].park(record_id, why(error.__cause__ or error), self._now()):
            log.error("a record is parked, since it cannot be read", room=name, id=record_id)

    async def _hand_out(self, name: RecordName, record_id: str) -> None:
        try:
            stored = await self._records[name].load(record_id)
        except Unreadable as error:
            # Its document makes no sense to this version of the program; the others wait for nothing.
            self._outboxes.fail(name, record_id)
            await self._bear(name, record_id, error)
            return
        if stored is not None:
            self._outboxes.put_again(name, record_id, stored.outbox, self._turns.take)
