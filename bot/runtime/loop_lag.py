"""How late the event loop is: what keeps it busy at a stretch makes everybody of this process wait."""

from __future__ import annotations

import asyncio

from bot.settings.rhythms import PEOPLE, VitalsRhythm


class LoopLag:
    """`worst_s` is the longest delay of the last one to two stretches of what is remembered, while `follow` runs."""

    def __init__(self, rhythm: VitalsRhythm = PEOPLE.vitals) -> None:
        self._rhythm = rhythm
        self._before_s = 0.0
        self._now_s = 0.0

    @property
    def worst_s(self) -> float:
        return max(self._before_s, self._now_s)

    async def follow(self) -> None:
        loop = asyncio.get_running_loop()
        turn_at = loop.time() + self._rhythm.loop_remembered_s
        while True:
            due_at = loop.time() + self._rhythm.loop_look_every_s
            await asyncio.sleep(self._rhythm.loop_look_every_s)
            now = loop.time()
            self._now_s = max(self._now_s, now - due_at)
            if now >= turn_at:
                self._before_s, self._now_s, turn_at = self._now_s, 0.0, now + self._rhythm.loop_remembered_s
