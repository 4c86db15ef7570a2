"""WebSocket frames without a task for each: heard where aiohttp parses them, written where they are made.

aiohttp's way wakes a task for every frame that comes and another for every frame that goes, which costs more than all
else that happens to a chat message. Only whole text frames take the short way; pings, closes, errors, compression and
whatever waits for a slow reader take aiohttp's own. It leans on names that aiohttp does not promise (3.14: the queue
behind the parser, and how a response starts), so `FITS` says whether they are there, and if not, everything takes
aiohttp's way. A test holds the pin.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader

from bot.web.socketio.pace import Pace

PINNED = "3.14"
FITS = aiohttp.__version__.startswith(f"{PINNED}.")

Hear = Callable[[str], None]

# RFC 6455, section 5.2: the whole message in one frame of text, unmasked since a server sends it.
_WHOLE_TEXT = 0x81
_SHORT, _LONG, _LONGEST = struct.Struct("!BB").pack, struct.Struct("!BBH").pack, struct.Struct("!BBQ").pack

logger = logging.getLogger(__name__)


def text_frame(payload: bytes) -> bytes:
    """The payload, which is UTF-8, as one WebSocket frame."""
    length = len(payload)
    if length < 126:
        return _SHORT(_WHOLE_TEXT, length) + payload
    if length < 65_536:
        return _LONG(_WHOLE_TEXT, 126, length) + payload
    return _LONGEST(_WHOLE_TEXT, 127, length) + payload


class Gathering:
    """Those who have something to write write it once in each turn of the loop, all together.

    An ack and the entry it belongs to, or the messages of a whole batch, then cost one system call for each connection
    and not one for each frame: uvloop writes at once whatever it is given.
    """

    def __init__(self) -> None:
        self._writes: list[Callable[[], None]] = []

    def add(self, write: Callable[[], None]) -> None:
        """`write` does not raise; it is called once, when the callbacks that are due now have run."""
        if not self._writes:
            asyncio.get_running_loop().call_soon(self._write_all)
        self._writes.append(write)

    def _write_all(self) -> None:
        writes, self._writes = self._writes, []
        for write in writes:
            write()


class _Inlet(WebSocketDataQueue):
    """The queue behind the parser, which hands text on at once and keeps the rest for `receive`."""

    def __init__(self, request: web.BaseRequest, hear: Hear, departures: Pace) -> None:
        super().__init__(request.protocol, 2**16, loop=asyncio.get_running_loop())
        self._hear = hear
        self._departures = departures

    def feed_eof(self) -> None:
        """Its connection is lost, and with it perhaps thousands."""
        self._departures.call(super().feed_eof)

    def feed_data(self, data: Any, size: int) -> None:
        if data.type is not WSMsgType.TEXT:
            super().feed_data(data, size)
            return
        try:
            self._hear(data.data)
        except Exception:
            # The parser is compiled code that would swallow it.
            logger.exception("A frame could not be heard")


class DirectWebSocket(web.WebSocketResponse):
    """A WebSocket whose text frames go to `hear` instead of `receive`, from the moment of `prepare`."""

    def __init__(self, hear: Hear, departures: Pace, **upstream: Any) -> None:
        super().__init__(**upstream)
        self._hear = hear
        self._departures = departures
        self.is_direct = False

    def _post_start(self, request: web.BaseRequest, protocol: str | None, writer: Any) -> None:
        came_early = bool(request.protocol._message_tail)
        super()._post_start(request, protocol, writer)
        if came_early or self.compress:
            return
        self.is_direct = True
        self._reader = _Inlet(request, self._hear, self._departures)
        self._parser = WebSocketReader(self._reader, self._max_msg_size, compress=False, decode_text=True)
        request.protocol._payload_parser = None
        request.protocol.set_parser(self._parser)
