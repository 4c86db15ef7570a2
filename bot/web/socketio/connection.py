"""One client's Engine.IO session: what waits for it, what comes from it, and how it ends.

What upstream does otherwise, and why that does not hold here, stands at the head of `engine.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Protocol

from aiohttp import WSCloseCode, WSMsgType, web
from engineio.async_socket import AsyncSocket
from engineio.exceptions import ContentTooLongError, EngineIOError, QueueEmpty
from engineio.packet import MESSAGE, NOOP, Packet

from bot.web.socketio.direct_frames import FITS, DirectWebSocket, Gathering, text_frame
from bot.web.socketio.limits import Counters, Limits
from bot.web.socketio.pace import Pace
from bot.web.socketio.reference_cycles import break_cycles

Environ = dict[str, Any]

TRANSPORT_CLOSE = "transport close"
CLIENT_DISCONNECT = "client disconnect"
SERVER_DISCONNECT = "server disconnect"
PING_TIMEOUT = "ping timeout"
SLOW_READER = "slow reader"
PROTOCOL_ERROR = "protocol error"

MAX_FRAMES_IN_A_POST = 128
# What the doors and upstream still look up when a WebSocket is open; all else of its handshake is let go of.
LOOKED_UP_LATER = ("REMOTE_ADDR", "HTTP_ACCEPT_LANGUAGE", "REQUEST_METHOD", "aiohttp.request")
CLOSE_FRAME, PING_FRAME, NOOP_FRAME = b"1", b"2", b"6"
# What the transport may hold before frames wait in our own queue: the mark at which it asks its writers to pause.
WRITTEN_AHEAD_BYTES = 65_536

logger = logging.getLogger(__name__)


class Listener(Protocol):
    """What a connection tells, once for each frame and once at the end: the engine's side of asyncio's Protocol."""

    def received(self, text: str) -> None: ...

    async def closed(self, reason: str) -> None: ...


class Host(Protocol):
    """What the connections of one engine share: its limits and counters, who is there, and the turns in which to go."""

    limits: Limits
    counters: Counters
    compression: bool
    gathering: Gathering
    departures: Pace
    sockets: dict[str, Connection]

    def listen(self, connection: Connection, /) -> Listener: ...
    def generate_id(self) -> str: ...
    def _bad_request(self) -> Any: ...


class _Nobody:
    """Whom a connection that has ended tells what still comes."""

    def received(self, text: str) -> None:
        pass

    async def closed(self, reason: str) -> None:
        pass


NOBODY = _Nobody()


class Outbox:
    """Frames that wait for their reader, and how many bytes they are; None is the end.

    An asyncio.Queue would cost three kilobytes for each connection, and nearly all of them are empty.
    """

    __slots__ = ("_frames", "_waiter", "size")

    def __init__(self) -> None:
        self._frames: list[bytes | None] = []
        self._waiter: asyncio.Future[None] | None = None
        self.size = 0

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: bytes | None) -> None:
        self._frames.append(frame)
        self.size += len(frame or b"")
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def take(self) -> bytes | None:
        """The frame that has waited longest."""
        frame = self._frames.pop(0)  # of a few hundred at most
        self.size -= len(frame or b"")
        return frame

    async def until_something_waits(self) -> None:
        while not self._frames:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def clear(self) -> None:
        self._frames.clear()
        self.size = 0


class Connection(AsyncSocket):  # type: ignore[misc]  # upstream has no types
    """One client's Engine.IO session; `gone` is done when its listener has been told of the end."""

    connected: bool
    upgrading: bool
    upgraded: bool
    closing: bool
    closed: bool

    def __init__(self, host: Host, sid: str, environ: Environ) -> None:
        super().__init__(host, sid)
        self.host = host
        self.environ = environ
        self.queue = Outbox()
        self.transport: asyncio.Transport | None = None
        self.reason = TRANSPORT_CLOSE
        self.strikes = 0
        self._limits = host.limits
        self._loop = asyncio.get_running_loop()
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self._close_code: int = WSCloseCode.OK
        self._awaits_pong = False
        self._heartbeat: asyncio.TimerHandle | None = None
        self._vanishing: asyncio.Task[None] | None = None
        self._websocket: web.WebSocketResponse | None = None
        self._writes_directly = False
        self._gathered: list[bytes] = []
        self._gathered_bytes = 0
        self._writer: asyncio.Task[None] | None = None
        self.listener: Listener = host.listen(self)

    # What goes out

    def offer(self, frame: bytes) -> None:
        """Writes one frame in this turn of the loop, or queues it behind those that wait for their reader.

        A reader for whom too much waits already is aborted and comes back with its cursor.
        """
        if self.closing:
            return
        if self._may_write():
            self._gather(text_frame(frame))
            return
        if len(self.queue) >= self._limits.max_queued_frames or self.waiting_bytes >= self._limits.max_queued_bytes:
            self.abort_slow_reader()
            return
        self._put(frame)

    def _may_write(self) -> bool:
        """Whether nothing waits before the next frame, and the transport has room for it."""
        return (
            self._writes_directly
            and not self.queue
            and self.transport is not None
            and self._gathered_bytes + self.transport.get_write_buffer_size() < WRITTEN_AHEAD_BYTES
        )

    def _gather(self, frame: bytes) -> None:
        if not self._gathered:
            self.host.gathering.add(self._write_gathered)
        self._gathered.append(frame)
        self._gathered_bytes += len(frame)

    def _write_gathered(self) -> None:
        frames, self._gathered, self._gathered_bytes = self._gathered, [], 0
        if frames and self.transport is not None and not self.transport.is_closing():
            self.transport.write(frames[0] if len(frames) == 1 else b"".join(frames))

    def _put(self, frame: bytes | None) -> None:
        self.queue.put(frame)
        if self._websocket is not None and (self._writer is None or self._writer.done()):
            self._writer = asyncio.create_task(self._write(self._websocket))

    def abort_slow_reader(self) -> None:
        self.host.counters.slow_readers_aborted += 1
        self.abort(SLOW_READER)

    @property
    def is_busy(self) -> bool:
        """Whether a quarter of what may wait for its reader does."""
        many = 4 * len(self.queue) > self._limits.max_queued_frames
        return many or 4 * self.waiting_bytes > self._limits.max_queued_bytes

    @property
    def waiting_bytes(self) -> int:
        buffered = 0 if self.transport is None else self.transport.get_write_buffer_size()
        return self.queue.size + self._gathered_bytes + buffered

    async def send(self, pkt: Packet) -> None:
        """Upstream's way to send, for what upstream itself still sends."""
        encoded = pkt.encode()
        self.offer(encoded.encode() if isinstance(encoded, str) else encoded)

    # How it ends: `finish` and `abort` say so, `vanish` tells the listener, once

    def finish(self, reason: str, code: int = WSCloseCode.OK) -> None:
        """Hears nothing more, sends what is queued, then closes; after the grace it is aborted."""
        if self.closing:
            return
        self.closing = True
        self.reason = reason
        self._close_code = code
        if self.transport is None:
            self._put(CLOSE_FRAME)
        self._put(None)
        self._abort_after_the_grace()

    def abort(self, reason: str) -> None:
        """Ends it now, whatever waits: an aborted transport wakes its reader and its writer."""
        if not self.closing:
            self.closing = True
            self.reason = reason
        self.queue.clear()
        self._put(None)
        self._cut()

    def _abort_after_the_grace(self) -> None:
        # The timer may outlive the connection: aborting a closed transport does nothing.
        self._loop.call_later(self._limits.close_grace_s, self._cut)

    def _cut(self) -> None:
        if self.transport is not None:
            self.transport.abort()
        elif self._vanishing is None:
            # Nobody serves a polling client between two of its requests, so nobody else would notice.
            self._vanishing = asyncio.create_task(self.vanish())

    async def vanish(self) -> None:
        if self.closed:
            return
        self.closing = self.closed = True
        if self._heartbeat is not None:
            self._heartbeat.cancel()
        try:
            await self.host.departures.turn()
            await self.listener.closed(self.reason)
        except Exception:
            logger.exception("A listener failed at the end of its connection")
        finally:
            # Only now: a drain waits for the goodbyes of those who went just before it, too.
            self.host.sockets.pop(self.sid, None)
            self.host.counters.connections -= 1
            self.gone.set_result(None)
            self._let_go()

    def _let_go(self) -> None:
        """Of those who know us in turn: a circle would stay in memory, with all of its hundred objects, until the
        collector finds it, and it does not look through what is old."""
        self.listener = NOBODY
        self.environ = {}
        self._heartbeat = self._vanishing = self._websocket = None

    async def close(self, wait: bool = True, abort: bool = False, reason: str | None = None) -> None:
        """Upstream's way to end a connection: it never waits for a reader here."""
        self.abort(reason or TRANSPORT_CLOSE)

    def strike(self, why: str) -> None:
        """Counts one frame that no honest client sends; `why` is our own words, never the client's."""
        self.host.counters.malformed_frames += 1
        self.strikes += 1
        if self.strikes >= self._limits.max_strikes and not self.closing:
            self.host.counters.strike_outs += 1
            logger.warning("Closed connection %s after %d bad frames, the last: %s", self.sid[:8], self.strikes, why)
            self.abort(PROTOCOL_ERROR)

    # Is anybody there?

    def schedule_ping(self) -> None:
        self._awaits_pong = False
        self._heartbeat = self._loop.call_later(self._limits.ping_interval_s, self._ping)

    def _ping(self) -> None:
        self.offer(PING_FRAME)
        self._awaits_pong = True
        self._heartbeat = self._loop.call_later(self._limits.ping_timeout_s, self._stayed_silent)

    def _stayed_silent(self) -> None:
        self.host.counters.ping_timeouts += 1
        self.abort(PING_TIMEOUT)

    def _pong(self) -> None:
        if self._awaits_pong and self._heartbeat is not None:
            self._heartbeat.cancel()
            self.schedule_ping()

    # What comes in

    def receive_frame(self, frame: str) -> None:
        match frame[:1]:
            case "4":
                self.listener.received(frame[1:])
            case "3":
                self._pong()
            case "1":
                self._take_leave()
            case _:
                self.strike("an Engine.IO packet of no known type")

    def _take_leave(self) -> None:
        if self.transport is None:
            self.abort(CLIENT_DISCONNECT)  # a polling client that closed comes for nothing more
        else:
            self.finish(CLIENT_DISCONNECT)

    # WebSocket

    async def _upgrade_websocket(self, environ: Environ) -> Any:
        """Upstream's name for serving a WebSocket request, be it the first one or an upgrade from polling."""
        request: web.Request = environ["aiohttp.request"]
        if self.upgraded or self.upgrading:
            return self.host._bad_request()
        ws = self._new_websocket()
        self.upgrading = True
        try:
            await ws.prepare(request)
            self.upgraded = not self.connected or await self._probe(ws)
        finally:
            self.upgrading = False
        if self.upgraded:
            _keep_what_is_asked_for(environ)
            await self._serve(ws, request)
        else:
            await ws.close()
        return ws

    def _new_websocket(self) -> web.WebSocketResponse:
        how: dict[str, Any] = {
            "max_msg_size": self._limits.max_frame_bytes + 1,  # aiohttp refuses what reaches it
            "compress": self.host.compression,
            "timeout": self._limits.close_grace_s,
        }
        # An upgrade from polling begins with a probe, whose two frames are read one by one.
        if FITS and not self.connected:
            return DirectWebSocket(self._hear, self.host.departures, **how)
        return web.WebSocketResponse(**how)

    async def _probe(self, ws: web.WebSocketResponse) -> bool:
        """An upgrade from polling: the client proves that the WebSocket works before anything moves over."""
        with contextlib.suppress(TimeoutError, TypeError, ConnectionError):
            if await ws.receive_str(timeout=self._limits.connect_timeout_s) != "2probe":
                return False
            await ws.send_str("3probe")
            self.offer(NOOP_FRAME)  # ends the poll that waits
            return await ws.receive_str(timeout=self._limits.connect_timeout_s) == "5"
        return False

    async def _serve(self, ws: web.WebSocketResponse, request: web.Request) -> None:
        self.connected = True
        self.transport = request.transport
        self._websocket = ws
        self._writes_directly = FITS and not ws.compress
        self._send_what_waits()
        try:
            if self.transport is not None:
                await self._read(ws)
        finally:
            self.finish(TRANSPORT_CLOSE)
            self._abort_after_the_grace()
            await self.vanish()
            if self._writer is not None:
                await self._writer
            self._writer = None
            break_cycles(ws, request)

    def _send_what_waits(self) -> None:
        """What was said before there was a transport to write to."""
        for frame in [self.queue.take() for _ in range(len(self.queue))]:
            self._put(None) if frame is None else self.offer(frame)

    async def _read(self, ws: web.WebSocketResponse) -> None:
        """Waits for nothing but frames: a listener that took its time here would delay pongs and the end itself."""
        while not self.closing:
            message = await ws.receive()
            if message.type is WSMsgType.TEXT:
                self.receive_frame(message.data)
            elif message.type is WSMsgType.BINARY:
                self.strike("a binary frame")
            else:
                return

    def _hear(self, frame: str) -> None:
        """A text frame that did not pass through `_read`."""
        if not self.closing:
            self.receive_frame(frame)

    async def _write(self, ws: web.WebSocketResponse) -> None:
        """Sends what waits, at the pace of its reader; it runs only while something waits."""
        self._write_gathered()  # which was said before what waits
        with contextlib.suppress(ConnectionError):  # the reader meets the same end and tells of it
            while self.queue:
                frame = self.queue.take()
                if frame is None:
                    await ws.close(code=self._close_code)
                    return
                await ws.send_frame(frame, WSMsgType.TEXT)

    # Polling, where it is allowed

    async def poll(self) -> list[Packet]:
        """What waits for the client, all of it; where the connection has ended, the noop that ends a poll."""
        try:
            async with asyncio.timeout(self._limits.ping_interval_s + self._limits.ping_timeout_s):
                await self.queue.until_something_waits()
        except TimeoutError:
            raise QueueEmpty from None
        packets = []
        while self.queue:
            frame = self.queue.take()
            if frame is None:
                self.queue.put(None)
                break
            packets.append(_packet_of(frame))
        return packets or [Packet(NOOP)]

    async def handle_post_request(self, environ: Environ) -> None:
        length = int(environ.get("CONTENT_LENGTH", "0"))
        if length > self._limits.max_frame_bytes:
            raise ContentTooLongError
        try:
            frames = (await environ["wsgi.input"].readexactly(length)).decode().split("\x1e")
        except (UnicodeDecodeError, asyncio.IncompleteReadError):
            raise EngineIOError("not a payload") from None
        if len(frames) > MAX_FRAMES_IN_A_POST:
            raise EngineIOError("too many packets in one payload")
        for frame in frames:
            if not self.closing:
                self.receive_frame(frame)


def _packet_of(frame: bytes) -> Packet:
    packet = Packet(MESSAGE)
    packet.encode_cache = frame.decode()
    return packet


def _keep_what_is_asked_for(environ: Environ) -> None:
    """A handshake as its library describes it takes a kilobyte more, for as long as the WebSocket is open."""
    kept = {name: environ[name] for name in LOOKED_UP_LATER if name in environ}
    environ.clear()
    environ.update(kept)
