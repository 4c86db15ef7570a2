"""How each guard of Janji is taken out: every public function here removes one from this process, after the imports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import bot.feeds.feed
import bot.feeds.feeds
import bot.live.receipts
import bot.store.records
import bot.store.reservations
import bot.store.therapists
import bot.turns.sweep
import bot.turns.turns
import bot.web.sessions.guest
import bot.web.sessions.snapshots
import bot.web.streams.reading
from bot.identity import new_id
from bot.store.kinds import CONVERSATION, SEARCH
from bot.store.records import OutboxItem, Stored


class _Blind:
    """A collection whose conditional updates leave out some of their conditions."""

    def __init__(self, collection: Any, *ignored: str) -> None:
        self._collection = collection
        self._ignored = ignored

    def __getattr__(self, name: str) -> Any:
        return getattr(self._collection, name)

    def _seen(self, query: Mapping[str, Any]) -> dict[str, Any]:
        return {name: wanted for name, wanted in query.items() if name not in self._ignored}

    async def find_one_and_update(self, query: Mapping[str, Any], *arguments: Any, **more: Any) -> Any:
        return await self._collection.find_one_and_update(self._seen(query), *arguments, **more)

    async def update_one(self, query: Mapping[str, Any], *arguments: Any, **more: Any) -> Any:
        return await self._collection.update_one(self._seen(query), *arguments, **more)

    def find(self, query: Mapping[str, Any], *arguments: Any, **more: Any) -> Any:
        return self._collection.find(self._seen(query), *arguments, **more)


def _blind(kind: Any, *ignored: str) -> None:
    """Every store of this kind sees its collection without these conditions."""
    begin = kind.__init__

    def __init__(self: Any, collection: Any, *arguments: Any) -> None:
        begin(self, _Blind(collection, *ignored), *arguments)

    kind.__init__ = __init__


# --- records ----------------------------------------------------------------------------------------------------------


def no_version_check() -> None:
    _blind(bot.store.records.Records, "version")


def no_known_answers() -> None:
    bot.store.records.Stored.answer_to = lambda self, key: None  # type: ignore[method-assign]


def effects_before_save() -> None:
    """What a turn wants is performed at once, whether or not its save then finds the version unchanged."""
    save = bot.store.records.Records.save
    boxes: dict[Any, Any] = {}
    begin = bot.turns.turns.Turns.__init__

    def __init__(self: Any, records: Any, now: Any, alarms: Any, outboxes: Any, pseudonym: Any) -> None:
        begin(self, records, now, alarms, outboxes, pseudonym)
        boxes.update(dict.fromkeys(records.values(), (outboxes, self.take)))

    async def save_after(self: Any, before: Any, after: Any, effects: Any, now: Any, answer: Any = None) -> Any:
        items = [
            OutboxItem(f"{before.id}:{before.version + 1}:{place}", effect, now) for place, effect in enumerate(effects)
        ]
        outboxes, take = boxes[self]
        outboxes.put(self.kind.name, before.id, items, take)
        await asyncio.sleep(0.002)
        return await save(self, before, after, effects, now, answer)

    bot.turns.turns.Turns.__init__ = __init__  # type: ignore[method-assign]
    bot.store.records.Records.save = save_after  # type: ignore[method-assign]


def outbox_in_memory() -> None:
    """The record is saved without the effects: whoever saved it remembers them, as long as it lives."""
    save = bot.store.records.Records.save

    async def forgetful(self: Any, before: Any, after: Any, effects: Any, now: Any, answer: Any = None) -> Any:
        stored = await save(self, before, after, (), now, answer)
        if stored is None:
            return None
        items = tuple(
            OutboxItem(f"{before.id}:{before.version + 1}:{place}", effect, now) for place, effect in enumerate(effects)
        )
        return Stored(stored.record, items, stored.answers)

    bot.store.records.Records.save = forgetful  # type: ignore[method-assign]


def rings_unchecked() -> None:
    """A ring is believed: for whoever is rung, the moment has come."""
    for kind in (CONVERSATION, SEARCH):
        object.__setattr__(kind, "decide", _believing(kind.decide, type(kind.ring)))


def _believing(decide: Callable[[Any, Any, datetime], Any], ring: type[Any]) -> Callable[[Any, Any, datetime], Any]:
    def decide_believing(record: Any, event: Any, now: datetime) -> Any:
        is_waiting = isinstance(event, ring) and record.expires_at is not None
        return decide(record, event, max(now, record.expires_at) if is_waiting else now)

    return decide_believing


def no_sweep() -> None:
    async def never(self: Any) -> None:
        return None

    bot.turns.sweep.Sweep.once = never  # type: ignore[method-assign]


# --- holds and slots --------------------------------------------------------------------------------------------------


def no_hold_condition() -> None:
    hold = bot.store.therapists.Therapists.hold

    async def take_anyway(self: Any, therapist_id: str, **more: Any) -> Any:
        blind = bot.store.therapists.Therapists(_Blind(self._collection, "hold.until"))
        return await hold(blind, therapist_id, **more)

    bot.store.therapists.Therapists.hold = take_anyway  # type: ignore[method-assign]


def no_holds_at_all() -> None:
    """Nobody is kept from offering or booking a therapist: what is left is the slot."""

    async def free_for_all(self: Any, therapist_ids: Any, cells: Any) -> set[str]:
        return set()

    _blind(bot.store.therapists.Therapists, "$or", "hold.until", "busy.until", "hold.offer_id")
    bot.store.reservations.Reservations.taken_by = free_for_all  # type: ignore[method-assign]


# --- feeds ------------------------------------------------------------------------------------------------------------


def nothing() -> None:
    """The index alone is the guard."""


def random_message_ids() -> None:
    bot.web.sessions.guest.derived_id = lambda *_: new_id("e")  # type: ignore[attr-defined]


def random_receipt_ids() -> None:
    bot.live.receipts.derived_id = lambda *_: new_id("e")  # type: ignore[attr-defined]


def no_contiguity() -> None:
    """A head that jumps is believed, and a reader is handed whatever comes."""

    def take(self: Any, entries: Any) -> None:
        run = [entry for entry in entries if entry.seq > self.cursor]
        if run and not self.is_closed:
            self.cursor = run[-1].seq
            self._deliver(run)

    no_gap_noticed()
    bot.feeds.feed.Following.take = take  # type: ignore[method-assign]


def no_gap_noticed() -> None:
    """A head that jumps is believed, and readers wait for ever for what was jumped over."""

    def advance(self: Any, feed: Any, entries: Any) -> None:
        if feed.head is None:
            return
        fresh = [entry for entry in entries if entry.seq > feed.head]
        if fresh:
            feed.head = fresh[-1].seq
            feed.recent.clear()
            feed.recent.extend(fresh)
            for following in list(feed.followings):
                if following.is_live:
                    following.take(fresh)

    bot.feeds.feeds.Feeds._advance = advance  # type: ignore[method-assign]


def no_cursor() -> None:
    """Who comes back is given what comes from now on."""
    page_of = bot.web.sessions.snapshots.page_of

    async def from_now_on(services: Any, feed: str, since: Any, **more: Any) -> Any:
        return await page_of(services, feed, await services.feeds.head(feed), **more)

    for door in (bot.web.sessions.snapshots, bot.web.streams.reading):
        door.page_of = from_now_on  # type: ignore[attr-defined]


def no_safety_look() -> None:
    async def never(self: Any) -> None:
        return None

    bot.feeds.feeds.Feeds._look = never  # type: ignore[method-assign]


def ack_before_write() -> None:
    """Whoever waits is told as soon as the number is given, and the database afterwards."""
    write = bot.feeds.feeds.Feeds._write

    async def settle_first(self: Any, batch: Any) -> None:
        pendings = [pending for several in batch.values() for pending in several]
        for pending, entry in zip(pendings, self._numbered(batch), strict=True):
            pending.settle(entry)
        await asyncio.sleep(0.2)
        await write(self, batch)

    # A batch is given up when nobody waits for it, and here nobody does.
    bot.feeds.feed.Pending.is_wanted = property(lambda self: True)  # type: ignore[assignment,method-assign]
    bot.feeds.feeds.Feeds._write = settle_first  # type: ignore[method-assign]
