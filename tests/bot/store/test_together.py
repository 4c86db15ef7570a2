"""Who asks at the same moment shares a question, and nobody is answered with what stood before they asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextvars import ContextVar

import pytest

from bot.store.together import Together


class Shelf:
    """Answers when it is let, with what stands there at that moment."""

    def __init__(self) -> None:
        self.stands = {"a": 1, "b": 2}
        self.questions: list[list[str]] = []
        self.error: Exception | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.was_asked = asyncio.Event()

    async def read(self, keys: Sequence[str]) -> dict[str, int]:
        self.questions.append(list(keys))
        found = {key: self.stands[key] for key in keys if key in self.stands}
        self.was_asked.set()
        await self.may_answer.wait()
        if self.error:
            raise self.error
        return found


async def test_who_asks_at_the_same_moment_shares_one_question() -> None:
    shelf = Shelf()
    together = Together(shelf.read)
    answers = await asyncio.gather(together.one("a"), together("a", "b"), together.one("c"))
    assert answers == [1, {"a": 1, "b": 2}, None]
    assert shelf.questions == [["a", "b", "c"]]


async def test_who_asks_while_a_question_is_under_way_is_in_the_next_one_and_sees_what_stands_by_then() -> None:
    shelf = Shelf()
    shelf.may_answer.clear()
    together = Together(shelf.read)
    first = asyncio.create_task(together.one("a"))
    await shelf.was_asked.wait()
    shelf.stands["a"] = 5
    others = asyncio.gather(together.one("a"), together.one("b"))
    shelf.may_answer.set()
    assert (await first, await others) == (1, [5, 2])
    assert shelf.questions == [["a"], ["a", "b"]]


async def test_a_fault_is_told_to_all_who_asked_and_to_nobody_after_them() -> None:
    shelf = Shelf()
    together = Together(shelf.read)
    shelf.error = OSError("away")
    asked = await asyncio.gather(together.one("a"), together.one("b"), return_exceptions=True)
    assert asked == [shelf.error, shelf.error]
    shelf.error = None
    assert await together.one("a") == 1


async def test_a_fault_of_one_key_keeps_nobody_else_out() -> None:
    shelf = Shelf()

    async def read(keys: Sequence[str]) -> dict[str, int]:
        found = await shelf.read(keys)
        if "b" in keys:
            raise ValueError("b makes no sense")
        return found

    together = Together(read)
    asked = await asyncio.gather(
        *(together.one(key) for key in ("a", "b", "c")), together("b", "a"), return_exceptions=True
    )
    assert asked[0] == 1
    assert asked[2] is None
    assert [str(asked[place]) for place in (1, 3)] == ["b makes no sense"] * 2
    assert shelf.questions == [["a", "b", "c"], ["a"], ["b"], ["c"]]


async def test_a_time_limit_of_the_first_is_not_that_of_the_others() -> None:
    limit: ContextVar[float | None] = ContextVar("limit", default=None)
    seen: list[float | None] = []

    async def read(keys: Sequence[str]) -> dict[str, int]:
        seen.append(limit.get())
        return dict.fromkeys(keys, 1)

    limit.set(0.1)
    assert await Together(read).one("a") == 1
    assert seen == [None]


async def test_who_gives_up_leaves_the_others_their_answer() -> None:
    shelf = Shelf()
    shelf.may_answer.clear()
    together = Together(shelf.read)
    hasty, patient = asyncio.create_task(together.one("a")), asyncio.create_task(together.one("b"))
    await shelf.was_asked.wait()
    hasty.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hasty
    shelf.may_answer.set()
    assert await patient == 2
