"""The feeds over plain HTTP: long poll and server-sent events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from typing import Any

import orjson
import structlog
from aiohttp import web
from pydantic import ValidationError

from bot.schemas.parsing import refusal_of
from bot.schemas.requests import StreamQuery
from bot.schemas.views import moment
from bot.services import Services
from bot.store.entries import Entry
from bot.web.http.exchange import SERVICES, json_response
from bot.web.streams.outlet import COUNTERS, Outlet, outlet_of
from bot.web.streams.reading import Reading, begin, going_away, must_move, query_of, start_of

log = structlog.get_logger()

RETRY_MS = 2_000
# Written in one go; more of a page waits, unencoded, until the reader has taken this.
LARGEST_PIECE = 64 * 1024


async def poll(request: web.Request) -> web.Response:
    """`{entries, last_seq, signals, …}` at once when there is something, else when there is, or after `wait`.

    `signals` say all there is to be seen at that moment. Who gives `signals_cursor` back as the query's `signals` hears
    at once what has changed between two polls.

    `over` says that nothing will ever follow: the visit whose room this is has ended.
    """
    services, query = request.app[SERVICES], query_of(request)
    with ExitStack() as stack:
        stack.enter_context(request.app[COUNTERS].counted("poll"))
        between_polls_s = services.settings.rhythms.streams.between_polls_s
        reading, is_resync = await begin(request, query, query.since, stack, absent_after_s=between_polls_s)
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


def _present(reading: Reading) -> list[dict[str, Any]]:
    return [{"signal": name, "data": data} for name, data in reading.attendance.present()]


def _parting(services: Services, reading: Reading) -> list[dict[str, Any]]:
    return [going_away(services, reading)] if must_move(services, reading) else []


async def server_sent_events(request: web.Request) -> web.StreamResponse:
    """One event per entry with its number as the id; `resync` first where the cursor made no sense."""
    services, query = request.app[SERVICES], query_of(request)
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    stream = web.StreamResponse(headers=headers)
    with ExitStack() as stack:
        reading, is_resync = await begin(request, query, _last_event_id(request, query), stack)
        with suppress(ConnectionError):
            await stream.prepare(request)
            outlet = stack.enter_context(outlet_of(request, "sse"))
            await _write_events(stream, outlet, services, reading, "resync" if is_resync else "start")
    return stream


async def _write_events(
    stream: web.StreamResponse, outlet: Outlet, services: Services, reading: Reading, first: str
) -> None:
    try:
        start = orjson.dumps(start_of(services, reading)).decode()
        await outlet.send(stream.write(f"retry: {RETRY_MS}\nevent: {first}\ndata: {start}\n\n".encode()))
        while not (services.is_stopping or reading.is_over):
            entries = await reading.follow()
            for piece in _pieces(reading, entries):
                await outlet.send(stream.write(piece))
        await outlet.send(stream.write(_goodbye(services, reading)))
    except ConnectionError:
        pass
    except Exception:
        # An answer has begun, so there can be no other: it ends, and its reader comes back with their cursor.
        log.exception("a stream failed")


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
    if not must_move(services, reading):
        return b"event: end\ndata: {}\n\n"
    notice = going_away(services, reading)["data"]
    return b"retry: %d\nevent: going_away\ndata: %b\n\n" % (notice["retry_in_ms"], orjson.dumps(notice))


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


ROUTES = [
    web.get("/api/poll/bookings", poll),
    web.get("/api/sse/bookings", server_sent_events),
]
