"""What tests see of the event loop."""

from __future__ import annotations

import asyncio


class Turns:
    """Counts the turns of the event loop, from 0 on."""

    def __init__(self) -> None:
        self.now = 0
        self._loop = asyncio.get_running_loop()
        self._loop.call_soon(self._count)

    def _count(self) -> None:
        self.now += 1
        self._loop.call_soon(self._count)
