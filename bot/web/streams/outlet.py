"""The way out to one reader of a stream: what is written they take within a time, or they are cut off.

A reader who was cut off comes back with their cursor and misses nothing; one who never reads would otherwise keep a
task, a connection and whatever was written to them for as long as the network lets them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

from bot.web.http.exchange import SERVICES

Transport = Literal["sse", "websocket", "poll"]


@dataclass
class StreamCounters:
    """Plain numbers for the metrics: the first are now, the others since the start."""

    open: Counter[Transport] = field(default_factory=Counter)
    opened: Counter[Transport] = field(default_factory=Counter)
    slow_readers_aborted: int = 0

    @contextmanager
    def counted(self, transport: Transport) -> Iterator[None]:
        self.open[transport] += 1
        self.opened[transport] += 1
        try:
            yield
        finally:
            self.open[transport] -= 1


COUNTERS: web.AppKey[StreamCounters] = web.AppKey("stream counters", StreamCounters)


class Outlet:
    """Writes of one response, each of which is over when the reader's side has taken it."""

    def __init__(self, request: web.Request) -> None:
        assert request.transport is not None, "a request whose handler runs has a connection"
        self._transport = request.transport
        self._writer = request.writer
        self._counters = request.app[COUNTERS]
        # Without one byte taken: the slowest line takes some.
        self._stalled_for_s = request.app[SERVICES].settings.rhythms.streams.stalled_for_s
        self._loop = asyncio.get_running_loop()
        self._sending = 0
        self._watch: asyncio.TimerHandle | None = None
        # The writer then waits whenever anything is left here, and not only when much is.
        self._transport.set_write_buffer_limits(high=0)

    async def send(self, writing: Awaitable[object]) -> None:
        """Raises ConnectionError where the reader has gone, or does not read."""
        self._sending += 1
        if self._watch is None:
            self._look(left=-1)
        try:
            await writing
            await self._writer.drain()
        finally:
            self._sending -= 1
            if not self._sending and self._watch is not None:
                self._watch.cancel()
                self._watch = None
        if self._transport.is_closing():
            raise ConnectionResetError("the reader has gone")

    def _look(self, left: int) -> None:
        now_left = self._transport.get_write_buffer_size()
        if left == now_left > 0:
            self._counters.slow_readers_aborted += 1
            self._transport.abort()
        else:
            self._watch = self._loop.call_later(self._stalled_for_s, self._look, now_left)

    def close(self) -> None:
        """What has not been taken by now never will be: nothing of it is waited for."""
        if self._transport.get_write_buffer_size() > 0:
            self._transport.abort()


@contextmanager
def outlet_of(request: web.Request, transport: Transport) -> Iterator[Outlet]:
    """The outlet of a response, counted as long as it is open."""
    outlet = Outlet(request)
    with request.app[COUNTERS].counted(transport):
        try:
            yield outlet
        finally:
            outlet.close()
