"""A clock that stands until a test moves it, for everything in a process: it is handed in when services are built."""

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

    @property
    def offset_s(self) -> float:
        return 0.0

    async def measure(self) -> None:
        """It needs no measuring."""

    async def follow(self) -> None:
        await asyncio.Event().wait()
