"""What somebody sees who comes in: where they stand, and the entries from their cursor on."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from bot.errors import Refusal
from bot.identity import conversation_feed, therapist_feed
from bot.live.presence import Sight
from bot.live.receipts import Tail
from bot.live.signals import LiveVisit, live_visit_of
from bot.schemas.render import render_entry, state_view
from bot.schemas.shapes import Offer
from bot.schemas.views import booking_view, moment, offer_view, raw_booking
from bot.services import Motion
from bot.store.entries import Entry
from bot.turns.showing import offer_data, state_data
from bot.web.sessions.correspondence import correspondence
from conversations.conversation import state_on_screen
from conversations.replies import REFUSALS
from conversations.values import Locale
from matching.records import Answer
from matching.search import guests_turn_until

# A snapshot brings this many entries; what lies beyond follows one by one on the same connection.
ENTRIES_AT_ONCE = 200
# …and no more text than this: on a slow line it has to arrive before anything else does.
CHARACTERS_AT_ONCE = 64 * 1024
# How far back receipts are looked for in one go with what is shown; who has none there is asked about apart.
TAIL = 32
# Where a room begins whose first line is about to be written.
NOT_YET = 2**53


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The `session` of the contract, and the cursor after it for every feed that is to be followed.

    `visits` are on, with what the session says of their other side; lines up to `head` say nothing newer about them.
    """

    session: dict[str, Any]
    cursors: Mapping[str, int]
    visits: Mapping[LiveVisit, Sight]
    head: int = 0


@dataclass(frozen=True, slots=True)
class Page:
    """A contiguous run of a feed from where a reader stood; `is_resync` says that their cursor could not be used.

    `head` was the feed's newest entry when it was looked at; `tail` is what was read of its end, where that was.
    """

    entries: Sequence[Entry]
    cursor: int
    head: int
    is_resync: bool
    tail: Tail | None = None


async def page_of(
    services: Motion,
    feed: str,
    since: int | None,
    *,
    first: int = 1,
    same_epoch: bool = True,
    head: int | None = None,
    tail: int = 0,
) -> Page:
    """The entries after the cursor, or the newest ones where there is none that makes sense; none before `first`.

    The last `tail` entries are read as well, if they are not too far behind the cursor.
    """
    if head is None:
        head = await services.feeds.head(feed)
    is_resync = since is not None and (since > head or not same_epoch)
    known = since if since is not None and not is_resync else max(head - ENTRIES_AT_ONCE, 0)
    start = max(known, first - 1)
    end = min(head, start + ENTRIES_AT_ONCE)
    begin = min(start, max(head - tail, 0))
    run = await services.feeds.between(feed, begin, max(end, begin))
    entries = [entry for entry in run if entry.seq > start]
    is_from_the_end = since is None or is_resync
    entries = _that_fit(entries[::-1])[::-1] if is_from_the_end else _that_fit(entries)
    last_read = run[-1].seq if run else begin
    return Page(
        entries,
        entries[-1].seq if entries else start,
        head,
        is_resync,
        Tail(begin, run) if last_read == head else None,
    )


def _that_fit(entries: list[Entry]) -> list[Entry]:
    """The first ones, as many as a snapshot can carry and at least one."""
    characters = accumulate(len(entry.data.get("text", "")) for entry in entries)
    return [entry for entry, so_far in zip(entries, characters, strict=True) if so_far <= CHARACTERS_AT_ONCE]


