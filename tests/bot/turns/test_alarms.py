"""An alarm rings once, when its moment has come by the database's clock, and not when it was taken away."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime, timedelta

import pytest

from bot.turns.alarms import Alarms, Key
from tests.clients import PATIENCE_S

NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
SOON = NOW + timedelta(milliseconds=2)
LATER = NOW + timedelta(milliseconds=4)
TOMORROW = NOW + timedelta(days=1)
KEY: Key = ("search", "s_1")
OTHER: Key = ("conversation", "c_1")


class Bell:
    """Alarms on a clock that stands until it is moved, and everything that has rung."""

    def __init__(self) -> None:
        self.at = NOW
        self.rung: list[Key] = []
        self.alarms = Alarms(self.now, self._ring)
        self._looks = asyncio.Semaphore(0)
        self._rings = asyncio.Semaphore(0)

    def now(self) -> datetime:
        self._looks.release()
        return self.at

    def _ring(self, key: Key) -> None:
        self.rung.append(key)
        self._rings.release()

    async def until_rung(self, count: int = 1) -> list[Key]:
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(count):
                await self._rings.acquire()
        return self.rung

    async def until_looked(self, times: int) -> None:
        """Until the timer has come and looked at the clock so many times more."""
        while not self._looks.locked():
            await self._looks.acquire()
        async with asyncio.timeout(PATIENCE_S):
            for _ in range(times):
                await self._looks.acquire()


@pytest.fixture
async def bell() -> Bell:
    return Bell()


async def test_an_alarm_rings_once_and_is_forgotten(bell: Bell) -> None:
    bell.alarms.set(KEY, NOW)
    assert len(bell.alarms) == 1
    assert await bell.until_rung() == [KEY]
    assert len(bell.alarms) == 0


async def test_a_timer_that_comes_early_rings_nothing_and_comes_again(bell: Bell) -> None:
    bell.alarms.set(KEY, SOON)
    await bell.until_looked(6)
    assert bell.rung == []
    bell.at = SOON
    assert await bell.until_rung() == [KEY]


async def test_a_moment_that_has_passed_already_rings_at_once(bell: Bell) -> None:
    bell.alarms.set(KEY, NOW - timedelta(days=1))
    assert await bell.until_rung() == [KEY]


@pytest.mark.parametrize(("first", "second"), [(TOMORROW, SOON), (SOON, LATER)])
async def test_a_second_alarm_of_the_same_key_replaces_the_first(bell: Bell, first: datetime, second: datetime) -> None:
    bell.alarms.set(KEY, first)
    bell.alarms.set(KEY, second)
    assert len(bell.alarms) == 1
    bell.at = min(first, second)
    if first < second:
        await bell.until_looked(4)
        assert bell.rung == []
    bell.at = second
    assert await bell.until_rung() == [KEY]
    bell.at = TOMORROW
    bell.alarms.set(OTHER, NOW)
    assert await bell.until_rung() == [KEY, OTHER]


async def test_an_alarm_that_was_taken_away_does_not_ring(bell: Bell) -> None:
    bell.alarms.set(KEY, SOON)
    bell.alarms.set(OTHER, SOON)
    bell.alarms.set(KEY, None)
    bell.alarms.set(("search", "never set"), None)
    bell.at = TOMORROW
    assert await bell.until_rung() == [OTHER]
    assert len(bell.alarms) == 0


async def test_an_alarm_that_was_taken_away_can_be_set_to_the_same_moment_again(bell: Bell) -> None:
    bell.alarms.set(KEY, SOON)
    bell.alarms.set(KEY, None)
    bell.alarms.set(KEY, SOON)
    bell.at = TOMORROW
    assert await bell.until_rung() == [KEY]
    bell.alarms.set(OTHER, NOW)
    assert await bell.until_rung() == [KEY, OTHER]


async def test_the_same_alarm_set_twice_rings_once(bell: Bell) -> None:
    for _ in range(3):
        bell.alarms.set(KEY, SOON)
    bell.alarms.set(OTHER, LATER)
    bell.at = LATER
    assert await bell.until_rung(2) == [KEY, OTHER]


async def test_a_thousand_alarms_ring_in_the_order_of_their_moments(bell: Bell) -> None:
    keys: list[Key] = [("search", f"s_{number:04d}") for number in range(1000)]
    order = random.Random(7)
    for key in order.sample(keys, len(keys)):
        bell.alarms.set(key, TOMORROW)
    for number, key in order.sample(list(enumerate(keys)), len(keys)):
        bell.alarms.set(key, NOW + timedelta(microseconds=number + 1))
    bell.at = SOON
    assert await bell.until_rung(1000) == keys
    assert len(bell.alarms) == 0


async def test_who_answers_a_ring_may_set_the_next(bell: Bell) -> None:
    chain = iter([(OTHER, NOW - timedelta(days=2)), (KEY, NOW)])

    def ring(key: Key) -> None:
        bell.rung.append(key)
        following = next(chain, None)
        if following is None:
            done.set()
        else:
            alarms.set(*following)

    done = asyncio.Event()
    alarms = Alarms(bell.now, ring)
    alarms.set(KEY, NOW - timedelta(days=1))
    async with asyncio.timeout(PATIENCE_S):
        await done.wait()
    assert bell.rung == [KEY, OTHER, KEY]


async def test_nothing_rings_after_the_stop(bell: Bell) -> None:
    others = Bell()
    bell.alarms.set(KEY, SOON)
    bell.at = others.at = TOMORROW
    bell.alarms.stop()
    bell.alarms.stop()
    others.alarms.set(OTHER, LATER)
    await others.until_rung()
    assert (bell.rung, len(bell.alarms)) == ([], 0)
