"""Reading a feed at the reader's own pace, for every transport but Socket.IO.

What has not been read stays in the feed: nothing gathers for a slow reader but the piece that is being written to them.
"""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from bot.access.connections import RETURN_AFTER_S
from bot.access.limits import Asker
from bot.errors import Outage
from bot.identity import therapist_feed
from bot.live.presence import NOTHING_SEEN, Signal
from bot.logs.failures import is_outage
from bot.schemas.parsing import refusal_of
from bot.schemas.render import encode_entry, render_entry
from bot.schemas.requests import StreamQuery
from bot.services import Services
from bot.store.entries import Entry
from bot.store.rooms import is_room_of
from bot.store.tickets import Bearer
from bot.web.http.bearers import Stretch, bearer_of, stretch_of
from bot.web.http.exchange import SERVICES, address_of, locale_of
from bot.web.sessions.attendance import Attendance
from bot.web.sessions.correspondence import visits_of
from bot.web.sessions.going_away import GOING_AWAY, goodbye
from bot.web.sessions.snapshots import page_of
from conversations.values import Locale

PAGE = 100
RETURN_AFTER_MS = int(RETURN_AFTER_S * 1000)


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

    async def follow(self) -> list[Entry]:
        """As `next`, until it is time for a heartbeat; an outage only delays what comes."""
        try:
            return await self.next(self._services.settings.rhythms.streams.heartbeat_s)
        except Exception as error:
            if not is_outage(error):
                raise
            with suppress(TimeoutError):
                async with asyncio.timeout(self._services.settings.rhythms.streams.read_again_after_s):
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


async def begin(
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


def query_of(request: web.Request) -> StreamQuery:
    known = {name: value for name, value in request.query.items() if name not in ("locale", "ticket")}
    try:
        return StreamQuery.model_validate_strings(known)
    except ValidationError as error:
        raise refusal_of(error) from None


def start_of(services: Services, reading: Reading) -> dict[str, Any]:
    return {"epoch": services.epoch, "since": reading.cursor}


def must_move(services: Services, reading: Reading) -> bool:
    """Whether this ends although the feed goes on."""
    return reading.gave_way or services.is_stopping


def going_away(services: Services, reading: Reading) -> dict[str, Any]:
    """The goodbye as a signal, on the transports that have frames and answers instead of named events."""
    spread_over_s = services.settings.rhythms.ending.returns_spread_over_s
    data = {"retry_in_ms": RETURN_AFTER_MS} if reading.gave_way else goodbye(spread_over_s)
    return {"signal": GOING_AWAY, "data": data}
