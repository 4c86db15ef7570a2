"""A lean Socket.IO client on one wire: events in, commands out with their acks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from benchmarks.wire import Wire

Hear = Callable[[str, Any], None]


class Connection:
    """One namespace; `hear(event, data)` gets every event as it comes."""

    def __init__(self, namespace: str, hear: Hear) -> None:
        self._hear = hear
        self._event = f"42{namespace},"
        self._ack = f"43{namespace},".encode()
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._asked = 0
        self._wire: Wire | None = None

    @classmethod
    async def open(cls, url: str, namespace: str, auth: Mapping[str, Any], hear: Hear) -> Connection:
        connection = cls(namespace, hear)
        wire = connection._wire = await Wire.open(url, namespace, auth, connection._take)
        wire.gone.add_done_callback(connection._fail)
        return connection

    async def call(self, event: str, payload: Mapping[str, Any]) -> Any:
        """The answer to an event."""
        assert self._wire is not None, "it was opened"
        self._asked += 1
        answer = self._answers[self._asked] = asyncio.get_running_loop().create_future()
        self._wire.send(f"{self._event}{self._asked}{orjson.dumps([event, payload]).decode()}".encode())
        return await answer

    async def close(self) -> None:
        assert self._wire is not None, "it was opened"
        await self._wire.close()

    def _take(self, packet: bytes) -> None:
        if packet.startswith(self._ack):
            number, _, answer = packet[len(self._ack) :].partition(b"[")
            self._answers.pop(int(number)).set_result(*orjson.loads(b"[" + answer))
        elif packet.startswith(b"42"):
            self._hear(*orjson.loads(packet[len(self._event) :]))

    def _fail(self, _: object) -> None:
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the server closed the connection"))
