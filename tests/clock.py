"""Clocks that stand until a test moves them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class FakeClock:
    """`now()` is `at`."""

    at: datetime

    def now(self) -> datetime:
        return self.at


class ClockOfAHouse(FakeClock):
    """In place of the database's time, for everything in a web process."""

    async def measure(self) -> None:
        """It needs no measuring."""

    async def follow(self) -> None:
        await asyncio.Event().wait()
