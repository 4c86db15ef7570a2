"""The transports that read one feed per request: server-sent events, long poll and plain WebSocket."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from typing import Any

import aiohttp

from bot.cancelling import cancel
from tests.faults.links import CLOSE_WITHIN_S, FAILURES, OPEN_WITHIN_S, Answer, Connection, Payload, bearer, post
from tests.faults.readers import Lost, Reader


class _Streams(Connection, ABC):
    """Reads one feed per request; a new guest asks for a session first."""

    def __init__(self, reader: Reader, url: str, http: aiohttp.ClientSession) -> None:
        super().__init__(reader, url, http)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def open(self) -> None:
        reader = self.reader
        if reader.audience == "guest" and (not reader.subject or reader.cursors[reader.own_feed] % 3 == 0):
            await self._ask_for_session()
        for feed in self.reader.feeds():
            self.read_too(feed)
        if self.over.is_set():
            raise Lost("the stream ended at once")

    async def _ask_for_session(self) -> None:
        try:
            async with (
                asyncio.timeout(OPEN_WITHIN_S),
                self.http.post(f"{self.url}/api/guest/session", json=self.reader.introduce()) as response,
            ):
                session = await response.json()
        except FAILURES as error:
            raise Lost(f"{type(error).__name__}: {error}") from None
        if response.status != 200:
            raise Lost(f"{response.status}: {session}")
        self.reader.greet(self, session)

    def read_too(self, feed: str) -> None:
        if feed not in self._tasks or self._tasks[feed].done():
            self._tasks[feed] = asyncio.create_task(self._keep_reading(feed))

    async def _keep_reading(self, feed: str) -> None:
        is_over = False
        try:
            is_over = await self._read(feed)
        except (Lost, *FAILURES) as error:
            self.reader.witness.note("lost", self.reader.name, via=self.transport, feed=feed, why=str(error))
        except ValueError as error:
            self.reader.witness.accuse("clear errors", f"{self.transport} brought what is no entry", str(error))
        if is_over and feed != self.reader.own_feed:
            self.reader.rooms[feed] = True
        else:
            self.over.set()

    @abstractmethod
    async def _read(self, feed: str) -> bool:
        """Until the connection is lost; True where the feed has ended for this reader."""

    def query(self, feed: str, **more: Any) -> dict[str, str]:
        known = {"feed": feed, "since": self.reader.cursors.get(feed, 0), "epoch": self.reader.epoch, "locale": "en"}
        return {name: str(value) for name, value in {**known, **more}.items() if value is not None}

    def refused(self, feed: str, status: int, body: str) -> bool:
        """Anything but an open stream: an outage and a limit are normal, and a room can be over."""
        if status == 404 and feed != self.reader.own_feed:
            return True
        if status not in (429, 503):
            self.reader.witness.accuse("clear errors", f"{self.transport} was answered {status}", body)
        raise Lost(f"{status}: {body[:200]}")

    async def send(self, name: str, payload: Payload, within_s: float) -> Answer | None:
        return await post(self.http, self.reader, self.url, name, payload, within_s)

    async def close(self) -> None:
        self.over.set()
        await cancel(*self._tasks.values())


class ServerSentEvents(_Streams):
    transport = "sse"

    async def _read(self, feed: str) -> bool:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=OPEN_WITHIN_S, sock_read=30)
        async with self.http.get(
            f"{self.url}/api/sse/bookings",
            params=self.query(feed),
            headers=bearer(self.reader.token),
            timeout=timeout,
        ) as response:
            if response.status != 200:
                return self.refused(feed, response.status, await response.text())
            event, data = "message", ""
            async for raw in response.content:
                line = raw.decode().rstrip("\r\n")
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    data += value
                elif not line:
                    if event == "end":
                        return True
                    self._take(event, data)
                    event, data = "message", ""
        return False

    def _take(self, event: str, data: str) -> None:
        if event == "resync":
            self.reader.begin_anew("an event stream")
        elif event == "message" and data:
            self.reader.hear(self, [json.loads(data)])


class LongPoll(_Streams):
    transport = "poll"

    async def _read(self, feed: str) -> bool:
        timeout = aiohttp.ClientTimeout(total=30)
        while True:
            async with self.http.get(
                f"{self.url}/api/poll/bookings",
                params=self.query(feed, wait=5),
                headers=bearer(self.reader.token),
                timeout=timeout,
            ) as response:
                if response.status != 200:
                    return self.refused(feed, response.status, await response.text())
                page = await response.json()
            if page["resync"]:
                self.reader.begin_anew("a long poll")
            self.reader.hear(self, page["entries"])
            if self.reader.rooms.get(feed):
                return True


class WebSocket(_Streams):
    """Commands go over the socket of the own feed, and are answered there."""

    transport = "websocket"

    def __init__(self, reader: Reader, url: str, http: aiohttp.ClientSession) -> None:
        super().__init__(reader, url, http)
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._waiting: dict[str, list[asyncio.Future[Answer]]] = {}

    async def _read(self, feed: str) -> bool:
        try:
            socket = await self.http.ws_connect(
                f"{self.url}/ws/bookings",
                params=self.query(feed),
                headers=bearer(self.reader.token),
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_WITHIN_S),
            )
        except aiohttp.WSServerHandshakeError as error:
            return self.refused(feed, error.status, error.message)
        async with socket:
            if feed == self.reader.own_feed:
                self._socket = socket
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._take(json.loads(message.data))
            return socket.close_code == aiohttp.WSCloseCode.OK

    def _take(self, frame: dict[str, Any]) -> None:
        if frame.get("start") and frame["resync"]:
            self.reader.begin_anew("a WebSocket")
        elif "ack" in frame:
            for waiter in self._waiting.pop(str(frame.pop("ack")), []):
                if not waiter.done():
                    waiter.set_result(frame)
        elif "seq" in frame:
            self.reader.hear(self, [frame])

    async def send(self, name: str, payload: Payload, within_s: float) -> Answer | None:
        socket = self._socket
        if socket is None or socket.closed:
            return None
        waiter: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(str(payload["client_id"]), []).append(waiter)
        try:
            async with asyncio.timeout(within_s):
                await socket.send_str(json.dumps({"event": name, "data": dict(payload)}))
                return await waiter
        except FAILURES:
            return None
