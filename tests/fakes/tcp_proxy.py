"""A bad network between a test and a server: a TCP proxy that passes, freezes, cuts or delays what goes through it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from types import TracebackType
from urllib.parse import urlsplit

CHUNK = 64 * 1024


class TcpProxy:
    """Listens on a port of its own from `async with` on; what it does then is changed at any moment.

    A connection that was open while the proxy was frozen stays dead afterwards: some of its bytes are gone, as with a
    router that has forgotten it. Connections that are made later are fine.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server_address = host, port
        self._connections: dict[asyncio.Task[None], _Connection] = {}
        self._loses: frozenset[str] = frozenset()
        self._is_cut = False
        self._forbidden: bytes | None = None
        self._delay_s = 0.0
        self.port = 0
        self.accepted = 0

    async def __aenter__(self) -> TcpProxy:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        # A callback, since a task that is cancelled right after it has accepted would lose the connection unclosed.
        asyncio.get_running_loop().add_reader(self._listener, self._accept)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        await self._drop_all()

    def pass_on(self) -> None:
        """A network as it should be."""
        self._loses = frozenset()
        self._is_cut = False
        self._forbidden = None
        self._delay_s = 0.0

    def freeze(self) -> None:
        """Half-open: connections are accepted and nothing is refused, but no byte arrives any more."""
        self._lose("requests", "answers")

    def lose_answers(self) -> None:
        """What is asked arrives and is done, and nobody is told."""
        self._lose("answers")

    async def cut(self) -> None:
        """Every connection is closed, and so is every new one."""
        self._is_cut = True
        await self._drop_all()

    async def forbid(self, beginning: bytes) -> None:
        """What begins with these bytes is closed, open or new, and all else passes: like a router without WebSocket."""
        self._forbidden = beginning
        await self._drop(task for task, each in self._connections.items() if each.began.startswith(beginning))

    def lead_to(self, url: str) -> None:
        """From now on new connections go there."""
        address = urlsplit(url)
        assert address.hostname
        assert address.port
        self._server_address = address.hostname, address.port

    def delay(self, seconds: float) -> None:
        """Whatever goes through is late by this much, in each direction."""
        self._delay_s = seconds

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return  # the client has gone again
        self.accepted += 1
        if self._is_cut:
            client.close()
            return
        client.setblocking(False)
        server = socket.socket()
        server.setblocking(False)
        connection = _Connection(client, server, set(self._loses))
        task = asyncio.create_task(self._serve(connection))
        self._connections[task] = connection
        task.add_done_callback(self._close)

    def _close(self, task: asyncio.Task[None]) -> None:
        """Also for a task that was cancelled before its first step."""
        connection = self._connections.pop(task)
        connection.client.close()
        connection.server.close()

    async def _serve(self, connection: _Connection) -> None:
        try:
            await asyncio.get_running_loop().sock_connect(connection.server, self._server_address)
        except OSError:
            return  # the client finds its connection closed, as it would without us
        both = [
            asyncio.create_task(self._pump(connection, "requests", connection.client, connection.server)),
            asyncio.create_task(self._pump(connection, "answers", connection.server, connection.client)),
        ]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async def _pump(self, connection: _Connection, what: str, source: socket.socket, sink: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while data := await loop.sock_recv(source, CHUNK):
            if what == "requests":
                connection.began = connection.began or data
                if self._forbidden is not None and connection.began.startswith(self._forbidden):
                    return
            if self._delay_s:
                await asyncio.sleep(self._delay_s)
            if what not in connection.loses:
                await loop.sock_sendall(sink, data)

    def _lose(self, *what: str) -> None:
        self._loses = frozenset(what)
        for connection in self._connections.values():
            connection.loses.update(what)

    async def _drop_all(self) -> None:
        await self._drop(self._connections)

    async def _drop(self, doomed: Iterable[asyncio.Task[None]]) -> None:
        tasks = list(doomed)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@dataclass(slots=True)
class _Connection:
    """Both ends, what it swallows for the rest of its life ("requests", "answers"), and the first bytes it brought."""

    client: socket.socket
    server: socket.socket
    loses: set[str]
    began: bytes = b""
