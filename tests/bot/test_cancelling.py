"""Tasks end although what they wait in swallows a cancellation."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from bot.cancelling import cancel
from bot.runtime.ending import run


async def _swallow(times: int, heard: list[int]) -> None:
    for time in range(times):
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        heard.append(time)
    await asyncio.Event().wait()


async def _fail() -> None:
    raise ValueError("it had ended before")


@pytest.mark.parametrize("times", [0, 1, 2])
async def test_who_swallows_a_cancellation_hears_it_again(times: int) -> None:
    heard: list[int] = []
    task = asyncio.create_task(_swallow(times, heard))
    await asyncio.sleep(0)
    await cancel(task)
    assert task.cancelled()
    assert heard == list(range(times))


async def test_what_has_ended_or_fails_is_no_concern_of_who_cancels() -> None:
    failed = asyncio.create_task(_fail())
    await asyncio.wait({failed})
    await cancel(failed, asyncio.create_task(_fail()))
    await cancel()


def test_a_program_ends_although_it_leaves_tasks_running_that_swallow_a_cancellation() -> None:
    heard: list[int] = []
    left: list[asyncio.Task[None]] = []

    async def program() -> str:
        left.append(asyncio.create_task(_swallow(2, heard)))
        await asyncio.sleep(0)
        return "done"

    assert run(program()) == "done"
    assert heard == [0, 1]
