"""A lean Socket.IO client: text frames over one WebSocket, acks by number, and nothing else.

The official client costs more per message than the servers that are measured; what is measured would be the client.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from aiohttp import ClientSession, ClientWebSocketResponse, TCPConnector, WSMsgType

Hear = Callable[[str, Any], None]


class NotLetIn(Exception):
    """The server refused a connection that the measurement needs."""


def http_session() -> ClientSession:
    return ClientSession(connector=TCPConnector(limit=0))


class Connection:
    """One namespace on one WebSocket; `hear(event, data)` gets every event as it comes."""

    def __init__(self, socket: ClientWebSocketResponse, namespace: str, hear: Hear) -> None:
        self._socket = socket
        self._namespace = namespace
        self._hear = hear
        self._event = f"42{namespace},"
        self._ack = f"43{namespace},"
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._asked = 0
        self._admission: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def open(
        cls, http: ClientSession, url: str, namespace: str, auth: Mapping[str, Any], hear: Hear
    ) -> Connection:
        socket = await http.ws_connect(f"{url}/socket.io/?EIO=4&transport=websocket", max_msg_size=0)
        connection = cls(socket, namespace, hear)
        await socket.send_str(f"40{namespace},{orjson.dumps(auth).decode()}")
        await connection._admission
        return connection

    async def call(self, event: str, payload: Mapping[str, Any]) -> Any:
        """The answer to an event."""
        self._asked += 1
        answer = self._answers[self._asked] = asyncio.get_running_loop().create_future()
        await self._socket.send_str(f"{self._event}{self._asked}{orjson.dumps([event, payload]).decode()}")
        return await answer

    async def close(self) -> None:
        await self._socket.close()
        await self._reading

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                if message.data == "2":
                    await self._socket.send_str("3")
                else:
                    self._take(message.data)
        gone = ConnectionError(f"the server closed a connection to {self._namespace}")
        for waiting in (self._admission, *self._answers.values()):
            if not waiting.done():
                waiting.set_exception(gone)

    def _take(self, frame: str) -> None:
        if frame.startswith(self._event):
            self._hear(*orjson.loads(frame[len(self._event) :]))
        elif frame.startswith(self._ack):
            number, _, answer = frame[len(self._ack) :].partition("[")
            self._answers.pop(int(number)).set_result(*orjson.loads(f"[{answer}"))
        elif frame.startswith("40"):
            self._admission.set_result(None)
        elif frame.startswith("44"):
            self._admission.set_exception(NotLetIn(frame))
