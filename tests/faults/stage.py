"""What a run is played on: servers and processes that are killed and come back, and a bad network between them."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from bot.engines import MongoDB, Valkey
from bot.services import Services, connected, migrate, running
from bot.settings import Settings
from tests.fakes.tcp_proxy import TcpProxy
from tests.faults.mutants import Mutant
from tests.faults.nursery import Child, nursery
from tests.faults.servers import MortalServer
from tests.faults.witness import Witness
from tests.house import MASSAGE, SECRET
from tests.processes import environment_of, free_ports

WEBS = 3
READY_WITHIN_S = 30.0
# What is promised after SIGTERM is 5 s; the rest is for a machine that has other things to do.
STOP_WITHIN_S = 12.0
RESTART_AFTER_S = 0.3
DATABASE = "janji-faults"

# Everything that takes minutes takes seconds here, so that many stories come to an end.
CLOCKS: dict[str, Any] = {
    "answer_s": 2.0,
    "choose_s": 3.0,
    "direct_s": 3.0,
    "form_s": 5.0,
    "idle_no_therapist_s": 4.0,
    "radii_km": (3.0, 6.0),
    "wave_size": 2,
    "command_timeout_s": 5.0,
}


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
                becoming.cancel()
                await asyncio.gather(becoming, return_exceptions=True)
            self._witness.note("ended", self.name, code=code, expected=self._is_expected)
            # Who finds no database at the start may give up: the platform tries again, and so do we.
            if self.ready.is_set() and not self._is_expected:
                self._witness.accuse("processes", f"{self.name} has ended by itself with {code}", *self.last_words())
            self.ready.clear()
            await asyncio.sleep(RESTART_AFTER_S)

    async def _become_ready(self) -> None:
        while not await self._is_ready():  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(0.05)
        self.ready.set()

    def last_words(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()[-12:]

    def complaints(self) -> list[str]:
        """What it says was a fault of its own; outages of others are warnings."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return [line for line in lines if '"level": "error"' in line or line.startswith("ERROR asyncio")]

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
                self._witness.accuse(
                    "processes", f"{self.name} does not stop within {STOP_WITHIN_S} s", *self.last_words()
                )
                process.send_signal(signal.SIGKILL)
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
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()


@dataclass(slots=True)
class Web:
    """A web process, and the line over which clients reach it."""

    process: KeptProcess
    line: TcpProxy
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.line.port}"


@dataclass(slots=True)
class Stage:
    witness: Witness
    folder: Path
    settings: Settings
    mongo: MortalServer
    valkey: MortalServer
    mongo_line: TcpProxy
    """Between the first web process and MongoDB; the others have a line of their own that nothing happens to."""
    bus_line: TcpProxy
    """Between all processes and Valkey."""
    webs: list[Web]
    workers: list[KeptProcess]
    """The sweep and the RQ worker, which an operator starts as one."""
    services: Services
    """Looks at the documents, performs nothing and rings nothing."""

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(web.url for web in self.webs)

    @property
    def processes(self) -> list[KeptProcess]:
        return [*(web.process for web in self.webs), *self.workers]

    def pass_on(self) -> None:
        """A network as it should be."""
        for line in (self.mongo_line, self.bus_line, *(web.line for web in self.webs)):
            line.pass_on()

    async def until_ready(self) -> None:
        async with asyncio.timeout(READY_WITHIN_S):
            for process in self.processes:
                await process.ready.wait()


@asynccontextmanager
async def staged(witness: Witness, seed: str, mutant: Mutant | None = None, webs: int = WEBS) -> AsyncIterator[Stage]:
    """Servers with an empty database, web processes on ports of their own, and the workers; everything goes away."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="janji-faults-")))
        mongo, valkey = MortalServer(MongoDB(), folder), MortalServer(Valkey(), folder)
        for server in (mongo, valkey):
            stack.push_async_callback(server.kill)
        await asyncio.gather(mongo.start(), valkey.start())
        mongo_line, bus_line = [
            await stack.enter_async_context(TcpProxy("127.0.0.1", server.port)) for server in (mongo, valkey)
        ]
        settings = Settings(
            host="127.0.0.1",
            mongodb_uri=mongo.address(),
            redis_url=valkey.address(bus_line.port),
            database=DATABASE,
            secret=SECRET,
            log_level="warning",
            log_format="json",
            **CLOCKS,
        )
        witness.note("servers", "evening")
        await migrate(settings)
        if mutant is not None:
            async with connected(settings) as database:
                await mutant.drop_indexes(database)
        born = await stack.enter_async_context(nursery(folder, mutant.name if mutant else None))
        chance = Random(f"{seed}:stage")
        ports = free_ports()
        behind_the_line = settings.model_copy(update={"mongodb_uri": mongo.address(mongo_line.port)})
        played_on: list[Web] = []
        for number in range(webs):
            driver: Any = chance.choice(("motor", "pymongo"))
            port = next(ports)
            own = (settings if number else behind_the_line).model_copy(update={"mongo_driver": driver, "port": port})
            line = await stack.enter_async_context(TcpProxy("127.0.0.1", port))
            http = await stack.enter_async_context(aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2.0)))
            process = KeptProcess(
                f"web {number}",
                witness,
                folder / f"web-{number}.log",
                partial(born.start, environment_of(own), folder / f"web-{number}.log", "bot"),
                partial(_answers, http, f"http://127.0.0.1:{port}/health/live"),
            )
            played_on.append(Web(process, line, port))
        workers = [
            KeptProcess(
                name,
                witness,
                folder / f"{name}.log",
                partial(born.start, environment_of(settings), folder / f"{name}.log", "workers", name),
                _at_once,
            )
            for name in ("sweep", "rq")
        ]
        services = await stack.enter_async_context(running(settings, with_sweep=False))
        await services.catalogue.add_missing([MASSAGE])
        theatre = Stage(witness, folder, settings, mongo, valkey, mongo_line, bus_line, played_on, workers, services)
        for process in theatre.processes:
            stack.push_async_callback(process.close)
            process.keep()
        await theatre.until_ready()
        witness.note("ready", "evening")
        yield theatre


async def _answers(http: aiohttp.ClientSession, address: str) -> bool:
    try:
        async with http.get(address) as response:
            return response.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


async def _at_once() -> bool:
    return True
