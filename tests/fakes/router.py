"""A platform's router, with its time limits: a late first byte is answered by the router, and a silent line is cut.

The limits are those of Heroku (https://devcenter.heroku.com/articles/http-routing#timeouts): 30 s for the first byte
of an answer, then 55 s of silence in both directions. Its log has the platform's codes for these, `H12` and `H15`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

FIRST_BYTE_S = 30.0
SILENCE_S = 55.0
TOO_LATE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
# How the head of an answer that never ends looks.
ENDLESS = (b"101 Switching Protocols", b"text/event-stream")


@dataclass(slots=True)
class _Line:
    """One connection, and what the router knows of it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    asked_at: float | None = None
    """When a request came that nothing of an answer has followed yet."""
    spoke_at: float = 0.0
    is_endless: bool = False


class Router:
    """Each new connection goes to the next of the dynos; time passes `scale` times as fast as on the platform."""

    def __init__(self, dynos: Sequence[str], scale: float) -> None:
        self._dynos = itertools.cycle(dynos)
        self._first_byte_s = FIRST_BYTE_S / scale
        self._silence_s = SILENCE_S / scale
        self._loop = asyncio.get_running_loop()
        self.silence_s = self._silence_s
        self.url = ""
        self.log: list[str] = []

    async def serve(self, client_reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        address = urlsplit(next(self._dynos))
        server_reader, server = await asyncio.open_connection(address.hostname, address.port)
        line = _Line(client, server, spoke_at=self._loop.time())
        tasks = [
            asyncio.create_task(self._carry_requests(line, client_reader)),
            asyncio.create_task(self._carry_answers(line, server_reader)),
            asyncio.create_task(self._watch(line)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            server.transport.abort()
            client.close()
            with suppress(OSError):
                await client.wait_closed()

    async def _carry_requests(self, line: _Line, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65_536):
            line.spoke_at = self._loop.time()
            if line.asked_at is None and not line.is_endless:
                line.asked_at = line.spoke_at
            line.server.write(data)
            await line.server.drain()

    async def _carry_answers(self, line: _Line, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(65_536):
            line.spoke_at = self._loop.time()
            line.is_endless |= line.asked_at is not None and any(each in data for each in ENDLESS)
            line.asked_at = None
            line.client.write(data)
            await line.client.drain()

    async def _watch(self, line: _Line) -> None:
        """Returns when the line must end, having looked twice: what was written in time may not have been carried."""
        verdict = None
        while True:
            await asyncio.sleep(self._first_byte_s / 10)
            verdict, before = self._verdict(line), verdict
            if verdict and verdict == before:
                break
        self.log.append(verdict)
        if verdict == "H12":
            line.client.write(TOO_LATE)

    def _verdict(self, line: _Line) -> str | None:
        now = self._loop.time()
        if line.asked_at is not None and now - line.asked_at > self._first_byte_s:
            return "H12"
        return "H15" if line.is_endless and now - line.spoke_at > self._silence_s else None


@asynccontextmanager
async def router(dynos: Sequence[str], scale: float) -> AsyncIterator[Router]:
    """`async with router([house.url], scale=30) as platform: … platform.url … platform.log`"""
    running = Router(dynos, scale)
    lines: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = asyncio.create_task(running.serve(reader, writer))
        lines.add(line)
        line.add_done_callback(lines.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", 0)
    host, port = listener.sockets[0].getsockname()
    running.url = f"http://{host}:{port}"
    try:
        yield running
    finally:
        listener.close()
        for line in list(lines):
            line.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*lines, return_exceptions=True)
