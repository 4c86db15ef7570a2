"""Clients that come in and read nothing: raw connections with the smallest buffers, which no library reads for us."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
from contextlib import suppress
from typing import Any

# The kernel doubles it, and takes little more before the sender has to wait.
SMALL_BUFFER = 4096


def small_socket() -> socket.socket:
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    line.setblocking(False)
    return line


async def request(port: int, path: str, *headers: str) -> socket.socket:
    """A GET whose answer has begun, and of which nothing more than its first bytes is ever read."""
    line = small_socket()
    loop = asyncio.get_running_loop()
    await loop.sock_connect(line, ("127.0.0.1", port))
    lines = (f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", *headers)
    await loop.sock_sendall(line, "\r\n".join((*lines, "", "")).encode())
    first = await loop.sock_recv(line, 12)
    assert first[9:] in (b"101", b"200"), first
    return line


async def websocket(port: int, path: str, *headers: str) -> socket.socket:
    key = base64.b64encode(os.urandom(16)).decode()
    upgrade = ("Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13")
    return await request(port, path, *upgrade, *headers)


async def socket_io(port: int, namespace: str, auth: dict[str, Any]) -> socket.socket:
    """Connected to a namespace; what the server says to that is not read either."""
    line = await websocket(port, "/socket.io/?EIO=4&transport=websocket")
    await send_text(line, f"40{namespace},{json.dumps(auth)}")
    return line


async def send_text(line: socket.socket, text: str) -> None:
    """One text frame of less than 64 kB, masked with zeros."""
    payload = text.encode()
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2)
    await asyncio.get_running_loop().sock_sendall(line, b"\x81" + length + bytes(4) + payload)


async def answer_pings_for_ever(line: socket.socket, every_s: float) -> None:
    """It says that it is there, again and again, and reads nothing: until it is cut off."""
    with suppress(OSError):
        while True:
            await send_text(line, "3")
            await asyncio.sleep(every_s)
