"""A feed and its commands on a plain WebSocket, for who has no Socket.IO."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import Any

import orjson
import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from bot.access.limits import too_fast
from bot.errors import Refusal
from bot.logs.failures import is_outage
from bot.schemas.parsing import parse
from bot.schemas.requests import WebSocketFrame
from bot.schemas.views import error_view
from bot.services import Services
from bot.web.http.commands import execute
from bot.web.http.exchange import SERVICES, address_of, locale_of
from bot.web.sessions.answers import refusal
from bot.web.sessions.situations import situation_of
from bot.web.socketio.reference_cycles import break_cycles
from bot.web.socketio.token_bucket import TokenBucket
from bot.web.streams.outlet import Outlet, outlet_of
from bot.web.streams.reading import Reading, begin, going_away, must_move, query_of, start_of
from conversations.values import Locale

log = structlog.get_logger()

# For the other side's half of a goodbye.
CLOSE_WITHIN_S = 1.0


async def websocket(request: web.Request) -> web.StreamResponse:
    """Each text frame is one entry; commands come as `{"event", "data"}` and are answered `{"ack", …}`."""
    services, query = request.app[SERVICES], query_of(request)
    settings = services.settings
    socket = web.WebSocketResponse(
        heartbeat=settings.ping_interval_s,
        compress=False,
        max_msg_size=settings.largest_frame_bytes,
        timeout=CLOSE_WITHIN_S,
    )
    with ExitStack() as stack:
        stack.callback(break_cycles, socket, request)
        reading, is_resync = await begin(request, query, query.since, stack, can_speak=True)
        with suppress(ConnectionError):
            await socket.prepare(request)
            line = Line(socket, stack.enter_context(outlet_of(request, "websocket")))
            await line.send(orjson.dumps({"start": True, "resync": is_resync, **start_of(services, reading)}))
            writer = asyncio.create_task(_write_entries(line, services, reading))
            try:
                await _take_commands(line, services, reading, address_of(request), locale_of(request))
            finally:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)
    return socket


@dataclass(frozen=True, slots=True)
class Line:
    """A plain WebSocket, and the way out to its reader."""

    socket: web.WebSocketResponse
    outlet: Outlet

    async def send(self, frame: bytes) -> None:
        await self.outlet.send(self.socket.send_frame(frame, WSMsgType.TEXT))

    async def close(self, code: int) -> None:
        await self.outlet.send(self.socket.close(code=code))


async def _write_entries(line: Line, services: Services, reading: Reading) -> None:
    try:
        while not (services.is_stopping or reading.is_over or line.socket.closed):
            for entry in await reading.follow():
                await line.send(reading.frame(entry))
            for name, data in reading.signals():
                await line.send(orjson.dumps({"signal": name, "data": data}))
        if must_move(services, reading):
            await line.send(orjson.dumps(going_away(services, reading)))
        await line.close(_close_code(services, reading))
    except ConnectionError:
        pass
    except Exception:
        log.exception("a stream failed")
        await line.close(WSCloseCode.TRY_AGAIN_LATER)


def _close_code(services: Services, reading: Reading) -> int:
    if reading.gave_way:
        return WSCloseCode.TRY_AGAIN_LATER
    return WSCloseCode.GOING_AWAY if services.is_stopping else WSCloseCode.OK


async def _take_commands(line: Line, services: Services, reading: Reading, address: str, locale: Locale) -> None:
    """One after the other, each answered; what is no frame of ours is answered too."""
    rate, loop = services.settings.limit_commands_per_connection, asyncio.get_running_loop()
    pace = TokenBucket(rate.per_s, rate.burst, loop.time())
    async for message in line.socket:
        if message.type is not WSMsgType.TEXT:
            await line.close(WSCloseCode.UNSUPPORTED_DATA)
            return
        ack: Any = None
        wait_s = pace.take(loop.time())
        try:
            frame = parse(WebSocketFrame, _json(message.data))
            ack = _echo(frame.data.get("client_id"))
            if wait_s:
                raise too_fast(wait_s)
            answer = await execute(
                services, reading.bearer, address, locale, frame.event, frame.data, reading.attendance
            )
        except Exception as error:
            if not isinstance(error, Refusal) and not is_outage(error):
                log.exception("a command failed")
            answer = {"ok": False, "error": error_view(services.words, situation_of(error), locale)}
        await line.send(orjson.dumps({"ack": ack, **answer}))


def _echo(client_id: Any) -> str | None:
    """What an answer names as the command it belongs to: an id that could be one, and nothing else of theirs."""
    return client_id if isinstance(client_id, str) and len(client_id) <= 64 else None


def _json(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise refusal("invalid") from None


ROUTES = [
    web.get("/ws/bookings", websocket),
    web.get("/api/bookings/realtime", websocket),
]
