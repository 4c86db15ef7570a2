"""MongoDB and Valkey as servers that die: started on a port that stays, killed or stopped, and started again."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from bot.runtime.dependants import die_with_parent
from bot.runtime.engines import Engine
from tests.ports import free_port

STOP_WITHIN_S = 20.0


class MortalServer:
    """One server on loopback, with its data in a folder that outlives it."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self._engine = engine
        self._data = folder / engine.name
        self._log = folder / f"{engine.name}.log"
        self._process: asyncio.subprocess.Process | None = None
        self.port = free_port()

    @property
    def name(self) -> str:
        return self._engine.name

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    def address(self, port: int | None = None) -> str:
        """Where it listens, or a proxy before it does."""
        return self._engine.address(port or self.port)

    async def start(self) -> None:
        """Returns when it takes writes."""
        self._data.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(self._engine.find()),
                *self._engine.arguments(self._data, self.port),
                stdout=log,
                stderr=log,
                preexec_fn=die_with_parent if sys.platform == "linux" else None,
            )
        await self._until_it_listens()
        await asyncio.to_thread(self._engine.make_ready, self.port)

    async def _until_it_listens(self) -> None:
        assert self._process is not None
        async with asyncio.timeout(60):
            while True:
                assert self._process.returncode is None, f"{self.name} has ended; see {self._log}"
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.02)

    async def kill(self) -> None:
        """As a power cut does it."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def stop(self) -> None:
        """As an operator does it."""
        if self._process is not None and self.is_running:
            self._process.terminate()
            async with asyncio.timeout(STOP_WITHIN_S):
                await self._process.wait()
