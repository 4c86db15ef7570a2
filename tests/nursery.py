"""Starts Janji's processes in the time of a fork: one process imports everything, and each of them is a child of it.

`python -m tests.nursery [mutant]` reads JSON lines: `{"number", "command", "environment", "log", "folder"}` starts a
process and is answered by `{"number", "pid"}`; `{"pid", "code"}` tells that one has ended. However this process ends,
its children end with it. `python -m tests.nursery <socket>` does the same for everybody who connects there, in a child
for each.
"""

from __future__ import annotations

import asyncio
import atexit
import itertools
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from bot.cancelling import cancel
from bot.runtime.dependants import die_with_parent
from tests.project import ROOT

LOOK_EVERY_S = 0.02


@dataclass(slots=True)
class Child:
    """A running process, as its owner sees it."""

    pid: int
    returncode: int | None = None
    _ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def end(self, code: int) -> None:
        self.returncode = code
        self._ended.set()

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


class Nursery:
    """The owner's end of the nursery."""

    def __init__(self, told: asyncio.StreamReader, asked: asyncio.StreamWriter) -> None:
        self._told = told
        self._asked = asked
        self._children: dict[int, Child] = {}
        self._wanted: dict[int, asyncio.Future[Child]] = {}
        self._numbers = itertools.count()

    async def start(self, environment: Mapping[str, str], log: Path, *command: str) -> Child:
        number = next(self._numbers)
        wanted = self._wanted[number] = asyncio.get_running_loop().create_future()
        how = {"command": command, "environment": dict(environment), "log": str(log), "folder": str(log.parent)}
        self._asked.write(json.dumps({"number": number, **how}).encode() + b"\n")
        return await wanted

    async def listen(self) -> None:
        try:
            while line := await self._told.readline():
                self._hear(**json.loads(line))
        finally:
            self._lose()

    def _hear(self, pid: int, code: int | None = None, number: int = 0) -> None:
        if code is not None:
            self._children.pop(pid).end(code)
            return
        child = self._children[pid] = Child(pid)
        wanted = self._wanted.pop(number)
        if wanted.done():
            child.kill()  # who wanted it has gone
        else:
            wanted.set_result(child)

    def _lose(self) -> None:
        """With the nursery, all that it has started ends."""
        for child in self._children.values():
            child.end(-signal.SIGKILL)
        for wanted in self._wanted.values():
            if not wanted.done():
                wanted.set_exception(ConnectionError("the nursery has ended"))


@asynccontextmanager
async def nursery(folder: Path, mutant: str | None = None) -> AsyncIterator[Nursery]:
    with (folder / "nursery.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-u", "-m", "tests.nursery", *([mutant] if mutant else [])),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            cwd=folder,  # where no .env stands
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )
    assert process.stdout is not None
    assert process.stdin is not None
    running = Nursery(process.stdout, process.stdin)
    listening = asyncio.create_task(running.listen())
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await cancel(listening)


@asynccontextmanager
async def shared_nursery() -> AsyncIterator[Nursery]:
    """One that has imported everything already, for a test of this run; its children end with it."""
    # Not in a thread: what dies with its parent dies with the thread that started it.
    told, asked = await asyncio.open_unix_connection(_address())
    running = Nursery(told, asked)
    listening = asyncio.create_task(running.listen())
    try:
        yield running
    finally:
        asked.close()
        await cancel(listening)


@cache
def _address() -> str:
    """Where the nursery of this run listens; it is started by whoever asks first, and ends with us."""
    folder = tempfile.TemporaryDirectory(prefix="janji-nursery-")
    address = f"{folder.name}/socket"
    process = subprocess.Popen(
        (sys.executable, "-u", "-m", "tests.nursery", address),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        cwd=folder.name,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        preexec_fn=die_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - it execs at once
    )

    def end() -> None:
        process.kill()
        process.communicate()
        folder.cleanup()

    atexit.register(end)
    assert process.stdout is not None
    process.stdout.readline()
    return address


# --- the process itself -----------------------------------------------------------------------------------------------


def _commands() -> Mapping[str, Callable[[Sequence[str]], int]]:
    """What can be started. Imports and catalogs are what takes the time, and they are read here, once."""
    import bot.__main__
    import tests.ailing
    import tests.clumsy
    import workers.__main__
    from bot.words import Words

    Words()
    return {
        "bot": lambda rest: bot.__main__.main([*rest]),
        "workers": lambda rest: workers.__main__.main([*rest]),
        "tests.ailing": lambda rest: tests.ailing.main([*rest]),
        "tests.clumsy": lambda _: tests.clumsy.main(),
    }


def _serve(commands: Mapping[str, Callable[[Sequence[str]], int]]) -> None:
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    read = b""
    while True:
        if selector.select(LOOK_EVERY_S):
            data = os.read(0, 65_536)
            if not data:
                return
            *lines, read = (read + data).split(b"\n")
            for line in lines:
                _born(commands, json.loads(line))
        _bury()


def _born(commands: Mapping[str, Callable[[Sequence[str]], int]], wanted: Mapping[str, Any]) -> None:
    _tell(number=wanted["number"], pid=_fork(commands, wanted))


def _fork(commands: Mapping[str, Callable[[Sequence[str]], int]], wanted: Mapping[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        die_with_parent()
        log = os.open(wanted["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number in (1, 2):
            os.dup2(log, number)
        os.chdir(wanted["folder"])
        os.environ.clear()
        os.environ.update(wanted["environment"])
        name, *rest = wanted["command"]
        code = commands[name](rest)
    finally:
        sys.stdout.flush()
        os._exit(code)


def _bury() -> None:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            _tell(pid=pid, code=os.waitstatus_to_exitcode(status))


def _tell(**told: int) -> None:
    sys.stdout.write(json.dumps(told) + "\n")


def _listen(commands: Mapping[str, Callable[[Sequence[str]], int]], address: str) -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who serve
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(address)
        listening.listen()
        sys.stdout.write("\n")
        while True:
            connection, _ = listening.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                die_with_parent()
                os.dup2(connection.fileno(), 0)
                os.dup2(connection.fileno(), 1)
                connection.close()
                listening.close()
                _serve(commands)
                os._exit(0)
            connection.close()


def main(arguments: Sequence[str]) -> None:
    commands = _commands()
    if arguments and arguments[0].startswith("/"):
        _listen(commands, arguments[0])
    if arguments:
        from tests.faults.mutants import MUTANTS

        MUTANTS[arguments[0]].take_out()
    _serve(commands)


if __name__ == "__main__":
    main(sys.argv[1:])
