"""Our own MongoDB and Valkey on loopback, for a machine that has none: they live and die with the program.

For each server the data directory has, say for `mongo`: the data in `mongo/`, its port and pids in `mongo.json`, its
log in `mongo.log` (and that of the run before in `mongo.log.1`), and two lock files. `mongo.lock` is held by the server
itself as long as it lives; `mongo.guard` by its guardian as long as the server may be used. `starting.lock` is
held by a program while it finds out who is there, starts or stops.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import IO, BinaryIO

from pymongo.errors import PyMongoError
from redis.exceptions import RedisError

import bot.runtime.guardian
from bot.runtime.engines import READY_S, Engine, MongoDB, ServerFailed, Valkey
from bot.runtime.guardian import STOP_S

__all__ = ["ServerFailed", "Servers", "running"]

# Below the ports that systems hand out by themselves (Linux: 32768 and up), so that no outgoing connection takes ours.
PORTS = range(20_000, 32_768)
PORT_TRIES = 5

Guardian = subprocess.Popen[bytes]


@dataclass(frozen=True)
class Servers:
    """Where the servers that were asked for listen; None for one that was not."""

    mongodb_uri: str | None
    redis_url: str | None


@contextmanager
def running(data_dir: Path, mongo: bool = True, redis: bool = True) -> Iterator[Servers]:
    """The servers on this data directory: shared where another program runs them already, else started and stopped.

    They stop when the program that started them does, even if others still share them. Raises ServerFailed.
    """
    with ExitStack() as stack:
        yield Servers(
            mongodb_uri=stack.enter_context(_serving(MongoDB(), data_dir)) if mongo else None,
            redis_url=stack.enter_context(_serving(Valkey(), data_dir)) if redis else None,
        )


@dataclass(frozen=True)
class _Run:
    """What the state file says of a server: true while the server's lock is held, and the port to prefer after that."""

    port: int
    pid: int | None
    """None until the server's process is there."""
    program: int
    """The pid of the program that started it."""


