"""A server of our own that a test may kill, stop in its tracks and start again where it was."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bot.runtime.dependants import die_with_parent
from bot.runtime.engines import Engine
from tests.ports import free_port


class Frail:
    """The server of an engine, on a port that it keeps."""

    def __init__(self, engine: Engine, data: Path) -> None:
        self._engine = engine
        self._data = data
        self._running: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def address(self) -> str:
        return self._engine.address(self.port)

    async def start(self) -> None:
        """Again after a kill, too; it accepts writes when this returns."""
        await asyncio.to_thread(self._start)

    def _start(self) -> None:
        self._data.mkdir(exist_ok=True)
        self._running = subprocess.Popen(
            [str(self._engine.find()), *self._engine.arguments(self._data, self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - it makes one system call
        )
        while not _listens(self.port):
            assert self._running.poll() is None, f"{self._engine.name} has ended with {self._running.returncode}"
            time.sleep(0.01)
        self._engine.make_ready(self.port)

    def kill(self) -> None:
        assert self._running is not None
        self._running.kill()
        self._running.wait()

    def freeze(self) -> None:
        """It hangs: its connections stay open, new ones are accepted by the system, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self._running is not None
        self._running.send_signal(number)


@asynccontextmanager
async def frail(engine: Engine, folder: Path) -> AsyncIterator[Frail]:
    """`async with frail(Valkey(), tmp_path) as valkey: … valkey.kill() … await valkey.start()`"""
    server = Frail(engine, folder / engine.name)
    await server.start()
    try:
        yield server
    finally:
        server.kill()


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
