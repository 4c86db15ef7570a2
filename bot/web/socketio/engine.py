"""Engine.IO under our limits: the HTTP side, that is handshakes, origins and addresses.

Why upstream is overridden (python-engineio 4.15.1, aiohttp driver; a test holds the pin). Read this again when the pin
moves. On the side of the single connection:

- The queue of a socket has no bound, and a socket that is closed while its writer waits for a reader who does not read
  keeps its TCP connection, three tasks and the whole queue for ever. Here the bound is checked where a frame is queued,
  and the transport is aborted: that wakes writer and reader alike. (A queue with a `maxsize` would make the sender wait
  for the slowest reader.)
- A client that answers pings but never reads is never noticed: the same bound.
- A frame that is no packet raises out of the loop: a traceback for each, and nobody told that the socket ended. Here it
  is a strike.
- Two tasks for each incoming frame, a sleeping task for each ping, one task that walks over all sockets: here one
  task and one timer for each connection, frames pass without either (`direct_frames.py`), and a writer runs only while
  something waits for its reader.
- A poll's body is read only as far as it has arrived, and more than 16 packets in it are dropped with 200 OK.
- permessage-deflate is always offered: 130 KiB for each idle client.

And on the side of the server:

- A request to a WebSocket without `Connection: upgrade` is answered as a poll and fails in aiohttp; a failed handshake
  leaves its socket behind.
- `cors_allowed_origins=[]` lets everybody in.
- REMOTE_ADDR is 127.0.0.1 whoever calls.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import parse_qs

import engineio
from aiohttp import web
from engineio.async_drivers.aiohttp import translate_request
from engineio.packet import OPEN, Packet

from bot.access.connections import RETURN_AFTER_S, Release
from bot.errors import Refusal
from bot.web.http.client_address import client_address
from bot.web.socketio.connection import Connection, Environ, Listener
from bot.web.socketio.direct_frames import Gathering
from bot.web.socketio.limits import Counters, Limits
from bot.web.socketio.pace import Pace

logger = logging.getLogger(__name__)

PINNED = "4.15.1"

NOT_NOW = {
    "status": "503 Service Unavailable",
    "headers": [("Content-Type", "text/plain"), ("Retry-After", "1")],
    "response": b"This process is closing.",
}
TOO_MANY = {
    "status": "429 Too Many Requests",
    "headers": [("Content-Type", "text/plain"), ("Retry-After", str(int(RETURN_AFTER_S)))],
    "response": b"Too many connections are open from this address.",
}


class Engine(engineio.AsyncServer):  # type: ignore[misc]  # upstream has no types
    """The HTTP side: handshakes, origins, addresses. `closing` answers newcomers with 503."""

    _async: dict[str, Any]

    def __init__(
        self,
        *,
        limits: Limits,
        counters: Counters,
        listen: Callable[[Connection], Listener],
        origins: Sequence[str],
        trust_proxy: bool,
        compression: bool,
        admit: Callable[[str], Release],
        **upstream: Any,
    ) -> None:
        super().__init__(
            async_mode="aiohttp",
            monitor_clients=False,  # each connection has its own timer
            ping_interval=limits.ping_interval_s,
            ping_timeout=limits.ping_timeout_s,
            max_http_buffer_size=limits.max_frame_bytes,
            **upstream,
        )
        self.limits = limits
        self.counters = counters
        self.listen = listen
        self.compression = compression
        self.closing = False
        self.gathering = Gathering()
        self.departures = Pace(limits.departures_in_a_turn)
        self.sockets: dict[str, Connection] = {}
        self._origins = tuple(origins)
        self._trust_proxy = trust_proxy
        self._admit = admit
        self._async = {**self._async, "translate_request": self._environ_of}

    def _log_error_once(self, message: str, message_key: str) -> None:
        """A handshake that makes no sense is its client's mistake, and `message` may quote it: its kind is told."""
        if message_key not in self.log_message_keys:
            self.log_message_keys.add(message_key)
            logger.warning("A handshake was refused, and the next ones like it will be silently: %s", message_key)

    def _environ_of(self, request: web.Request) -> Environ:
        environ: Environ = translate_request(request)
        environ["REMOTE_ADDR"] = client_address(request, trust_proxy=self._trust_proxy)
        return environ

    def _cors_allowed_origins(self, environ: Environ) -> list[str] | None:
        """Ourselves and those who are listed; None is everybody. A caller without Origin is no browser and may come."""
        if "*" in self._origins:
            return None
        origin: str = environ.get("HTTP_ORIGIN", "")
        is_ours = origin.partition("://")[2] == environ.get("HTTP_HOST", "")
        return [*self._origins, origin] if is_ours else list(self._origins)

    async def _handle_connect(self, environ: Environ, transport: str, jsonp_index: int | None = None) -> Any:
        if self.closing:
            return NOT_NOW
        if "transport" not in parse_qs(environ.get("QUERY_STRING", "")):  # the library takes it for polling
            return self._bad_request("Invalid transport")
        try:
            release = self._admit(environ["REMOTE_ADDR"])
        except Refusal:
            return TOO_MANY
        connection = self._open(environ, transport)
        connection.gone.add_done_callback(lambda _: release())
        if transport == "websocket":
            try:
                return await connection._upgrade_websocket(environ)
            finally:
                await connection.vanish()
        connection.connected = True
        return self._ok(await connection.poll(), jsonp_index=jsonp_index)

    def _open(self, environ: Environ, transport: str) -> Connection:
        connection = Connection(self, self.generate_id(), environ)
        self.sockets[connection.sid] = connection
        self.counters.connections += 1
        self.counters.connections_opened += 1
        connection.offer(self._open_packet(connection.sid, transport).encode().encode())
        connection.schedule_ping()
        return connection

    def _open_packet(self, sid: str, transport: str) -> Packet:
        return Packet(
            OPEN,
            {
                "sid": sid,
                "upgrades": ["websocket"] if transport == "polling" and "websocket" in self.transports else [],
                "pingInterval": int(self.limits.ping_interval_s * 1000),
                "pingTimeout": int(self.limits.ping_timeout_s * 1000),
                "maxPayload": self.limits.max_frame_bytes,
            },
        )
