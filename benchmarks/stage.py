"""Where the measuring takes place: our own MongoDB and Valkey, a database per section, servers as processes."""

from __future__ import annotations

import asyncio
import os
import random
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from pymongo import MongoClient

from bot.runtime import embedded
from bot.runtime.dependants import die_with_parent
from bot.runtime.embedded import ServerFailed, Servers
from bot.runtime.launch import environment_of
from bot.services import connected, migrate
from bot.settings.settings import Settings
from bot.settings.variables import variables_of
from bot.store.catalogue import Catalogue
from conversations.money.amounts import Money
from conversations.values import Price, Service

SECRET = "a secret for the benchmarks, longer than thirty-two characters"
# Below the ports that systems hand out by themselves, so that no outgoing connection of the load takes ours.
PORTS = range(20_000, 32_768)
READY_S = 60.0
LOOK_EVERY_S = 0.02
STOP_S = 15.0

# Limits are counted as people have them, and out of reach: all the load comes from one address.
WIDE_LIMITS: dict[str, Any] = {
    "connections_per_address": 100_000,
    "connections_per_token": 1_000,
    **dict.fromkeys((name for name in Settings.model_fields if name.startswith("limit_")), "1000000/s:1000000"),
}

MASSAGE = Service(
    "balinese",
    {"en": "Balinese massage", "id": "Pijat Bali"},
    {"en": "Calm and slow.", "id": "Tenang dan perlahan."},
    tuple(Price(minutes, Money(minutes * 400_000, "IDR")) for minutes in (60, 90, 120)),
)


PEERS = Path(__file__).parent / "peers"

# How the peer stores messages: one write for each, or one for all that gathered.
Store = Literal["one", "group"]


@dataclass(frozen=True, slots=True)
class Server:
    """A server that runs as a process of its own and accepts connections."""

    url: str
    pid: int

    def cpu_s(self) -> float:
        """How long it has computed so far, in user and system mode; 0 where the system does not tell."""
        told = Path(f"/proc/{self.pid}/stat")
        if not told.exists():
            return 0.0
        fields = told.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def family_cpu_s(self) -> float:
        """The same of all processes that it has started, and these in turn, and of those of them that have ended."""
        return sum(map(_with_the_ended_s, _family_of(self.pid)))

    def memory_kb(self) -> float:
        """What it holds in memory that is its own."""
        told = Path(f"/proc/{self.pid}/statm").read_text().split()
        return (int(told[1]) - int(told[2])) * os.sysconf("SC_PAGE_SIZE") / 1000