async def guest_snapshot(
    services: Motion,
    conversation_id: str,
    *,
    since: int | None,
    epoch: str | None,
    locale: Locale,
    token: str,
    is_new: bool = False,
) -> Snapshot:
    """`is_new`: the conversation has just been given its id, and there is nothing to be looked up."""
    feed = conversation_feed(conversation_id)
    same_epoch = epoch in (None, services.epoch)
    page = await page_of(services, feed, since, same_epoch=same_epoch, head=0 if is_new else None, tail=TAIL)
    if is_new:
        services.feeds.begin(feed)
    stored = None if is_new else await services.conversations.load_with_others(conversation_id)
    stored = stored or services.conversations.fresh(conversation_id)
    state = state_on_screen(stored.record)
    booking = await services.bookings.load_with_others(state.booking_id) if state.booking_id else None
    raw = state_data(state, raw_booking(booking.record) if booking else None)
    visit = live_visit_of(conversation_id, raw)
    live, sight = await correspondence(services, conversation_id, "guest", visit, tail=page.tail)
    session = {
        "token": token,
        "conversation_id": conversation_id,
        "feed": feed,
        "epoch": services.epoch,
        "locale": locale,
        **state_view(services.words, raw, locale, "guest"),
        **live,
        "entries": [render_entry(services.words, entry, locale, "guest") for entry in page.entries],
        "last_seq": page.cursor,
        "resync": page.is_resync,
        "server_time": moment(services.clock.now()),
    }
    return Snapshot(session, {feed: page.cursor}, {visit: sight} if visit else {}, page.head)


async def therapist_snapshot(
    services: Motion, therapist_id: str, *, since: Mapping[str, int], epoch: str | None, locale: Locale
) -> Snapshot:
    """Raises `unauthorized` for a therapist who is not there any more."""
    own_feed = therapist_feed(therapist_id)
    # First of all: what changes after this look is heard from the feed, whether the snapshot shows it already or not.
    head = await services.feeds.head(own_feed)
    therapist, active, offers = await asyncio.gather(
        services.therapists.get_with_others(therapist_id),
        services.agendas.active_bookings(therapist_id),
        _offers(services, therapist_id, locale),
    )
    if therapist is None:
        raise Refusal("unauthorized", REFUSALS["unauthorized"])
    same_epoch = epoch in (None, services.epoch)
    # Without a cursor the snapshot itself says all there is to know, and only what is new follows.
    own_since = since.get(own_feed, head)
    pages = {own_feed: await page_of(services, own_feed, own_since, same_epoch=same_epoch, head=head)}
    bookings, visits = [], {}
    for booking in active:
        view = booking_view(services.words, raw_booking(booking), locale, "therapist")
        room = await services.rooms.of(booking.id, therapist_id)
        visit = LiveVisit(booking.conversation_id, booking.id, therapist_id)
        first, tail = room.opens_at if room else NOT_YET, None
        if room is not None:
            cursor = since.get(room.feed)
            page = pages[room.feed] = await page_of(
                services, room.feed, cursor, first=first, same_epoch=same_epoch, tail=TAIL
            )
            tail = page.tail
        live, visits[visit] = await correspondence(
            services, visit.conversation_id, "therapist", visit, first=first, tail=tail
        )
        bookings.append(view | live)
    session = {
        "therapist": {
            "id": therapist.id,
            "name": therapist.name,
            "photo": therapist.photo,
            "rating": therapist.rating,
        },
        "available": therapist.is_available,
        "offers": offers,
        "bookings": bookings,
        "feeds": {feed: page.cursor for feed, page in pages.items()},
        "entries": [
            render_entry(services.words, entry, locale, "therapist")
            for page in pages.values()
            for entry in page.entries
        ],
        "epoch": services.epoch,
        "resync": any(page.is_resync for page in pages.values()),
        "locale": locale,
        "server_time": moment(services.clock.now()),
    }
    return Snapshot(session, {feed: page.cursor for feed, page in pages.items()}, visits)


async def _offers(services: Motion, therapist_id: str, locale: Locale) -> list[Offer]:
    """The offers that this therapist can still answer, or has answered and waits for the guest."""
    views = []
    now = services.clock.now()
    for search in await services.agendas.open_searches(therapist_id):
        booking = await services.bookings.load_with_others(search.booking_id)
        for offer in search.offers:
            if booking is None or offer.therapist_id != therapist_id:
                continue
            is_open = offer.answer is Answer.ASKED and offer.until > now
            if is_open or offer.offer_id == search.chosen_offer_id:
                waiting_until = guests_turn_until(search, offer)
                raw = raw_booking(booking.record)
                data = offer_data(raw, offer.offer_id, offer.distance_km, offer.until, offer.attempt)
                views.append(offer_view(services.words, {**data, "waiting_until": waiting_until}, locale))
    return views
