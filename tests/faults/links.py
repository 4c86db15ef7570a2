"""The transports that Python clients have: Socket.IO, server-sent events, long poll, plain WebSocket and HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import aiohttp
import socketio

from tests.faults.readers import Lost, Reader

OPEN_WITHIN_S = 5.0
CLOSE_WITHIN_S = 1.0
# What a network may do to a client at any moment.
FAILURES = (aiohttp.ClientError, OSError, TimeoutError, asyncio.IncompleteReadError, ConnectionError)

Payload = Mapping[str, Any]
Answer = Mapping[str, Any]


def bearer(token: str | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


async def post(
    http: aiohttp.ClientSession, reader: Reader, url: str, name: str, payload: Payload, within_s: float
) -> Answer | None:
    """A command over HTTP: its ack or refusal, None where no answer came."""
    address = f"{url}/api/{reader.audience}/{name}"
    try:
        async with (
            asyncio.timeout(within_s),
            http.post(address, json=dict(payload), headers=bearer(reader.token)) as response,
        ):
            answer: dict[str, Any] = await response.json()
    except FAILURES:
        return None
    if response.status >= 500 and response.status != 503:
        reader.witness.accuse("clear errors", f"{name} over HTTP was answered {response.status}", answer)
    return answer if response.status == 200 else {"ok": False, **answer}


class Connection:
    """What every link has."""

    transport = ""

    def __init__(self, reader: Reader, url: str, http: aiohttp.ClientSession) -> None:
        self.reader = reader
        self.url = url
        self.http = http
        self.over = asyncio.Event()

    def read_too(self, feed: str) -> None:
        pass

    def renew(self, token: str) -> None:
        pass


class SocketIO(Connection):
    """python-socketio's own client, which does not come back by itself."""

    transport = "socket.io"

    def __init__(self, reader: Reader, url: str, http: aiohttp.ClientSession) -> None:
        super().__init__(reader, url, http)
        self._namespace = f"/{reader.audience}"
        self._greeted = asyncio.Event()
        self._sio = socketio.AsyncClient(reconnection=False, handle_sigint=False, http_session=http)
        # Plain functions, since those of this client run at once and in the order of the frames.
        for name, handler in (("session", self._session), ("entry", self._entry), ("disconnect", self._gone)):
            self._sio.on(name, handler, namespace=self._namespace)

    def _session(self, session: Any) -> None:
        self.reader.greet(self, session)
        self._greeted.set()

    def _entry(self, entry: Any) -> None:
        self.reader.hear(self, [entry])

    def _gone(self, reason: str) -> None:
        self.over.set()

    async def open(self) -> None:
        try:
            async with asyncio.timeout(OPEN_WITHIN_S):
                await self._sio.connect(
                    self.url,
                    namespaces=[self._namespace],
                    auth=self.reader.introduce(),
                    transports=["websocket"],
                    wait_timeout=OPEN_WITHIN_S,
                )
                await self._greeted.wait()
        except (socketio.exceptions.SocketIOError, *FAILURES) as error:
            raise Lost(f"{type(error).__name__}: {error}") from None

    async def send(self, name: str, payload: Payload, within_s: float) -> Answer | None:
        try:
            answer: Answer = await self._sio.call(name, dict(payload), namespace=self._namespace, timeout=within_s)
        except (socketio.exceptions.SocketIOError, *FAILURES):
            return None
        return answer

    async def close(self) -> None:
        self.over.set()
        with suppress(Exception):  # whatever state the connection is in, nothing is wanted of it any more
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await self._sio.disconnect()
        for task in (self._sio.eio.read_loop_task, self._sio.eio.write_loop_task):
            if task is not None:
                task.cancel()


async def read_all(http: aiohttp.ClientSession, url: str, reader: Reader, feed: str) -> list[dict[str, Any]]:
    """The whole feed as if `reader` began at 0; raises one of `FAILURES`, or `Lost` where it is refused."""
    entries: list[dict[str, Any]] = []
    while True:
        query = {"feed": feed, "since": str(len(entries)), "wait": "0", "locale": "en"}
        async with http.get(f"{url}/api/poll/bookings", params=query, headers=bearer(reader.token)) as response:
            page = await response.json()
            if response.status != 200:
                raise Lost(f"{response.status}: {page}")
        if not page["entries"]:
            return entries
        entries += page["entries"]
