"""Feeds: ordered logs that lose nothing. Written in groups, numbered without gaps, read from a cursor, live or later.

An entry is durable before anyone hears of it. What arrives over the bus is a hint that saves reading; whatever the bus
loses, a look at the heads of the feeds that are read here brings back within 1.3 s.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from types import TracebackType
from typing import Any

import structlog

from bot.cancelling import cancel
from bot.clock import Now
from bot.errors import Outage
from bot.feeds.feed import Deliver, Feed, Following, NewEntry, Pending, Ready
from bot.logs.failures import why
from bot.messaging.bus import Bus
from bot.settings.rhythms import PEOPLE, FeedsRhythm
from bot.store.driver import PyMongoError, encode_document
from bot.store.entries import Entries, Entry, Span, entry_of
from bot.store.together import Together

log = structlog.get_logger()

BATCHES_IN_FLIGHT = 2
LARGEST_BATCH = 500
PAGE = 200
# A reader is given so many at once, and more when they have taken these: a reader who is far behind is no slow one.
AT_ONCE = 32
# So many of a feed's newest entries stay in memory, for readers who come back after a moment.
KEPT_IN_MEMORY = 256
# What may wait for an absent database, in all feeds together: seconds of the busiest chat, and some tens of megabytes.
MOST_WAITING = 20_000
MOST_FEEDS_PER_LOOK = 1000
MOST_FEEDS_PER_READ = 50

_Failures = (PyMongoError, OSError)
# What is being written together: feed by feed, in the order in which it was asked for.
_Batch = dict[Feed, deque[Pending]]


async def _always() -> None:
    """The reader who has room for everything."""


class Feeds:
    """All feeds, as this process writes and reads them. Use it as an async context."""

    def __init__(
        self,
        entries: Entries,
        bus: Bus,
        now: Now,
        rhythm: FeedsRhythm = PEOPLE.feeds,
        *,
        most_waiting: int = MOST_WAITING,
    ) -> None:
        self._rhythm = rhythm
        self._most_waiting = most_waiting
        self._entries = entries
        self._heads = Together(entries.heads)
        self._spans = Together(entries.in_spans)
        self._bus = bus
        self._now = now
        self._feeds: dict[str, Feed] = {}
        self._ready: dict[Feed, None] = {}
        self._batches = 0
        self._is_gathering = False
        self._waiting = 0
        self._is_over = False
        self.written = 0
        self.batches = 0
        self.retries = 0
        self._tasks: set[asyncio.Task[None]] = set()
        # Those who post wait equally long, so the first one is always the next to lose patience.
        self._patience: deque[tuple[float, asyncio.Future[Entry], str]] = deque()
        self._impatience: asyncio.TimerHandle | None = None
        bus.on("entry", self._hear)

    async def __aenter__(self) -> Feeds:
        self._loop = asyncio.get_running_loop()
        self._spawn(self._look_for_ever())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True  # a batch that is cancelled must not start the next one
        if self._impatience is not None:
            self._impatience.cancel()
        await cancel(*self._tasks)
        for feed in self._feeds.values():
            for pending in feed.by_id.values():
                pending.fail(Outage("this process stops, and the entry may not have been written"))

    def __len__(self) -> int:
        return len(self._feeds)

    @property
    def readers(self) -> int:
        """How many followings are open."""
        return sum(len(feed.followings) for feed in self._feeds.values())

    @property
    def unwritten(self) -> int:
        """How many entries somebody waits for that are not yet known to be durable."""
        return self._waiting

    # --- writing ------------------------------------------------------------------------------------------------------

    async def append(
        self,
        feed: str,
        entry_id: str,
        kind: str,
        data: Mapping[str, Any],
        *,
        is_said: bool = False,
        within_s: float | None = None,
    ) -> Entry:
        """Durable when it returns. The same id again gives the first entry.

        Raises `ContentDiffers` where that one says something else, and `Outage` when the database did not take it in
        time: the same call later writes it once.
        """
        entries = await self.append_many(feed, [NewEntry(entry_id, kind, data, is_said)], within_s=within_s)
        return entries[0]

    async def append_many(self, feed: str, news: Sequence[NewEntry], *, within_s: float | None = None) -> list[Entry]:
        """Several entries of one feed in this order; see `append`."""
        known = self._feed(feed)
        waiters = [self._put(known, new) for new in news]
        self._start_writing(known)
        try:
            async with asyncio.timeout(self._rhythm.write_within_s if within_s is None else within_s):
                return await asyncio.gather(*waiters)
        except TimeoutError:
            raise _too_late(feed) from None

    def post(self, feed: str, new: NewEntry) -> asyncio.Future[Entry]:
        """`append` for who has no task to wait in: the future brings the entry, or fails as `append` raises."""
        known = self._feed(feed)
        waiter = self._put(known, new)
        self._start_writing(known)
        self._patience.append((self._loop.time() + self._rhythm.write_within_s, waiter, feed))
        if self._impatience is None:
            self._impatience = self._loop.call_later(self._rhythm.write_within_s, self._lose_patience)
        return waiter

    def _lose_patience(self) -> None:
        """Tell those who have waited long enough; an entry that nobody waits for any more is not written."""
        now = self._loop.time()
        self._forget_answered()
        while self._patience and self._patience[0][0] <= now:
            _, waiter, feed = self._patience.popleft()
            if not waiter.done():
                waiter.set_exception(_too_late(feed))
        self._impatience = None
        if self._patience:
            self._impatience = self._loop.call_at(self._patience[0][0], self._lose_patience)

    def _forget_answered(self) -> None:
        while self._patience and self._patience[0][1].done():
            self._patience.popleft()

    def _put(self, feed: Feed, new: NewEntry) -> asyncio.Future[Entry]:
        """Raises `Outage` where so much waits already that this would not be written in time."""
        pending = feed.by_id.get(new.id)
        if pending is None:
            if self._waiting >= self._most_waiting:
                raise Outage(f"{self._most_waiting} entries wait to be written")
            self._waiting += 1
            pending = feed.by_id[new.id] = Pending(new)
            feed.pending.append(pending)
        waiter: asyncio.Future[Entry] = self._loop.create_future()
        pending.waiters.append((waiter, new))
        return waiter

    def _take_off(self, feed: Feed, pending: Pending) -> None:
        """It waits no more, whatever became of it."""
        del feed.by_id[pending.new.id]
        self._waiting -= 1

    def _start_writing(self, feed: Feed) -> None:
        if feed.pending and not feed.is_in_flight:
            self._ready[feed] = None
        self._fill_lanes()

    def _fill_lanes(self) -> None:
        is_free = self._batches < BATCHES_IN_FLIGHT and not self._is_gathering
        if self._ready and is_free and not self._is_over:
            self._batches += 1
            self._is_gathering = True
            self._spawn(self._write_batch())

    def _next_batch(self) -> _Batch:
        """What has gathered, feed by feed; these feeds have no other batch until this one has come back."""
        batch: _Batch = {}
        room = LARGEST_BATCH
        while self._ready and room > 0:
            feed = next(iter(self._ready))
            del self._ready[feed]
            feed.is_in_flight = True
            taken = batch[feed] = deque()
            first, feed.pending = feed.pending[:room], feed.pending[room:]
            for pending in first:
                if pending.is_wanted:
                    taken.append(pending)
                else:
                    self._take_off(feed, pending)
            room -= len(taken)
        return batch

    async def _write_batch(self) -> None:
        # Only now: all that came in the same turn of the loop has gathered.
        self._is_gathering = False
        batch = self._next_batch()
        self._fill_lanes()
        try:
            await self._know_heads(batch)
            await self._write(batch)
        except _Failures as error:
            # Whether it was written is unknown: the numbers are looked up again, and ids tell what stands already.
            self.retries += 1
            log.warning("a batch of entries is tried again", why=why(error))
            for feed in batch:
                feed.head = None if not feed.followings else feed.head
                self._refresh(feed)
            await asyncio.sleep(self._rhythm.pause_after_failure_s)
        except Exception as error:
            log.exception("entries cannot be written")
            self._give_up(batch, error)
        finally:
            self._batches -= 1
            for feed, left in batch.items():
                feed.pending[:0] = left
                feed.is_in_flight = False
                feed.used_at = time.monotonic()
                if feed.pending:
                    self._ready[feed] = None
            self._fill_lanes()

    def _give_up(self, batch: _Batch, error: Exception) -> None:
        """Trying again would fail again: tell those who wait for what no document can hold, or else everybody."""
        several = [(feed, pending) for feed, left in batch.items() for pending in left]
        bad = [(feed, pending) for feed, pending in several if not _is_storable(pending.new)]
        for feed, pending in bad or several:
            batch[feed].remove(pending)
            self._take_off(feed, pending)
            pending.fail(error)

    async def _know_heads(self, batch: Iterable[Feed]) -> None:
        unknown = [feed for feed in batch if feed.head is None]
        if unknown:
            heads = await self._heads(*(feed.name for feed in unknown))
            for feed in unknown:
                feed.head = heads.get(feed.name, 0) if feed.head is None else feed.head

    async def _write(self, batch: _Batch) -> None:
        """Write what the batch holds; what is done is taken out of it, so that what is left is still to be done.

        The batch is ordered and stops at a duplicate: an unordered one would go on behind it and leave a hole.
        """
        order = [(feed, pending) for feed, several in batch.items() for pending in several]
        if not order:
            return  # whoever wanted these has given up
        entries = self._numbered(batch)
        written = await self._entries.write(entries)
        self.batches += 1
        self.written += written.count
        done: dict[Feed, list[Entry]] = {}
        for (feed, pending), entry in zip(order[: written.count], entries, strict=False):
            batch[feed].popleft()
            self._take_off(feed, pending)
            done.setdefault(feed, []).append(entry)
            pending.settle(entry)
        self._forget_answered()
        for feed, several in done.items():
            self._advance(feed, several)
        for document in written.documents:
            self._bus.publish("entry", document)
        if written.met_duplicate:
            await self._resolve(batch, *order[written.count])

    def _numbered(self, batch: _Batch) -> list[Entry]:
        at = self._now()
        entries = []
        for feed, several in batch.items():
            assert feed.head is not None, "heads are known before numbers are given"
            for seq, pending in enumerate(several, feed.head + 1):
                new = pending.new
                entries.append(Entry(new.id, feed.name, seq, at, new.type, new.data))
        return entries

    async def _resolve(self, batch: _Batch, feed: Feed, pending: Pending) -> None:
        """A duplicate key: the entry stands already, or somebody else was faster with this number."""
        entry = await self._entries.known(pending.new.id)
        if entry is not None:
            self._settle_standing(batch, feed, pending, entry)
            await self._settle_all_that_stand(batch)
        # Where one feed has gone on elsewhere, others may: found one by one, each would cost a batch, too.
        await self._catch_up(batch)

    async def _settle_all_that_stand(self, batch: _Batch) -> None:
        """Where one does, others may, as after an outage: found one by one, each would cost a batch of its own."""
        left = {pending.new.id: (feed, pending) for feed, several in batch.items() for pending in several}
        for entry in await self._entries.standing(list(left)) if left else ():
            self._settle_standing(batch, *left[entry.id], entry)

    def _settle_standing(self, batch: _Batch, feed: Feed, pending: Pending, entry: Entry) -> None:
        batch[feed].remove(pending)
        self._take_off(feed, pending)
        pending.settle(entry)

    # --- reading ------------------------------------------------------------------------------------------------------

    async def head(self, feed: str) -> int:
        """The number of the newest entry, 0 where there is none."""
        return await self._heads.one(feed) or 0

    async def has(self, feed: str, seq: int) -> bool:
        """Whether the feed has come that far; the database is asked only about what is not known here."""
        known = self._feeds.get(feed)
        if known is not None and known.head is not None and seq <= known.head:
            return True
        return seq <= await self.head(feed)

    async def since(self, feed: str, cursor: int, limit: int = PAGE) -> list[Entry]:
        """A contiguous run after the cursor."""
        remembered = self._remembered_since(feed, cursor)
        if remembered:
            return remembered[:limit]
        return await self._entries.since(feed, cursor, limit)

    async def between(self, feed: str, cursor: int, last: int) -> list[Entry]:
        """A contiguous run after the cursor, up to `last` included; all who ask at this moment ask together."""
        if last <= cursor:
            return []
        remembered = self._remembered_since(feed, cursor)
        if remembered:
            return remembered[: last - cursor]
        return await self._spans.one(Span(feed, cursor, last)) or []

    def _remembered_since(self, feed: str, cursor: int) -> list[Entry] | None:
        known = self._feeds.get(feed)
        return known.remembered_since(cursor) if known and known.followings else None

    def forget(self, names: Iterable[str]) -> None:
        """Entries of these feeds have changed in the database, where somebody was erased: they are read there again."""
        for feed in filter(None, map(self._feeds.get, names)):
            feed.recent.clear()

    async def known(self, entry_id: str) -> Entry | None:
        """The entry that stands under this id already."""
        return await self._entries.known(entry_id)

    def begin(self, feed: str) -> None:
        """Nobody else can know the name of this feed yet: it is empty, and need not be looked up."""
        known = self._feed(feed)
        known.head = known.head or 0

    def follow(self, feed: str, cursor: int, deliver: Deliver, ready: Ready = _always) -> Following:
        """Deliver everything after the cursor, from now until the following is closed."""
        known = self._feed(feed)
        following = Following(known, cursor, deliver, ready)
        known.followings.add(following)
        if known.head == cursor:
            following.is_live = True
        else:
            self._spawn(self._bring_up(known, following))
        return following

    async def _bring_up(self, feed: Feed, following: Following) -> None:
        """Read page by page until the reader is where the feed is; then it is live."""
        while not following.is_closed:
            was_behind = feed.head is not None and following.cursor < feed.head
            try:
                # The cursor is only the reader's word: the head, from which numbers are given, is looked up.
                await self._know_heads([feed])
                page = feed.remembered_since(following.cursor)
                if page is None:
                    page = await self._entries.since(feed.name, following.cursor, PAGE)
            except _Failures:
                await asyncio.sleep(self._rhythm.pause_after_failure_s)
                continue
            for start in range(0, len(page), AT_ONCE):
                await following.ready()
                following.take(page[start : start + AT_ONCE])
            if feed.head is not None and following.cursor >= feed.head:
                following.is_live = True
                return
            # Nothing although the feed goes on would be a hole: it is not asked about in a rush.
            await asyncio.sleep(self._rhythm.pause_after_failure_s if was_behind and not page else 0)

    def _advance(self, feed: Feed, entries: Sequence[Entry]) -> None:
        """Entries that are durable: what follows on the head goes to the readers, a gap is read from the database."""
        if feed.head is None:
            return
        fresh = [entry for entry in entries if entry.seq > feed.head]
        if not fresh:
            return
        if fresh[0].seq != feed.head + 1:
            self._refresh(feed)
            return
        feed.head = fresh[-1].seq
        if feed.recent and feed.recent[-1].seq + 1 != fresh[0].seq:
            feed.recent.clear()
        feed.recent += fresh
        if len(feed.recent) >= 2 * KEPT_IN_MEMORY:
            del feed.recent[:-KEPT_IN_MEMORY]
        for following in list(feed.followings):
            if following.is_live and len(fresh) <= AT_ONCE:
                following.take(fresh)
            elif following.is_live:
                following.is_live = False
                self._spawn(self._bring_up(feed, following))

    def _hear(self, document: Mapping[str, Any]) -> None:
        """Another process has written an entry."""
        feed = self._feeds.get(document["feed"])
        if feed is None:
            return
        if feed.followings:
            self._advance(feed, [entry_of(document)])
        elif not feed.is_in_flight:
            feed.head = None  # nobody reads here; the next write looks up where the feed is by then

    def _refresh(self, feed: Feed) -> None:
        if feed.head is None:
            return
        feed.has_gap = True
        if not feed.is_refreshing:
            feed.is_refreshing = True
            self._spawn(self._refresh_now(feed))

    async def _refresh_now(self, feed: Feed) -> None:
        """Again, too, for what came up while the database was asked: the question may have been older than that."""
        try:
            while feed.has_gap:
                feed.has_gap = False
                await self._catch_up([feed])
        except _Failures as error:
            log.debug("a feed is read at the next look", why=why(error))
        finally:
            feed.is_refreshing = False

    async def _catch_up(self, feeds: Collection[Feed]) -> None:
        """Read what stands beyond the heads that are known, of all together; where nobody reads, only how far."""
        heads = await self._heads(*(feed.name for feed in feeds))
        behind = [feed for feed in feeds if _is_behind(feed, heads.get(feed.name, 0))]
        for feed in behind:
            if not feed.followings:
                feed.head = heads[feed.name]
                feed.recent.clear()
        for start in range(0, len(behind), MOST_FEEDS_PER_READ):
            await self._read_up_to(heads, behind[start : start + MOST_FEEDS_PER_READ])

    async def _read_up_to(self, heads: Mapping[str, int], behind: list[Feed]) -> None:
        while behind := [feed for feed in behind if _is_behind(feed, heads[feed.name])]:
            spans = {feed: _next_page(feed, heads[feed.name]) for feed in behind}
            found, faults = await self._spans.apart(*spans.values())
            for feed, span in spans.items():
                if span in faults:  # whatever is wrong with one entry, the other feeds go on
                    log.error("a feed could not be read", feed=feed.name, exc_info=faults[span])
                self._advance(feed, found.get(span, []))
            behind = [feed for feed, span in spans.items() if found.get(span)]

    # --- the safety look ----------------------------------------------------------------------------------------------

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(random.uniform(*self._rhythm.look_every_s))
            self._forget()
            try:
                await self._look()
            except _Failures as error:
                log.debug("a look at the feeds failed", why=why(error))
            except Exception:  # whatever it met, all readers rely on the next look
                log.exception("feeds could not be looked at")

    async def _look(self) -> None:
        """Compare the heads of the feeds that are read here with the database's."""
        followed = [feed for feed in self._feeds.values() if feed.followings and feed.head is not None]
        for start in range(0, len(followed), MOST_FEEDS_PER_LOOK):
            several = followed[start : start + MOST_FEEDS_PER_LOOK]
            await self._catch_up(several)

    def _forget(self) -> None:
        """What nobody reads or writes any more is forgotten; its head is looked up when it is wanted again."""
        before = self._now() - timedelta(seconds=self._rhythm.forget_after_s)
        for feed in self._feeds.values():
            feed.forget_before(before)
        long_ago = time.monotonic() - self._rhythm.forget_after_s
        for name in [name for name, feed in self._feeds.items() if feed.is_idle and feed.used_at < long_ago]:
            del self._feeds[name]

    # --- pieces -------------------------------------------------------------------------------------------------------

    def _feed(self, name: str) -> Feed:
        feed = self._feeds.get(name)
        if feed is None:
            feed = self._feeds[name] = Feed(name)
        feed.used_at = time.monotonic()
        return feed

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _is_behind(feed: Feed, head: int) -> bool:
    return feed.head is not None and feed.head < head


def _next_page(feed: Feed, head: int) -> Span:
    known = feed.head or 0
    return Span(feed.name, known, min(head, known + PAGE))


def _too_late(feed: str) -> Outage:
    return Outage(f"the feed {feed} could not be written in its time")


def _is_storable(new: NewEntry) -> bool:
    try:
        encode_document({"_id": new.id, "type": new.type, "data": new.data})
    except Exception:
        return False
    return True
