"""Janji's processes as an operator has them: started, asked whether they are ready, told to stop, and killed."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from bot.settings.settings import Settings
from bot.settings.variables import PLATFORM_VARIABLES, PREFIX
from tests.clients import PATIENCE_S
from tests.nursery import Child, Nursery, shared_nursery
from tests.ports import free_ports
from tests.project import ROOT


@dataclass(slots=True)
class Process:
    """A running `python -m <command>`; what it writes stands in `log`."""

    command: str
    running: Child
    log: Path

    @property
    def is_running(self) -> bool:
        return self.running.returncode is None

    async def kill(self) -> None:
        """As a power cut does it: nothing is finished and nobody is told."""
        if self.is_running:
            self.running.kill()
        await self.running.wait()

    async def kill_all(self) -> None:
        """The process and all that it has started, as a power cut does it: an RQ worker's job would outlive it."""
        started = descendants_of(self.running.pid)
        await self.kill()
        for pid in started:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def stop(self) -> int:
        """As the platform does it: SIGTERM, and the exit code."""
        if self.is_running:
            self.running.terminate()
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await self.running.wait()
        except TimeoutError:
            raise AssertionError(f"{self.command} does not stop; {self.last_words()}") from None

    def wake(self) -> None:
        """Who sleeps goes on, see `Site.sleepers`."""
        self.running.send_signal(signal.SIGUSR1)

    def last_words(self) -> str:
        return f"its log ends with:\n{self.log.read_text()[-3000:]}"


@dataclass(slots=True)
class Web(Process):
    """A web process and where it listens."""

    url: str

    async def until_ready(self, http: aiohttp.ClientSession) -> None:
        """Until it says so itself; another process has no event that could be awaited instead."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not await self._is_ready(http):
                    assert self.is_running, f"{self.command} has ended; {self.last_words()}"
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{self.command} is not ready; {self.last_words()}") from None

    async def _is_ready(self, http: aiohttp.ClientSession) -> bool:
        try:
            async with http.get(f"{self.url}/health/ready") as response:
                return response.status == 200
        except aiohttp.ClientError:
            return False


class Site:
    """Processes that share servers, a database and settings; whatever still runs at the end is killed."""

    def __init__(self, settings: Settings, logs: Path, nursery: Nursery) -> None:
        self._settings = settings
        self._nursery = nursery
        self._logs = logs
        self._started: list[Process] = []
        self._ports = free_ports()

    async def web(self, port: int | None = None, *, program: str = "bot") -> Web:
        """A web process that serves; the port of a process that was killed can be used again."""
        port = port or next(self._ports)
        running, log = await self._start(program, PORT=str(port))
        process = Web(program, running, log, f"http://127.0.0.1:{port}")
        self._started.append(process)
        async with aiohttp.ClientSession() as http:
            await process.until_ready(http)
        return process

    async def again(self, killed: Web) -> Web:
        """The same web process, started again where it was."""
        return await self.web(port=int(killed.url.rpartition(":")[2]))

    async def mortals(self, last_writes: Iterable[int]) -> list[Web]:
        """Web processes that die in place of a write; the sweep they leave to others."""
        return await self._ailing("dies", last_writes, JANJI_SWEEP_S="60")

    async def sleepers(self, last_writes: Iterable[int]) -> list[Web]:
        """Web processes that stop before a write, until `wake` on any of them wakes all."""
        return await self._ailing("sleeps", last_writes, JANJI_SWEEP_S="60")

    async def skewed(self, seconds: Iterable[int]) -> list[Web]:
        """Web processes on machines whose clocks are so far ahead."""
        return await self._ailing("skewed", seconds)

    async def _ailing(self, ailment: str, figures: Iterable[int], **more: str) -> list[Web]:
        """See `tests.ailing`."""
        lives = [(next(self._ports), figure) for figure in figures]
        arguments = [f"{port}:{ailment}:{figure}" for port, figure in lives]
        running, log = await self._start("tests.ailing", *arguments, **more)
        processes = [Web("tests.ailing", running, log, f"http://127.0.0.1:{port}") for port, _ in lives]
        self._started += processes
        async with aiohttp.ClientSession() as http:
            await asyncio.gather(*(process.until_ready(http) for process in processes))
        return processes

    async def workers(self, *arguments: str, **more: str) -> Process:
        """The workers, with more variables in their environment; they are ready when they do their work."""
        running, log = await self._start("workers", *arguments, **more)
        process = Process("workers", running, log)
        self._started.append(process)
        return process

    async def close(self) -> None:
        for process in self._started:
            await process.kill()

    async def _start(self, *command: str, **more: str) -> tuple[Child, Path]:
        log = self._logs / f"{command[0]}-{len(self._started)}.log"
        log.touch()
        environment = {**environment_of(self._settings), **more}
        return await self._nursery.start(environment, log, *command), log


@asynccontextmanager
async def site(settings: Settings, logs: Path) -> AsyncIterator[Site]:
    """`async with site(settings, tmp_path) as place: web = await place.web()`."""
    async with shared_nursery() as nursery:
        place = Site(settings, logs, nursery)
        try:
            yield place
        finally:
            await place.close()


def environment_of(settings: Settings) -> Mapping[str, str]:
    """The environment in which a process has exactly these settings, whatever this one was started with."""
    ours = {variable for variables in PLATFORM_VARIABLES.values() for variable in variables}
    inherited = {name: value for name, value in os.environ.items() if name not in ours and not name.startswith(PREFIX)}
    given = {
        PLATFORM_VARIABLES.get(name, (PREFIX + name.upper(),))[0]: _as_variable(getattr(settings, name))
        for name in settings.model_fields_set
    }
    return {**inherited, "PYTHONPATH": str(ROOT), **given}


def _as_variable(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(str(each) for each in value)
    return str(value)


def descendants_of(pid: int) -> list[int]:
    """Those that a process has started, and these in turn."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    found = [pid]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found[1:]
