"""The feeds without Socket.IO: server-sent events, long poll and plain WebSocket, by the same cursor.

A reader takes entries at its own pace: what has not been read stays in the feed, and nothing gathers for a slow one
but the piece that is being written to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import orjson
import structlog
from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import ValidationError

from bot.connections import RETURN_AFTER_S
from bot.doors.answers import refusal
from bot.doors.attendance import Attendance
from bot.doors.bearers import Stretch, bearer_of, stretch_of
from bot.doors.commands import execute
from bot.doors.correspondence import visits_of
from bot.doors.farewell import GOING_AWAY, farewell
from bot.doors.http import SERVICES, address_of, json_response, locale_of
from bot.doors.leftovers import let_go_of
from bot.doors.outlet import COUNTERS, Outlet, outlet_of
from bot.doors.situations import RETRY_AFTER_S, situation_of
from bot.doors.snapshots import page_of
from bot.doors.token_bucket import TokenBucket
from bot.errors import Outage, Refusal
from bot.failures import is_outage
from bot.feed_names import therapist_feed
from bot.feeds import Entry
from bot.limits import Asker, too_fast
from bot.payloads import StreamQuery, WebSocketFrame, parse, refusal_of
from bot.presence import NOTHING_SEEN, Signal
from bot.render import encode_entry, render_entry
from bot.services import Services
from bot.store.rooms import is_room_of
from bot.store.tickets import Bearer
from bot.views import error_view, moment
from conversations.values import Locale

log = structlog.get_logger()

PAGE = 100
HEARTBEAT_S = 15.0
LONGEST_WAIT_S = 20.0
RETRY_MS = 2_000
# A poll is followed by the next one; until then its reader counts as being there.
BETWEEN_POLLS_S = 5.0
RETURN_AFTER_MS = int(RETURN_AFTER_S * 1000)
# Written in one go; more of a page waits, unencoded, until the reader has taken this.
LARGEST_PIECE = 64 * 1024
# For the other side's half of a goodbye.
CLOSE_WITHIN_S = 1.0


class Reading:
    """One reader of one stretch of a feed, who asks for what comes next, and for the signals that have come.

    `can_speak` says whether commands come by the same connection; the reader is absent `absent_after_s` after its end.
    """

    def __init__(
        self,
        services: Services,
        bearer: Bearer,
        stretch: Stretch,
        locale: Locale,
        cursor: int,
        *,
        can_speak: bool,
        absent_after_s: float,
    ) -> None:
        self._services = services
        self.bearer = bearer
        self._stretch = stretch
        self._locale = locale
        self.cursor = cursor
        self.is_over = stretch.last is not None and cursor >= stretch.last
        self.gave_way = False
        self._news = asyncio.Event()
        self._signals: dict[str, dict[str, Any]] = {}
        self.attendance = Attendance(
            services.signals, bearer.audience, bearer.subject, self._take_signal, is_quiet=not can_speak
        )
        # Emptied in the end: what it holds knows this reading, and a circle would wait for the collector.
        self._endings = ExitStack()
        self._endings.callback(services.feeds.follow(stretch.feed, cursor, lambda _: self._news.set()).close)
        self._endings.callback(self.attendance.close, absent_after_s)
        self._endings.callback(services.access.watch(bearer, self._end))

    def __enter__(self) -> Reading:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._endings.close()

    def _end(self) -> None:
        """The token that opened this was ended."""
        self.is_over = True
        self._news.set()

    def give_way(self) -> None:
        """Ends for a newer reader of the same person."""
        self.is_over = self.gave_way = True
        self._news.set()

    def _take_signal(self, name: str, data: dict[str, Any]) -> None:
        """Of each kind the newest: nothing gathers for a slow reader."""
        self._signals[name] = data
        self._news.set()

    def signals(self) -> list[Signal]:
        """Those that have come since they were last asked for."""
        taken, self._signals = self._signals, {}
        return list(taken.items())

    async def next(self, wait_s: float) -> list[Entry]:
        """The entries after the cursor, at once or as soon as there is one.

        None when a signal has come first, or the time or the feed is over.
        """
        entries = await self._read()
        if not entries and not self._signals and not self.is_over and wait_s > 0:
            await self._wait(wait_s)
            entries = await self._read()
        return entries

    async def follow(self, wait_s: float) -> list[Entry]:
        """As `next`; an outage only delays what comes."""
        try:
            return await self.next(wait_s)
        except Exception as error:
            if not is_outage(error):
                raise
            with suppress(TimeoutError):
                async with asyncio.timeout(RETRY_AFTER_S):
                    await self._services.stopping.wait()
            return []

    async def _read(self) -> list[Entry]:
        self._news.clear()
        entries: list[Entry] = []
        for entry in await self._services.feeds.since(self._stretch.feed, self.cursor, PAGE):
            if self.is_over:
                break
            entries.append(entry)
            self.cursor = entry.seq
            self.is_over = entry.seq == self._stretch.last or self._closes(entry)
            if self.bearer.audience == "guest":
                self.attendance.see(entry)
        return entries

    def _closes(self, entry: Entry) -> bool:
        """The line that ends the visit is the last that its therapist reads of a conversation."""
        is_room = self.bearer.audience == "therapist" and entry.feed != therapist_feed(self.bearer.subject)
        return is_room and entry.type == "state" and not is_room_of(entry.data, self.bearer.subject)

    async def _wait(self, wait_s: float) -> None:
        """Until there is news, the process stops, or the time is over."""
        waits = {asyncio.ensure_future(self._news.wait()), asyncio.ensure_future(self._services.stopping.wait())}
        try:
            await asyncio.wait(waits, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    def view(self, entry: Entry) -> dict[str, Any]:
        return render_entry(self._services.words, entry, self._locale, self.bearer.audience)

    def frame(self, entry: Entry) -> bytes:
        return encode_entry(self._services.words, entry, self._locale, self.bearer.audience)


async def _begin(
    request: web.Request,
    query: StreamQuery,
    since: int | None,
    stack: ExitStack,
    *,
    can_speak: bool = False,
    absent_after_s: float = 0.0,
) -> tuple[Reading, bool]:
    """A reading from the cursor, and whether the cursor made no sense and the reader must begin anew.

    It ends, and counts no longer as a connection, with the stack.
    """
    services = request.app[SERVICES]
    if services.is_stopping:
        raise Outage("this process is about to end")
    stack.callback(services.connections.admit(address_of(request)))
    bearer = await _admitted(request, services)
    stretch = await stretch_of(services, bearer, query.feed)
    same_epoch = query.epoch in (None, services.epoch)
    page = await page_of(services, stretch.feed, since, first=stretch.first, same_epoch=same_epoch)
    visits = await visits_of(services, bearer, stretch)
    cursor = page.cursor - len(page.entries)
    locale = locale_of(request)
    reading = stack.enter_context(
        Reading(services, bearer, stretch, locale, cursor, can_speak=can_speak, absent_after_s=absent_after_s)
    )
    stack.callback(services.connections.hold(bearer.subject, reading.give_way))
    # What a poll does not know by its own word it hears in its answer; a stream is told everything there is.
    told = visits if absent_after_s else dict.fromkeys(visits, NOTHING_SEEN)
    reading.attendance.enter(told, known_up_to=page.head)
    return reading, page.is_resync


async def _admitted(request: web.Request, services: Services) -> Bearer:
    """Limited before a ticket is looked up: whose it is shows only then, and it was limited when it was asked for."""
    bearer = None if request.query.get("ticket") else await bearer_of(request)
    await services.limits.take("streams", Asker(address_of(request), bearer.subject if bearer else ""))
    return bearer or await bearer_of(request, with_ticket=True)


def _query(request: web.Request) -> StreamQuery:
    known = {name: value for name, value in request.query.items() if name not in ("locale", "ticket")}
    try:
        return StreamQuery.model_validate_strings(known)
    except ValidationError as error:
        raise refusal_of(error) from None


async def poll(request: web.Request) -> web.Response:
    """`{entries, last_seq, signals, …}` at once when there is something, else when there is, or after `wait`.

    `signals` say all there is to be seen at that moment. Who gives `signals_cursor` back as the query's `signals` hears
    at once what has changed between two polls.

    `over` says that nothing will ever follow: the visit whose room this is has ended.
    """
    services, query = request.app[SERVICES], _query(request)
    with ExitStack() as stack:
        stack.enter_context(request.app[COUNTERS].counted("poll"))
        reading, is_resync = await _begin(request, query, query.since, stack, absent_after_s=BETWEEN_POLLS_S)
        has_news = is_resync or query.signals not in (None, reading.attendance.cursor)
        entries = await reading.next(0.0 if has_news else query.wait)
        answer = {
            "entries": [reading.view(entry) for entry in entries],
            "last_seq": reading.cursor,
            "signals": [*_present(reading), *_parting(services, reading)],
            "signals_cursor": reading.attendance.cursor,
            "epoch": services.epoch,
            "resync": is_resync,
            "over": reading.is_over and not reading.gave_way,
            "server_time": moment(services.clock.now()),
        }
    return json_response(answer, headers={"Cache-Control": "no-store"})


async def server_sent_events(request: web.Request) -> web.StreamResponse:
    """One event per entry with its number as the id; `resync` first where the cursor made no sense."""
    services, query = request.app[SERVICES], _query(request)
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = web.StreamResponse(headers=headers)
    with ExitStack() as stack:
        reading, is_resync = await _begin(request, query, _last_event_id(request, query), stack)
        with suppress(ConnectionError):
            await stream.prepare(request)
            outlet = stack.enter_context(outlet_of(request, "sse"))
            await _write_events(stream, outlet, services, reading, "resync" if is_resync else "start")
    return stream


async def _write_events(
    stream: web.StreamResponse, outlet: Outlet, services: Services, reading: Reading, first: str
) -> None:
    try:
        start = orjson.dumps(_start(services, reading)).decode()
        await outlet.send(stream.write(f"retry: {RETRY_MS}\nevent: {first}\ndata: {start}\n\n".encode()))
        while not (services.is_stopping or reading.is_over):
            entries = await reading.follow(HEARTBEAT_S)
            for piece in _pieces(reading, entries):
                await outlet.send(stream.write(piece))
        await outlet.send(stream.write(_goodbye(services, reading)))
    except ConnectionError:
        pass
    except Exception:
        # An answer has begun, so there can be no other: it ends, and its reader comes back with their cursor.
        log.exception("a stream failed")


def _start(services: Services, reading: Reading) -> dict[str, Any]:
    return {"epoch": services.epoch, "since": reading.cursor}


def _pieces(reading: Reading, entries: Sequence[Entry]) -> Iterator[bytes]:
    """The entries and signals as events, several at a time."""
    piece = bytearray()
    for entry in entries:
        piece += b"id: %d\ndata: %b\n\n" % (entry.seq, reading.frame(entry))
        if len(piece) >= LARGEST_PIECE:
            yield bytes(piece)
            piece.clear()
    for name, data in reading.signals():
        piece += b"event: %b\ndata: %b\n\n" % (name.encode(), orjson.dumps(data))
    if piece or not entries:
        yield bytes(piece) or b": still here\n\n"


def _goodbye(services: Services, reading: Reading) -> bytes:
    """The end of the feed, or when to come back to it; a browser that comes back by itself keeps to that, too."""
    if not _must_move(services, reading):
        return b"event: end\ndata: {}\n\n"
    notice = _going_away(services, reading)["data"]
    return b"retry: %d\nevent: going_away\ndata: %b\n\n" % (notice["retry_in_ms"], orjson.dumps(notice))


def _present(reading: Reading) -> list[dict[str, Any]]:
    return [{"signal": name, "data": data} for name, data in reading.attendance.present()]


def _parting(services: Services, reading: Reading) -> list[dict[str, Any]]:
    return [_going_away(services, reading)] if _must_move(services, reading) else []


def _must_move(services: Services, reading: Reading) -> bool:
    """Whether this ends although the feed goes on."""
    return reading.gave_way or services.is_stopping


def _going_away(services: Services, reading: Reading) -> dict[str, Any]:
    """The goodbye as a signal, on the transports that have frames and answers instead of named events."""
    return {"signal": GOING_AWAY, "data": {"retry_in_ms": RETURN_AFTER_MS} if reading.gave_way else farewell()}


def _last_event_id(request: web.Request, query: StreamQuery) -> int | None:
    """What a browser says when it comes back by itself counts more than the address it first came with."""
    last = request.headers.get("Last-Event-ID", "")
    if not last:
        return query.since
    try:
        return StreamQuery.model_validate_strings({"since": last}).since
    except ValidationError as error:
        refused = refusal_of(error)
        refused.fields["Last-Event-ID"] = refused.fields.pop("since")
        raise refused from None


async def websocket(request: web.Request) -> web.StreamResponse:
    """Each text frame is one entry; commands come as `{"event", "data"}` and are answered `{"ack", …}`."""
    services, query = request.app[SERVICES], _query(request)
    settings = services.settings
    socket = web.WebSocketResponse(
        heartbeat=settings.ping_interval_s,
        compress=False,
        max_msg_size=settings.largest_frame_bytes,
        timeout=CLOSE_WITHIN_S,
    )
    with ExitStack() as stack:
        stack.callback(let_go_of, socket, request)
        reading, is_resync = await _begin(request, query, query.since, stack, can_speak=True)
        with suppress(ConnectionError):
            await socket.prepare(request)
            line = Line(socket, stack.enter_context(outlet_of(request, "websocket")))
            await line.send(orjson.dumps({"start": True, "resync": is_resync, **_start(services, reading)}))
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
            for entry in await reading.follow(HEARTBEAT_S):
                await line.send(reading.frame(entry))
            for name, data in reading.signals():
                await line.send(orjson.dumps({"signal": name, "data": data}))
        if _must_move(services, reading):
            await line.send(orjson.dumps(_going_away(services, reading)))
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
    web.get("/api/poll/bookings", poll),
    web.get("/api/sse/bookings", server_sent_events),
    web.get("/ws/bookings", websocket),
    web.get("/api/bookings/realtime", websocket),
]
