"""What makes everything come true in the end: every second, what is overdue is rung and what was left is performed.

Every process does it, without a leader or a lock: the version in the record lets one win, and the others find nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot.clock import Now
from bot.errors import Outage
from bot.logs.failures import why
from bot.store.driver import PyMongoError
from bot.turns.backoff import Backoff
from bot.turns.outboxes import Outboxes
from bot.turns.turns import Kind, Room, Turns
from conversations import events as on_conversation
from conversations import external_booking as on_external_booking
from matching import events as on_search

log = structlog.get_logger()

RINGS: Mapping[Room, Any] = {
    "conversation": on_conversation.DeadlinePassed(),
    "search": on_search.DeadlinePassed(),
    "external_booking": on_external_booking.DeadlinePassed(),
}
# Younger effects are most likely being performed right now by the process that saved them.
LEFT_BEHIND = timedelta(seconds=2)


class Sweep:
    """Rings overdue records and hands out unperformed effects. `laps` counts finished rounds."""

    def __init__(
        self, kinds: Mapping[Room, Kind], turns: Turns, outboxes: Outboxes, now: Now, *, every_s: float = 1.0
    ) -> None:
        self._kinds = kinds
        self._turns = turns
        self._outboxes = outboxes
        self._now = now
        self._every_s = every_s
        self._backoff: Backoff[tuple[Room, str]] = Backoff()
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
        for room, kind in self._kinds.items():
            if room in RINGS:
                resting = [record_id for each, record_id in self._backoff.resting() if each == room]
                for record_id in await kind.records.overdue(self._now(), but=resting):
                    await self.ring(room, record_id)
            left_behind = self._now() - LEFT_BEHIND
            for record_id in await kind.records.unperformed(left_behind, but=self._outboxes.resting(room)):
                await self._hand_out(room, record_id)

    async def ring(self, room: Room, record_id: str) -> None:
        """One ring; what goes wrong with one record does not keep the others from being rung."""
        try:
            await self._turns.take(room, record_id, RINGS[room], by="clock")
            self._backoff.succeeded((room, record_id))
        except (PyMongoError, Outage, OSError) as error:
            log.warning("a ring waits for the sweep", room=room, id=record_id, why=why(error))
        except Exception:
            self.failures += 1
            self._backoff.failed((room, record_id))
            log.exception("a ring failed", room=room, id=record_id)

    async def _hand_out(self, room: Room, record_id: str) -> None:
        try:
            stored = await self._kinds[room].records.load(record_id)
        except (PyMongoError, OSError):
            raise
        except Exception:
            # Its document makes no sense to this version of the program; the others wait for nothing.
            self._outboxes.fail(room, record_id)
            log.exception("a record cannot be read", room=room, id=record_id)
            return
        if stored is not None:
            self._outboxes.put_again(room, record_id, stored.outbox)
