"""What a run is played on: servers and processes that are killed and come back, and a bad network between them."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from bot.runtime.engines import MongoDB, Valkey
from bot.services import Services, connected, migrate, running
from bot.settings.rates import Rate
from bot.settings.settings import Settings
from tests.fakes.tcp_proxy import TcpProxy
from tests.faults.kept import KeptProcess
from tests.faults.mutants import Mutant
from tests.faults.servers import MortalServer
from tests.faults.witness import Witness
from tests.house import MASSAGE, METRICS_TOKEN, SECRET
from tests.nursery import nursery
from tests.ports import free_ports
from tests.processes import environment_of

WEBS = 3
READY_WITHIN_S = 30.0
DATABASE = "janji-faults"

GENEROUS = Rate(1_000, "s", 10_000)
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
    # Everybody here comes from one address, and in a hurry.
    "connections_per_address": 10_000,
    **dict.fromkeys(("limit_connects_per_token", "limit_messages_per_token", "limit_commands_per_token"), GENEROUS),
    **dict.fromkeys(("limit_connects_per_address", "limit_streams_per_token", "limit_streams_per_address"), GENEROUS),
    **dict.fromkeys(("limit_commands_per_address", "limit_messages_per_address"), GENEROUS),
}


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
            metrics_token=METRICS_TOKEN,
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
