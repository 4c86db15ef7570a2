"""Questions that are asked at the same moment are one question: who comes while one is under way is in the next.

A question always begins after everybody in it has asked, so each is answered with what stands from then on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from bot.store.driver import PyMongoError

K = TypeVar("K")
V = TypeVar("V")


@dataclass(slots=True)
class _Question(Generic[K, V]):
    """The keys, in the order in which they were asked for, and what will be found under them."""

    keys: dict[K, None] = field(default_factory=dict)
    found: asyncio.Future[Mapping[K, V]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    faults: dict[K, Exception] = field(default_factory=dict)
    """What some keys alone were answered with."""


class Together(Generic[K, V]):
    """`await together(key, …)` gives what `read` finds under these keys; what is not there is left out.

    An outage is everybody's. Any other fault is that of the key which it comes from, and keeps nobody else out.
    """

    def __init__(self, read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._read = read
        self._next: _Question[K, V] | None = None
        self._asking: asyncio.Task[None] | None = None

    async def __call__(self, *keys: K) -> dict[K, V]:
        found, faults = await self.apart(*keys)
        for fault in faults.values():
            raise fault
        return found

    async def apart(self, *keys: K) -> tuple[dict[K, V], dict[K, Exception]]:
        """What is found under these keys, and the faults of those that have one; raises only an outage."""
        if self._next is None:
            self._next = _Question()
        question = self._next
        question.keys.update(dict.fromkeys(keys))
        if self._asking is None or self._asking.done():
            # In no context: a time limit of whoever happens to be the first is not that of the others.
            self._asking = asyncio.create_task(self._ask(), context=Context())
        # Who is cancelled leaves the others their answer.
        found = await asyncio.shield(question.found)
        faults = {key: question.faults[key] for key in keys if key in question.faults}
        return {key: found[key] for key in keys if key in found}, faults

    async def one(self, key: K) -> V | None:
        return (await self(key)).get(key)

    async def _ask(self) -> None:
        while (question := self._next) is not None:
            self._next = None
            try:
                question.found.set_result(await self._answer(question))
            except asyncio.CancelledError:
                question.found.cancel()
                raise
            except Exception as error:
                question.found.set_exception(error)
                question.found.exception()  # whoever still waits hears of it, and perhaps nobody does

    async def _answer(self, question: _Question[K, V]) -> Mapping[K, V]:
        keys = list(question.keys)
        try:
            return await self._read(keys)
        except (PyMongoError, OSError):
            raise
        except Exception as error:
            if len(keys) == 1:
                question.faults[keys[0]] = error
                return {}
        found: dict[K, V] = {}
        for key in keys:
            try:
                found.update(await self._read([key]))
            except (PyMongoError, OSError):
                raise
            except Exception as error:
                question.faults[key] = error
        return found
