"""Every process tells the database's time, however wrong its own clock is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.clock import QUESTIONS, DatabaseClock, to_milliseconds
from bot.runtime.embedded import Servers
from bot.store import driver
from tests.clients import PATIENCE_S

# Far more than any question takes, far less than the skews below.
NEARLY = timedelta(seconds=30)


class Elsewhere:
    """A server whose clock is wrong; `answer` is what it says to each `hello`, or raises."""

    def __init__(self, answer: Callable[[], datetime]) -> None:
        self.client = self.admin = self
        self.answer = answer

    async def command(self, name: str) -> dict[str, Any]:
        assert name == "hello"
        return {"localTime": self.answer()}


def skewed(by: timedelta) -> Callable[[], datetime]:
    return lambda: datetime.now(UTC) + by


def is_about(moment: datetime, expected: datetime) -> bool:
    return abs(moment - expected) < NEARLY


@pytest.mark.parametrize("by", [timedelta(hours=-3), timedelta(0), timedelta(days=400)])
async def test_the_time_is_the_one_of_the_server(by: timedelta) -> None:
    clock = DatabaseClock(Elsewhere(skewed(by)))
    assert is_about(clock.now(), datetime.now(UTC)), "before the first answer it is this machine's"
    await clock.measure()
    assert is_about(clock.now(), datetime.now(UTC) + by)


async def test_a_server_that_does_not_say_its_zone_means_utc() -> None:
    clock = DatabaseClock(Elsewhere(lambda: (datetime.now(UTC) + timedelta(days=1)).replace(tzinfo=None)))
    await clock.measure()
    assert is_about(clock.now(), datetime.now(UTC) + timedelta(days=1))


async def test_the_answer_of_the_shortest_journey_is_believed() -> None:
    """On a busy machine the countdowns of one process ended before their time, by the clock of another one."""
    hurried = iter([False, True, *[False] * QUESTIONS])

    class Busy(Elsewhere):
        async def command(self, name: str) -> dict[str, Any]:
            if not next(hurried):
                await asyncio.sleep(0.05)
                return {"localTime": datetime.now(UTC) + timedelta(days=5)}
            return await super().command(name)

    clock = DatabaseClock(Busy(skewed(timedelta(days=1))))
    await clock.measure()
    assert is_about(clock.now(), datetime.now(UTC) + timedelta(days=1))


@pytest.mark.parametrize("name", ["motor", "pymongo"])
async def test_a_real_server_answers_on_either_driver(servers: Servers, name: driver.DriverName) -> None:
    client = driver.connect(name, servers.mongodb_uri or "")
    try:
        clock = DatabaseClock(driver.read_database(client, "clock"))
        await clock.measure()
        assert is_about(clock.now(), datetime.now(UTC))
        assert clock.now().tzinfo is UTC
    finally:
        await driver.close(client)


async def test_an_outage_leaves_the_last_offset_standing_and_ends_with_the_next_answer() -> None:
    outage = [_away(driver.PyMongoError()), _away(OSError())]
    answers = iter([*[skewed(timedelta(days=1))] * QUESTIONS, *outage])
    asked_for_the_last = asyncio.Event()
    during_the_outage: list[datetime] = []

    def answer() -> datetime:
        during_the_outage.append(clock.now())
        if len(during_the_outage) == 2 * QUESTIONS + 3:
            asked_for_the_last.set()
        return next(answers, skewed(timedelta(days=9)))()

    clock = DatabaseClock(Elsewhere(answer), every_s=0.001)
    await clock.measure()
    following = asyncio.create_task(clock.follow())
    async with asyncio.timeout(PATIENCE_S):
        await asked_for_the_last.wait()
    following.cancel()
    with suppress(asyncio.CancelledError):
        await following
    assert len(during_the_outage) > QUESTIONS + 2
    assert all(is_about(each, datetime.now(UTC) + timedelta(days=1)) for each in during_the_outage[QUESTIONS:][:3])
    assert is_about(clock.now(), datetime.now(UTC) + timedelta(days=9))


async def test_a_machine_whose_clock_is_set_an_hour_ahead_jumps_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """An old offset was added to a new time for half a minute, and every form in between expired."""
    clock = DatabaseClock(Elsewhere(skewed(timedelta(0))))
    await clock.measure()
    before = clock.now()

    class SetAhead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime.now(tz) + timedelta(hours=1)

    monkeypatch.setattr("bot.clock.datetime", SetAhead)
    assert is_about(clock.now(), before)
    assert clock.offset_s == pytest.approx(-3600, abs=60)
    with capture_logs() as logs:
        await clock.measure()
        await clock.measure()
    assert is_about(clock.now(), before)
    assert [log["log_level"] for log in logs] == ["error"]


def _away(error: Exception) -> Callable[[], datetime]:
    def fail() -> datetime:
        raise error

    return fail


def test_a_moment_is_kept_as_precisely_as_the_database_keeps_it() -> None:
    moment = datetime(2026, 12, 1, 3, 0, 0, 123_999, tzinfo=UTC)
    assert to_milliseconds(moment) == moment.replace(microsecond=123_000)
    assert DatabaseClock(Elsewhere(skewed(timedelta(0)))).now().microsecond % 1000 == 0
