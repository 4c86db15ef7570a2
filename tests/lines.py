"""A line between the program and one of its servers, which a test can cut and mend."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_HOST_AND_PORT = re.compile(r"(?<=://)(?:[^@/]*@)?([^:/,]+):(\d+)")


class Line:
    """Carries bytes both ways between `address` and the server behind it, until it is cut.

    With `tls` whoever calls speaks TLS, and the server does not.
    """

    def __init__(self, address: str, tls: ssl.SSLContext | None = None) -> None:
        found = _HOST_AND_PORT.search(address)
        assert found is not None, f"no host and port in {address}"
        self._host, self._port = found[1], int(found[2])
        self._span = found.span(1)[0], found.span(2)[1]
        self._server_address = address
        self._tls = tls
        self._listener: asyncio.Server | None = None
        self._own_port = 0
        self._calls: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """The server's address with our own host and port in it."""
        start, end = self._span
        return f"{self._server_address[:start]}127.0.0.1:{self._own_port}{self._server_address[end:]}"

    async def mend(self) -> None:
        self._listener = await asyncio.start_server(self._answer, "127.0.0.1", self._own_port, ssl=self._tls)
        self._own_port = self._listener.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Who calls now is refused, and who is talking is cut off."""
        if self._listener is not None:
            self._listener.close()
        for call in list(self._calls):
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = asyncio.current_task()
        assert call is not None
        self._calls.add(call)
        with suppress(OSError, asyncio.CancelledError):
            far_reader, far_writer = await asyncio.open_connection(self._host, self._port)
            try:
                await asyncio.gather(_carry(reader, far_writer), _carry(far_reader, writer))
            finally:
                far_writer.transport.abort()
                writer.transport.abort()
        self._calls.discard(call)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    raise ConnectionResetError


@asynccontextmanager
async def line_to(address: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[Line]:
    """`async with line_to(servers.redis_url) as line: … await line.cut()`"""
    line = Line(address, tls)
    await line.mend()
    try:
        yield line
    finally:
        await line.cut()
