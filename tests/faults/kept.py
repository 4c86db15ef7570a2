"""A process of Janji's that is kept running: killed, stopped or paused by us, and started again when it has ended."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from bot.cancelling import cancel
from bot.runtime.ending import HARD_END_S
from tests.faults.witness import Witness
from tests.nursery import Child

# What is promised after SIGTERM is 5 s; the rest is for a machine that has other things to do.
STOP_WITHIN_S = 12.0
RESTART_AFTER_S = 0.3
MOST_OF_A_STACK = 60


class KeptProcess:
    """A process that is started again whenever it has ended; one that ends by itself is told to the witness."""

    def __init__(
        self,
        name: str,
        witness: Witness,
        log: Path,
        begin: Callable[[], Awaitable[Child]],
        is_ready: Callable[[], Awaitable[bool]],
    ) -> None:
        self.name = name
        self.log = log
        self.ready = asyncio.Event()
        self._witness = witness
        self._begin = begin
        self._is_ready = is_ready
        self._may_run = asyncio.Event()
        self._may_run.set()
        self._process: Child | None = None
        self._is_expected = False
        self._keeping: asyncio.Task[None] | None = None

    def keep(self) -> None:
        self._keeping = asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        while True:
            await self._may_run.wait()
            self._is_expected = False
            process = self._process = await self._begin()
            self._witness.note("started", self.name, pid=process.pid)
            becoming = asyncio.create_task(self._become_ready())
            try:
                code = await process.wait()
            finally:
                await cancel(becoming)
            self._witness.note("ended", self.name, code=code, expected=self._is_expected)
            # Who finds no database at the start may give up: the platform tries again, and so do we.
            if self.ready.is_set() and not self._is_expected and not self._has_given_up():
                self._witness.accuse("processes", f"{self.name} has ended by itself with {code}", *self.last_words())
            self.ready.clear()
            await asyncio.sleep(RESTART_AFTER_S)

    async def _become_ready(self) -> None:
        while not await self._is_ready():  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.05)
        self.ready.set()

    async def _until_it_says_where_it_hangs(self, process: Child) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(HARD_END_S):
                await process.wait()
        process.send_signal(signal.SIGKILL)

    def last_words(self, lines: int = 12) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()[-lines:]

    def _has_given_up(self) -> bool:
        return any(line.startswith("MongoDB cannot be used") for line in self.last_words()[-1:])

    def complaints(self) -> list[str]:
        """What it says was a fault of its own. Outages of others are warnings, but to RQ, which calls them errors."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return [line for line in lines if '"level": "error"' in line and '"logger": "rq.' not in line]

    async def kill(self, away_s: float) -> None:
        process = self._expect_end()
        if process is not None:
            process.send_signal(signal.SIGKILL)
            await process.wait()
        await self._come_back(away_s)

    async def stop(self, away_s: float) -> None:
        """SIGTERM, after which it has a few seconds to end in order."""
        was_ready = self.ready.is_set()
        process = self._expect_end()
        if process is not None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_WITHIN_S):
                    code = await process.wait()
                if was_ready and code != 0:
                    self._witness.accuse("processes", f"{self.name} was told to stop, and ended with {code}")
            except TimeoutError:
                await self._until_it_says_where_it_hangs(process)
                what = f"{self.name} does not stop within {STOP_WITHIN_S} s"
                self._witness.accuse("processes", what, *self.last_words(MOST_OF_A_STACK))
        await self._come_back(away_s)

    async def pause(self, for_s: float) -> None:
        """The machine has other things to do, and its clock goes on."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(for_s)
        finally:
            process.send_signal(signal.SIGCONT)

    def _expect_end(self) -> Child | None:
        self._is_expected = True
        self._may_run.clear()
        return self._process

    async def _come_back(self, away_s: float) -> None:
        await asyncio.sleep(away_s)
        self._may_run.set()

    async def close(self) -> None:
        self._is_expected = True
        if self._keeping is not None:
            await cancel(self._keeping)
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()
