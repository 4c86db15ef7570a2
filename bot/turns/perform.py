"""From effect to call: the index of every side effect, and the only place where conversations and matching meet.

Each call may happen twice. What it creates takes its id from the effect, so doing it twice creates it once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from itertools import takewhile
from typing import Any

from bot.feeds.feed import NewEntry
from bot.feeds.feeds import Feeds
from bot.notifications.announcements import Announcements
from bot.store.kinds import RecordName
from bot.store.records import OutboxItem
from bot.turns.booking import Booking
from bot.turns.cause import Cause
from bot.turns.outboxes import Performed
from bot.turns.searching import Searching
from bot.turns.showing import Showing
from bot.turns.turns import Take
from conversations import effects as do
from conversations.notices import Notify
from matching import effects as find


class Perform:
    """Performs the first effects of an outbox: a run of feed entries in one go, or one call."""

    def __init__(
        self, feeds: Feeds, announcements: Announcements, showing: Showing, searching: Searching, booking: Booking
    ) -> None:
        self._feeds = feeds
        self._announcements = announcements
        self._entries: dict[type, Callable[[Any, Cause], Awaitable[tuple[str, NewEntry]]]] = {
            do.Say: showing.line,
            do.ShowCard: showing.card,
            do.ShowState: showing.state,
            do.ShowTherapistBooking: showing.therapist_booking,
            do.NotifyTherapist: showing.notification,
            find.SendOffer: showing.offer,
            find.CloseOffer: showing.offer_closed,
            find.WaitForGuest: showing.offer_waiting,
        }
        self._calls: dict[type, Callable[[Any, Cause], Awaitable[bool | None]]] = {
            do.TellBooking: booking.tell_booking,
            do.ReserveSlot: booking.reserve_slot,
            do.ReleaseSlot: booking.release_slot,
            do.CountVisit: booking.count_visit,
            do.EndTokens: booking.end_tokens,
            do.EraseGuest: booking.erase_guest,
            Notify: booking.notify,
            do.StartSearch: searching.start_search,
            do.AskSearch: searching.ask_search,
            do.GiveTherapistBack: searching.give_therapist_back,
            do.CloseSearchWon: searching.close_search_won,
            do.CancelSearch: searching.cancel_search,
            find.FindCandidates: searching.find_candidates,
            find.KeepHold: searching.keep_hold,
            find.ReleaseHold: searching.release_hold,
            find.ReportAttempt: searching.report_attempt,
            find.ReportFound: searching.report_found,
            find.ReportLost: searching.report_lost,
            find.ReportExhausted: searching.report_exhausted,
        }

    async def __call__(self, record: RecordName, record_id: str, items: Sequence[OutboxItem], take: Take) -> Performed:
        entries = list(takewhile(lambda item: type(item.effect) in self._entries, items))
        if entries:
            await self._append([(item, Cause(record, record_id, item.id, take)) for item in entries])
            return Performed(done=tuple(item.id for item in entries))
        first = items[0]
        done = await self._calls[type(first.effect)](first.effect, Cause(record, record_id, first.id, take))
        return Performed(postponed=(first.id,)) if done is False else Performed(done=(first.id,))

    async def _append(self, items: Sequence[tuple[OutboxItem, Cause]]) -> None:
        """Entries of one feed keep their order; feeds do not wait for each other."""
        by_feed: dict[str, list[NewEntry]] = {}
        for item, cause in items:
            feed, entry = await self._entries[type(item.effect)](item.effect, cause)
            by_feed.setdefault(feed, []).append(entry)
        await asyncio.gather(*(self._feeds.append_many(feed, entries) for feed, entries in by_feed.items()))
        if offers := [item.effect for item, _ in items if isinstance(item.effect, find.SendOffer)]:
            await self._announcements.announce_offers(offers)
