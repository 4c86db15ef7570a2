"""The official JavaScript client of Socket.IO: one node process, driven by JSON lines, with all links in it."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from bot.runtime.dependants import die_with_parent
from tests.faults.links import CLOSE_WITHIN_S, OPEN_WITHIN_S, Answer, Payload
from tests.faults.readers import Lost, Reader

SCRIPT = Path(__file__).with_name("client.js")
LONGEST_LINE = 16 * 1024 * 1024


class Node:
    """The process. What it tells goes to the link that it tells of."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._links: dict[int, JavaScript] = {}
        self._numbers = itertools.count(1)

    def enter(self, link: JavaScript) -> int:
        number = next(self._numbers)
        self._links[number] = link
        return number

    def leave(self, number: int) -> None:
        self._links.pop(number, None)

    def tell(self, **message: Any) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")

    async def listen(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            message = json.loads(line)
            link = self._links.get(message["link"])
            if link is not None:
                link.take(message)


@asynccontextmanager
async def node(log: Path) -> AsyncIterator[Node]:
    program = shutil.which("node")
    assert program is not None, "the official client needs Node.js on the PATH"
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            program,
            str(SCRIPT),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=LONGEST_LINE,
            preexec_fn=die_with_parent if sys.platform == "linux" else None,
        )
    running = Node(process)
    listening = asyncio.create_task(running.listen())
    try:
        yield running
    finally:
        listening.cancel()
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await asyncio.gather(listening, return_exceptions=True)
        assert process.stdin is not None
        process.stdin.close()


class JavaScript:
    """One connection of the official client, which reconnects by itself for a while."""

    transport = "socket.io-client"

    def __init__(self, reader: Reader, url: str, process: Node) -> None:
        self.reader = reader
        self.over = asyncio.Event()
        self._url = url
        self._node = process
        self._number = process.enter(self)
        self._greeted = asyncio.Event()
        self._calls: dict[int, asyncio.Future[Answer | None]] = {}
        self._numbers = itertools.count(1)

    def take(self, message: Mapping[str, Any]) -> None:
        match message["event"]:
            case "session":
                self.reader.shown = message["shown"]
                self.reader.greet(self, message["session"])
                self._greeted.set()
            case "entry":
                self.reader.hear(self, [message["entry"]])
            case "answer":
                waiter = self._calls.pop(message["call"], None)
                if waiter is not None and not waiter.done():
                    waiter.set_result(message["answer"])
            case "away":
                self.reader.hears_since = math.inf
            case "over":
                self.over.set()

    async def open(self) -> None:
        self._node.tell(
            link=self._number,
            do="open",
            url=self._url,
            namespace=f"/{self.reader.audience}",
            auth=self.reader.introduce(),
        )
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                await self._greeted.wait()
        except TimeoutError:
            raise Lost("no session came") from None

    async def send(self, name: str, payload: Payload, within_s: float) -> Answer | None:
        call = next(self._numbers)
        waiter = self._calls[call] = asyncio.get_running_loop().create_future()
        self._node.tell(
            link=self._number, do="send", call=call, name=name, payload=payload, timeout_ms=int(within_s * 1000)
        )
        try:
            async with asyncio.timeout(within_s + CLOSE_WITHIN_S):
                answer: Answer | None = await waiter
                return answer
        except TimeoutError:
            return None

    def read_too(self, feed: str) -> None:
        pass

    def renew(self, token: str) -> None:
        self._node.tell(link=self._number, do="renew", token=token)

    async def close(self) -> None:
        self.over.set()
        self._node.tell(link=self._number, do="close")
        self._node.leave(self._number)
