"""A crowd that does one thing at once leaves every turn of the loop room for others."""

from __future__ import annotations

import asyncio
from collections import Counter

from bot.web.socketio.pace import Pace
from tests.event_loop import Turns


async def test_no_turn_of_the_loop_sees_more_of_a_crowd_than_it_may_and_the_first_go_first() -> None:
    turns, pace = Turns(), Pace(3)
    went: list[tuple[int, int]] = []

    async def go(number: int) -> None:
        await pace.turn()
        went.append((turns.now, number))

    await asyncio.gather(*(go(number) for number in range(10)))
    assert [number for _, number in went] == list(range(10))
    assert max(Counter(turn for turn, _ in went).values()) <= 3


async def test_who_comes_alone_does_not_wait() -> None:
    pace = Pace(1)
    for _ in range(3):
        waiting = pace.turn()
        try:
            waiting.send(None)
        except StopIteration:
            pass
        else:
            raise AssertionError("it waited")
        await asyncio.sleep(0)


async def test_who_gives_up_waiting_takes_nobodys_place() -> None:
    pace = Pace(1)
    first, given_up, last = [asyncio.create_task(pace.turn()) for _ in range(3)]
    await asyncio.sleep(0)
    assert first.done()
    given_up.cancel()
    await last
    assert given_up.cancelled()


async def test_what_is_called_and_who_waits_share_one_line() -> None:
    turns, pace = Turns(), Pace(2)
    went: list[tuple[int, str]] = []

    async def wait(name: str) -> None:
        await pace.turn()
        went.append((turns.now, name))

    def call(name: str) -> None:
        pace.call(lambda: went.append((turns.now, name)))

    call("first")
    assert went == [(0, "first")], "where there is room it is done at once"
    waiting = [asyncio.create_task(wait(name)) for name in ("second", "third")]
    await asyncio.sleep(0)
    call("fourth")
    last = asyncio.Event()
    call("fifth")
    pace.call(last.set)
    await asyncio.gather(*waiting, last.wait())
    assert [name for _, name in went] == ["first", "second", "third", "fourth", "fifth"]
    assert max(Counter(turn for turn, _ in went).values()) <= 2
