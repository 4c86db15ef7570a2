"""A crowd does one thing at once, and everybody else gets a word in between."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable


class Pace:
    """At most so many go on in one turn of the event loop, in the order in which they came; nobody waits for time."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_counting = False

    async def turn(self) -> None:
        """Return in this turn of the loop, or in a later one where others came before."""
        if self._has_room():
            self._count_one()
            return
        place = asyncio.get_running_loop().create_future()

        def go_on() -> None:
            if not place.done():  # as it is where who waited was cancelled
                place.set_result(None)

        self._waiting.append(go_on)
        await place

    def call(self, work: Callable[[], None]) -> None:
        """Do it now, or in a later turn of the loop; `work` does not raise."""
        if self._has_room():
            self._count_one()
            work()
        else:
            self._waiting.append(work)

    def _has_room(self) -> bool:
        return self._left > 0 and not self._waiting

    def _count_one(self) -> None:
        self._left -= 1
        if not self._is_counting:
            self._is_counting = True
            asyncio.get_running_loop().call_soon(self._begin_turn)

    def _begin_turn(self) -> None:
        self._left = self._most
        self._is_counting = False
        while self._waiting and self._left > 0:
            self._count_one()
            self._waiting.popleft()()
