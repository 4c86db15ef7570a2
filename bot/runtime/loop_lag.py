"""How late the event loop is: what keeps it busy at a stretch makes everybody of this process wait."""

from __future__ import annotations

import asyncio

LOOK_EVERY_S = 0.25
REMEMBERED_S = 10.0


class LoopLag:
    """`worst_s` is the longest delay of the last 10 to 20 seconds, while `follow` runs."""

    def __init__(self) -> None:
        self._before_s = 0.0
        self._now_s = 0.0

    @property
    def worst_s(self) -> float:
        return max(self._before_s, self._now_s)

    async def follow(self) -> None:
        loop = asyncio.get_running_loop()
        turn_at = loop.time() + REMEMBERED_S
        while True:
            due_at = loop.time() + LOOK_EVERY_S
            await asyncio.sleep(LOOK_EVERY_S)
            now = loop.time()
            self._now_s = max(self._now_s, now - due_at)
            if now >= turn_at:
                self._before_s, self._now_s, turn_at = self._now_s, 0.0, now + REMEMBERED_S