@dataclass(frozen=True, slots=True)
class Stage:
    """The servers below everything that is measured, and a folder for logs."""

    servers: Servers
    folder: Path

    async def prepare(self, database: str, **more: Any) -> Settings:
        """Settings for a database that is new, with its indexes and one service on the menu."""
        settings = Settings(
            host="127.0.0.1",
            port=free_port(),
            mongodb_uri=self.servers.mongodb_uri,
            redis_url=self.servers.redis_url,
            database=f"benchmarks-{database}",
            secret=SECRET,
            log_level="info",
            log_format="json",
            web_concurrency=1,
            **WIDE_LIMITS,
            **more,
        )
        await migrate(settings)
        async with connected(settings) as prepared:
            await Catalogue(prepared["services"]).add_missing([MASSAGE])
        return settings

    @asynccontextmanager
    async def janji(self, settings: Settings, *, module: str = "bot") -> AsyncIterator[Server]:
        """The program as everybody starts it, with these settings where they are not the defaults."""
        command = (sys.executable, "-m", module)
        async with self._process(command, settings.port, with_settings(settings)) as server:
            yield server

    @asynccontextmanager
    async def node(self, store: Store, *, database: str, with_redis: bool = False) -> AsyncIterator[Server]:
        """The peer on Node.js; with Redis it shares its rooms with the others that are started so."""
        assert self.servers.mongodb_uri is not None, "both servers are ours"
        if not (PEERS / "node_modules").exists():
            raise ServerFailed("The peers are not installed: start with make bench, or run npm ci in benchmarks/peers.")
        port = free_port()
        environment = {
            **os.environ,
            "NODE_ENV": "production",
            "PORT": str(port),
            "MONGODB_URI": self.servers.mongodb_uri,
            "DATABASE": f"benchmarks-{database}-{store}",
            "STORE": store,
            "REDIS_URL": self.servers.redis_url or "" if with_redis else "",
        }
        async with self._process(("node", str(PEERS / "server.js")), port, environment) as server:
            yield server

    @asynccontextmanager
    async def provider(self) -> AsyncIterator[Server]:
        """Who takes short messages from all sides."""
        port = free_port()
        command = (sys.executable, "-m", "benchmarks.provider", str(port))
        async with self._process(command, port, dict(os.environ)) as server:
            yield server

    @asynccontextmanager
    async def started(
        self, name: str, command: Sequence[str], environment: Mapping[str, str], says: bytes
    ) -> AsyncIterator[Server]:
        """A program that listens nowhere; it stands when its log says so."""
        log = self.folder / f"{name}.log"
        async with _running(command, log, environment) as process:
            await _until_it_says(process, log, says)
            yield Server("", process.pid)

    @property
    def mongod(self) -> Server:
        """The database, for what it costs."""
        assert self.servers.mongodb_uri is not None, "both servers are ours"
        with MongoClient[dict[str, Any]](self.servers.mongodb_uri) as client:
            return Server(self.servers.mongodb_uri, int(client.admin.command("serverStatus")["pid"]))

    @asynccontextmanager
    async def _process(
        self, command: Sequence[str], port: int, environment: Mapping[str, str]
    ) -> AsyncIterator[Server]:
        log = self.folder / f"{port}.log"
        async with _running(command, log, environment) as process:
            await _until_it_listens(process, port, log)
            yield Server(f"http://127.0.0.1:{port}", process.pid)


@contextmanager
def stage() -> Iterator[Stage]:
    with TemporaryDirectory(prefix="janji-benchmarks-") as folder, embedded.running(Path(folder)) as servers:
        yield Stage(servers, Path(folder))


def with_settings(settings: Settings) -> Mapping[str, str]:
    """The environment of a process that shall have these settings, where they are not the defaults."""
    names = sorted(settings.model_fields_set)
    given = {variables_of(name)[0]: _as_variable(getattr(settings, name)) for name in names}
    return environment_of(settings, **given)


def _as_variable(value: Any) -> str:
    """A setting as the environment has it."""
    return ",".join(str(each) for each in value) if isinstance(value, tuple) else str(value)


def free_port() -> int:
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


@asynccontextmanager
async def _running(
    command: Sequence[str], log: Path, environment: Mapping[str, str]
) -> AsyncIterator[asyncio.subprocess.Process]:
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdout=output,
            stderr=output,
            env=environment,
            # A benchmark that is killed outright can end nothing itself.
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )
    try:
        yield process
    finally:
        await _stop(process)


def _family_of(pid: int) -> Sequence[int]:
    """A process and all that it has started, and these in turn."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
    family = [pid]
    for each in family:
        family += [child for child, parent in parents.items() if parent == each]
    return family


def _with_the_ended_s(pid: int) -> float:
    """How long a process and those of its children that have ended have computed so far; 0 where nobody tells."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


async def _until_it_says(process: asyncio.subprocess.Process, log: Path, words: bytes) -> None:
    for _ in range(int(READY_S / LOOK_EVERY_S)):
        if words in _all_of(log):
            return
        if process.returncode is not None:
            break
        await asyncio.sleep(LOOK_EVERY_S)
    raise ServerFailed(f"A program to be measured did not start: {_end_of(log)}")


async def _until_it_listens(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    try:
        async with asyncio.timeout(READY_S):
            while process.returncode is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(LOOK_EVERY_S)
                else:
                    writer.close()
                    return
    except TimeoutError:
        pass
    raise ServerFailed(f"A server to be measured did not start: {_end_of(log)}")


def _all_of(log: Path) -> bytes:
    return log.read_bytes()


def _end_of(log: Path) -> str:
    return log.read_text(errors="replace")[-2000:]


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()
