"""Questions that are asked at the same moment are one question: who comes while one is under way is in the next.

A question always begins after everybody in it has asked, so each is answered with what stands from then on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class _Question(Generic[K, V]):
    """The keys, in the order in which they were asked for, and what will be found under them."""

    keys: dict[K, None] = field(default_factory=dict)
    found: asyncio.Future[Mapping[K, V]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Together(Generic[K, V]):
    """`await together(key, …)` gives what `read` finds under these keys; what is not there is left out."""

    def __init__(self, read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._read = read
        self._next: _Question[K, V] | None = None
        self._asking: asyncio.Task[None] | None = None

    async def __call__(self, *keys: K) -> dict[K, V]:
        if self._next is None:
            self._next = _Question()
        question = self._next
        question.keys.update(dict.fromkeys(keys))
        if self._asking is None or self._asking.done():
            # In no context: a time limit of whoever happens to be the first is not that of the others.
            self._asking = asyncio.create_task(self._ask(), context=Context())
        # Who is cancelled leaves the others their answer.
        found = await asyncio.shield(question.found)
        return {key: found[key] for key in keys if key in found}

    async def one(self, key: K) -> V | None:
        return (await self(key)).get(key)

    async def _ask(self) -> None:
        while (question := self._next) is not None:
            self._next = None
            try:
                found = await self._read(list(question.keys))
            except asyncio.CancelledError:
                question.found.cancel()
                raise
            except Exception as error:
                question.found.set_exception(error)
                question.found.exception()  # whoever still waits hears of it, and perhaps nobody does
            else:
                question.found.set_result(found)
