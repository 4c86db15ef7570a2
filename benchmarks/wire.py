"""One WebSocket to a Socket.IO server, as cheap as it can be made: a generator must not be what is measured.

The official client, and any whole WebSocket library, cost more per message than the servers that are measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import orjson

Hear = Callable[[bytes], None]

# As a browser asks: a server that takes up the offer pays for it in memory, and its frames could not be read here.
HANDSHAKE = (
    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
    "Host: {host}\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
END_OF_HEAD = b"\r\n\r\n"
TEXT, CLOSE = 0x81, 0x88
ENGINE_PING, ENGINE_PONG = b"2", b"3"
# A mask of zeros leaves the payload as it is. Servers apply it like any other.
MASK = b"\0\0\0\0"


class NotLetIn(Exception):
    """The server refused a connection that the measurement needs."""


class Wire(asyncio.Protocol):
    """One namespace on one WebSocket; `hear` gets every Socket.IO packet as it comes, acks and events alike."""

    def __init__(self, namespace: str, auth: Any, hear: Hear) -> None:
        self._hear = hear
        self._connect = f"40{namespace},{orjson.dumps(auth).decode()}".encode()
        self._transport: asyncio.Transport | None = None
        self._unread = b""
        self._is_upgraded = False
        self.admission: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(cls, url: str, namespace: str, auth: Any, hear: Hear) -> Wire:
        place = urlsplit(url).netloc
        host, _, port = place.rpartition(":")
        loop = asyncio.get_running_loop()
        transport, wire = await loop.create_connection(lambda: cls(namespace, auth, hear), host, int(port))
        transport.write(HANDSHAKE.format(host=place).encode())
        await wire.admission
        return wire

    def send(self, packet: bytes) -> None:
        assert self._transport is not None, "who sends is connected"
        size = len(packet)
        length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2)
        self._transport.write(b"".join((b"\x81", length, MASK, packet)))

    async def close(self) -> None:
        assert self._transport is not None, "who closes is connected"
        self._transport.close()
        await self.gone

    # asyncio's side

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if not self.admission.done():
            self.admission.set_exception(NotLetIn("the server closed the connection"))
        self.gone.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self._unread:
            data = self._unread + data
        self._unread = self._read_frames(data) if self._is_upgraded else self._read_head(data)

    def _read_head(self, data: bytes) -> bytes:
        head, end, frames = data.partition(END_OF_HEAD)
        if not end:
            return data
        if not head.startswith(b"HTTP/1.1 101") or b"sec-websocket-extensions" in head.lower():
            self._refuse(head)
            return b""
        self._is_upgraded = True
        self.send(self._connect)
        return self._read_frames(frames)

    def _read_frames(self, data: bytes) -> bytes:
        """Hands on every whole frame; the rest is the beginning of the next one."""
        at, end = 0, len(data)
        while end - at >= 2:
            size, start = data[at + 1], at + 2
            if size == 126:
                size, start = int.from_bytes(data[start : start + 2]), start + 2
            elif size == 127:
                size, start = int.from_bytes(data[start : start + 8]), start + 8
            stop = start + size
            if stop > end:
                break
            self._take(data[at], data[start:stop])
            at = stop
        return data[at:]

    def _take(self, kind: int, payload: bytes) -> None:
        if kind == TEXT:
            if payload == ENGINE_PING:
                self.send(ENGINE_PONG)
            elif self.admission.done():
                self._hear(payload)
            elif payload.startswith(b"40"):
                self.admission.set_result(None)
            elif payload.startswith(b"44"):
                self._refuse(payload)
        elif kind == CLOSE and self._transport is not None:
            self._transport.close()

    def _refuse(self, why: bytes) -> None:
        if not self.admission.done():
            self.admission.set_exception(NotLetIn(why.decode(errors="replace")))