@dataclass(frozen=True)
class _Place:
    """The files of one server in the data directory."""

    engine: Engine
    data_dir: Path

    @property
    def data(self) -> Path:
        return self.data_dir / self.engine.name

    def file(self, suffix: str) -> Path:
        return self.data_dir / f"{self.engine.name}.{suffix}"

    def read_run(self) -> _Run | None:
        try:
            return _Run(**json.loads(self.file("json").read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def write_run(self, run: _Run) -> None:
        draft = self.file("json.new")
        draft.write_text(json.dumps(asdict(run)))
        draft.replace(self.file("json"))


@contextmanager
def _serving(engine: Engine, data_dir: Path) -> Iterator[str]:
    place = _Place(engine, data_dir.resolve())
    try:
        place.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.data.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise ServerFailed(f"{engine.title} has no place for its data: {error}") from None
    with _starting(place):
        port, guardian = _find_or_start(place)
    try:
        yield engine.address(port)
    finally:
        if guardian is not None:
            with _starting(place):
                _stop(place, guardian)


@contextmanager
def _starting(place: _Place) -> Iterator[None]:
    with (place.data_dir / "starting.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _find_or_start(place: _Place) -> tuple[int, Guardian | None]:
    """The port of the server, and its guardian where we have started it."""
    until = time.monotonic() + READY_S
    while (lock := _claim(place)) is None:
        run = place.read_run()
        if run is not None and _answers(place, run):
            return run.port, None
        if time.monotonic() > until:
            raise ServerFailed(f"The {place.engine.title} of another program does not answer; see {place.file('log')}.")
        time.sleep(0.02)
    with lock:
        return _start(place, lock)


def _claim(place: _Place) -> BinaryIO | None:
    """The lock of the server, ours from now on; None where a server runs that may be used.

    One that runs and may not be used is on its way out, or has lost its guardian: it is ended and waited for.
    """
    lock = place.file("lock").open("ab")
    if _try_lock(lock):
        return lock
    if _is_guarded(place):
        lock.close()
        return None
    run = place.read_run()
    if run is not None and run.pid is not None:
        with suppress(ProcessLookupError):
            os.kill(run.pid, signal.SIGTERM)
    until = time.monotonic() + STOP_S
    while not _try_lock(lock):
        if time.monotonic() > until:
            lock.close()
            raise ServerFailed(f"An old {place.engine.title} does not let go of {place.data}: end it by hand.")
        time.sleep(0.02)
    return lock


def _is_guarded(place: _Place) -> bool:
    with place.file("guard").open("ab") as guard:
        return not _try_lock(guard)


def _try_lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _start(place: _Place, lock: BinaryIO) -> tuple[int, Guardian]:
    program = place.engine.find()
    for port in _free_ports(place.read_run()):
        guardian, run = _spawn(place, lock, [str(program), *place.engine.arguments(place.data, port)], port)
        try:
            if _comes_up(place, guardian, run):
                place.engine.make_ready(port)
                return port, guardian
        except (PyMongoError, RedisError) as error:
            _end(guardian)
            raise _not_started(place) from error
        except BaseException:
            _end(guardian)
            raise
        _end(guardian)
        if is_free(port):
            raise _not_started(place)
    raise ServerFailed(f"{place.engine.title} did not start: no free port between {PORTS[0]} and {PORTS[-1]}.")


def _spawn(place: _Place, lock: BinaryIO, command: list[str], port: int) -> tuple[Guardian, _Run]:
    """The guardian leads a session of its own, so that ctrl-C in the terminal reaches the program alone."""
    log = place.file("log")
    if log.exists():
        log.replace(place.file("log.1"))
    place.write_run(_Run(port, None, os.getpid()))
    with place.file("guard").open("ab") as guard, log.open("wb") as output:
        fcntl.flock(guard, fcntl.LOCK_EX)
        guardian = subprocess.Popen(
            [
                sys.executable,
                "-I",
                "-S",
                bot.runtime.guardian.__file__,
                str(guard.fileno()),
                str(lock.fileno()),
                *command,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            cwd=place.data,
            pass_fds=(guard.fileno(), lock.fileno()),
            start_new_session=True,
        )
    # A forked child of ours, such as the one RQ runs a job in, must not keep the pipe open after we are gone.
    os.register_at_fork(after_in_child=_pipe_of(guardian).close)
    run = _Run(port, _read_pid(guardian), os.getpid())
    place.write_run(run)
    return guardian, run


def _pipe_of(guardian: Guardian) -> IO[bytes]:
    assert guardian.stdin is not None
    return guardian.stdin


def _read_pid(guardian: Guardian) -> int | None:
    assert guardian.stdout is not None
    with guardian.stdout as answer:
        line = answer.readline()
    return int(line) if line else None


def _comes_up(place: _Place, guardian: Guardian, run: _Run) -> bool:
    """Whether it is our server that listens on the port in the end."""
    until = time.monotonic() + READY_S
    while not _listens(run.port):
        if guardian.poll() is not None:
            return False
        if time.monotonic() > until:
            raise ServerFailed(f"{place.engine.title} does not listen after {READY_S:.0f} s; see {place.file('log')}.")
        time.sleep(0.01)
    return _answers(place, run)


def _answers(place: _Place, run: _Run) -> bool:
    return _listens(run.port) and place.engine.pid_on(run.port) == run.pid


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def is_free(port: int) -> bool:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _free_ports(last: _Run | None) -> Iterator[int]:
    """The port of the last run first: whoever still looks for us there finds us again."""
    candidates = [*([last.port] if last else []), *random.sample(PORTS, 100)]
    return islice(filter(is_free, candidates), PORT_TRIES)


def _stop(place: _Place, guardian: Guardian) -> None:
    _end(guardian)
    if (lock := _claim(place)) is not None:  # which ends a server whose guardian was killed, too
        lock.close()


def _end(guardian: Guardian) -> None:
    _pipe_of(guardian).close()
    guardian.wait()


def _not_started(place: _Place) -> ServerFailed:
    """With the most telling line of its log: MongoDB's first error or fatal one, else the last that there is."""
    log = place.file("log")
    lines = log.read_text(errors="replace").splitlines()
    errors = [line for line in lines if '"s":"F"' in line or '"s":"E"' in line]
    words = (errors[:1] or lines[-1:] or ["it wrote nothing"])[0][:500]
    advice = (
        ". Install the library it names; on Debian: apt-get install libcurl4" if "shared libraries" in words else ""
    )
    return ServerFailed(f"{place.engine.title} did not start: {words} (see {log}){advice}")
