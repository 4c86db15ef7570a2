"""One question at a time, an answer that is good for a while, and a loop whose delays are seen."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from bot.runtime.loop_lag import LoopLag
from bot.runtime.vitals import Kept, Part, Report
from bot.settings.rhythms import PEOPLE
from tests.agreement import eventually


async def test_who_asks_at_once_or_soon_after_shares_one_question() -> None:
    asked: list[int] = []
    answered = asyncio.Event()

    async def ask() -> int:
        asked.append(len(asked))
        await answered.wait()
        return len(asked)

    kept = Kept(ask, 60.0)
    early = [asyncio.create_task(kept.get()) for _ in range(5)]
    await asyncio.sleep(0)
    early[0].cancel()  # who gives up takes the question from nobody else
    answered.set()
    assert await asyncio.gather(*early[1:]) == [1] * 4
    assert await kept.get() == 1


async def test_an_answer_that_is_good_no_more_is_asked_for_again() -> None:
    asked: list[int] = []

    async def ask() -> int:
        asked.append(len(asked))
        return len(asked)

    kept = Kept(ask, 0.0)
    assert [await kept.get(), await kept.get()] == [1, 2]


async def test_a_question_that_is_under_way_ends_with_the_program() -> None:
    kept = Kept(asyncio.Event().wait, 60.0)
    waiting = asyncio.create_task(kept.get())
    await asyncio.sleep(0)
    await kept.stop()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.timed
async def test_a_loop_that_was_held_up_is_seen_and_forgotten_again() -> None:
    lag = LoopLag(replace(PEOPLE.vitals, loop_look_every_s=0.01, loop_remembered_s=2.0))
    following = asyncio.create_task(lag.follow())
    await asyncio.sleep(0.02)
    time.sleep(0.5)  # noqa: ASYNC251 - this is what it is to see

    async def is_late() -> None:
        assert lag.worst_s >= 0.4

    async def is_forgotten() -> None:
        assert lag.worst_s < 0.4

    await eventually(is_late)
    await eventually(is_forgotten)
    following.cancel()


def test_only_without_the_database_nothing_goes_on() -> None:
    well = (Part("mongodb", "ok"), Part("redis", "ok"), Part("workers", "ok"))
    assert Report(well).state == "operational"
    for state in ("delayed", "away", "unknown"):
        assert Report((well[0], Part("redis", state), well[2])).state == "degraded"  # type: ignore[arg-type]
    assert Report((Part("mongodb", "away"), *well[1:])).state == "down"
