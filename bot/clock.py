"""The database's time: each process keeps its clock's offset to the server's, so that a skewed one rings right."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from bot.store.driver import Database, PyMongoError

Now = Callable[[], datetime]

QUESTIONS = 5


def machine_now() -> datetime:
    """This machine's own time: for what is shown, and never for what is decided."""
    return datetime.now(UTC)


def to_milliseconds(moment: datetime) -> datetime:
    """The moment as MongoDB keeps it: anything below a millisecond cut off."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class Clock(Protocol):
    """By what a process tells the time. It is handed in before anything is built, for each part keeps its `now`."""

    def now(self) -> datetime: ...

    async def measure(self) -> None:
        """Set it right once."""

    async def follow(self) -> None:
        """Keep it right, until cancelled."""


class DatabaseClock:
    """`now()` is the server's time as far as it is known; `follow` keeps the offset fresh and never fails."""

    def __init__(self, database: Database, *, every_s: float = 30.0) -> None:
        self._database = database
        self._every_s = every_s
        self._offset = timedelta(0)

    def now(self) -> datetime:
        return to_milliseconds(datetime.now(UTC) + self._offset)

    async def measure(self) -> None:
        """Ask the server for its time, a few times: the shortest journey tells it best.

        The first question may have to connect, and on a busy machine any of them may wait: that is half a journey of
        error.
        """
        answers = [await self._ask() for _ in range(QUESTIONS)]
        _, self._offset = min(answers)

    async def _ask(self) -> tuple[timedelta, timedelta]:
        """How long the journey took, and the offset if the answer belongs to its middle."""
        asked_at = time.monotonic()
        started = datetime.now(UTC)
        answer = await self._database.client.admin.command("hello")
        journey = timedelta(seconds=time.monotonic() - asked_at)
        server_time: datetime = answer["localTime"]
        if server_time.tzinfo is None:
            server_time = server_time.replace(tzinfo=UTC)
        return journey, server_time - (started + journey / 2)

    async def follow(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.measure()
            except (PyMongoError, OSError):
                continue  # the last offset still stands; the outage itself is seen and said elsewhere
