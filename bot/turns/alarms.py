"""Rings in memory: one heap of deadlines and one timer, so that a process that set a deadline is punctual about it.

A ring is only a wake-up. The moment in the record decides, and the sweep rings what a dead process did not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from heapq import heappop, heappush

from bot.clock import Now
from bot.store.kinds import RecordName

Key = tuple[RecordName, str]


class Alarms:
    """`set` replaces the earlier alarm of the same key; `ring(key)` is called once the moment has come."""

    def __init__(self, now: Now, ring: Callable[[Key], None]) -> None:
        self._now = now
        self._ring = ring
        self._due: dict[Key, datetime] = {}
        self._heap: list[tuple[datetime, Key]] = []
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def set(self, key: Key, at: datetime | None) -> None:
        """Ring at this moment; None takes the alarm away."""
        if at is None:
            self._due.pop(key, None)
            return
        if self._due.get(key) == at:
            return
        self._due[key] = at
        heappush(self._heap, (at, key))
        if self._heap[0] == (at, key):
            self._arm()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due.clear()
        self._heap.clear()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            wait_s = max((self._heap[0][0] - self._now()).total_seconds(), 0.0)
            # A millisecond more than the clock's grain, so that the moment has really passed when it rings.
            self._timer = asyncio.get_running_loop().call_later(wait_s + 0.001, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        now = self._now()
        while self._heap and self._heap[0][0] <= now:
            at, key = heappop(self._heap)
            if self._due.get(key) == at:
                del self._due[key]
                self._ring(key)
        self._arm()
