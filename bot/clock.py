"""The database's time: each process goes by it, so that one whose machine has another time rings right."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

import structlog

from bot.store.driver import Database, PyMongoError

Now = Callable[[], datetime]

QUESTIONS = 5
BOOTTIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)
# From here on people would see it: log lines, tokens and what other programs of the machine say are off.
ALARMING_S = 5.0

log = structlog.get_logger()


def machine_now() -> datetime:
    """This machine's own time: for what is shown, and never for what is decided."""
    return datetime.now(UTC)


def _running_s() -> float:
    """Seconds of a clock that nobody sets; where the system has one, it goes on while the machine sleeps."""
    return time.clock_gettime(BOOTTIME) if BOOTTIME is not None else time.monotonic()


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

    @property
    def offset_s(self) -> float: ...


class DatabaseClock:
    """`now()` is the server's time as far as it is known; `follow` asks for it again and again, and never fails.

    In between it goes by what only ever runs forward: a machine whose clock is set an hour ahead expires nobody's form.
    """

    def __init__(self, database: Database, *, every_s: float = 30.0) -> None:
        self._database = database
        self._every_s = every_s
        self._is_wrong = False
        self._set_to(datetime.now(UTC), _running_s())

    def now(self) -> datetime:
        return to_milliseconds(self._set_at + timedelta(seconds=_running_s() - self._running_s))

    def _set_to(self, moment: datetime, running_s: float) -> None:
        self._set_at, self._running_s = moment, running_s

    @property
    def offset_s(self) -> float:
        """How far the server's time is ahead of what this machine says."""
        return (self.now() - datetime.now(UTC)).total_seconds()

    async def measure(self) -> None:
        """Ask the server for its time, a few times: the shortest journey tells it best.

        The first question may have to connect, and on a busy machine any of them may wait: that is half a journey of
        error.
        """
        answers = [await self._ask() for _ in range(QUESTIONS)]
        _, running_s, moment = min(answers)
        self._set_to(moment, running_s)
        was_wrong, self._is_wrong = self._is_wrong, abs(self.offset_s) > ALARMING_S
        if self._is_wrong and not was_wrong:
            log.error("this machine's clock is wrong; the database's counts", seconds=round(self.offset_s, 1))

    async def _ask(self) -> tuple[float, float, datetime]:
        """How long the journey took, and the server's time in the middle of it."""
        asked_at = _running_s()
        answer = await self._database.client.admin.command("hello")
        journey_s = _running_s() - asked_at
        server_time: datetime = answer["localTime"]
        if server_time.tzinfo is None:
            server_time = server_time.replace(tzinfo=UTC)
        return journey_s, asked_at + journey_s / 2, server_time

    async def follow(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.measure()
            except (PyMongoError, OSError):
                continue  # the last answer still stands; the outage itself is seen and said elsewhere
