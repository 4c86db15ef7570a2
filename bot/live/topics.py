"""What this process knows about people who are here, or are watched from here: its own notes and those it heard of.

A topic has the name of a feed: a conversation's is about its guest and its typing, a therapist's about the therapist.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from bot.clock import Now
from bot.identity import Audience
from bot.live.presence import LEFT, Key, Note, Rules, Tabs, What, lapsed, merged, next_change
from bot.live.signal_store import Batch, Failures, SignalStore, in_parts
from bot.messaging.bus import Bus
from bot.settings.rhythms import SignalsRhythm

HINT = "signal"


class Watcher(Protocol):
    """Who wants to know when what a topic says has changed."""

    def look(self) -> None: ...


@dataclass(slots=True, eq=False)
class Topic:
    """`looked_at` is when the store was last read, None for never."""

    name: str
    used_at: datetime
    notes: dict[Key, Note] = field(default_factory=dict)
    tabs: Tabs = field(default_factory=Tabs)
    watchers: set[Watcher] = field(default_factory=set)
    to_write: set[Key] = field(default_factory=set)
    to_tell: set[Key] = field(default_factory=set)
    looked_at: datetime | None = None
    timer: asyncio.TimerHandle | None = None

    @property
    def is_idle(self) -> bool:
        return not (self.tabs.states or self.watchers or self.to_write)

    def stop_timer(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Topics:
    """What is said here is known here at once, and elsewhere after the next `exchange`."""

    def __init__(self, store: SignalStore, bus: Bus, now: Now, rules: Rules, rhythm: SignalsRhythm) -> None:
        self._rhythm = rhythm
        self._store = store
        self._bus = bus
        self._now = now
        self._rules = rules
        self._version = 0
        self._topics: dict[str, Topic] = {}
        self._dirty: set[Topic] = set()
        self._wanted: set[Topic] = set()
        self._next_look: asyncio.Future[None] | None = None
        self.process = secrets.token_hex(4)
        self.has_news = asyncio.Event()
        bus.on(HINT, self._hear)

    def __getitem__(self, name: str) -> Topic:
        topic = self._topics.get(name)
        if topic is None:
            topic = self._topics[name] = Topic(name, self._now())
        topic.used_at = self._now()
        return topic

    def __len__(self) -> int:
        return len(self._topics)

    def __iter__(self) -> Iterator[Topic]:
        return iter(self._topics.values())

    # --- notes --------------------------------------------------------------------------------------------------------

    def say(self, topic: Topic, what: What, by: Audience, value: str, lives: timedelta) -> None:
        """A note of this process, told to whoever watches, here and elsewhere."""
        key = Key(what, by, self.process)
        self._write(topic, key, value, lives)
        topic.to_tell.add(key)
        self.has_news.set()
        self.look(topic)

    def mark(self, topic: Topic, side: Audience) -> None:
        """Say how the person of this topic is here, if that is new; a beat prolongs it."""
        value = topic.tabs.mark()
        known = topic.notes.get(Key("presence", side, self.process))
        if value is not None and (known is None or known.value != value or known.until <= self._now()):
            grace = timedelta(seconds=self._rules.grace_s)
            self.say(topic, "presence", side, value, grace if value.startswith(LEFT) else self._rules.mark_lives)

    def our_mark(self, name: str, side: Audience) -> Note | None:
        topic = self._topics.get(name)
        return topic.notes.get(Key("presence", side, self.process)) if topic else None

    def therapists_here(self) -> dict[str, datetime]:
        """The therapists who are connected to this process, and until when at least they count as being there."""
        marks = {topic.name: self.our_mark(topic.name, "therapist") for topic in self if topic.tabs.states}
        return {name.removeprefix("therapist:"): mark.until for name, mark in marks.items() if mark is not None}

    def _write(self, topic: Topic, key: Key, value: str, lives: timedelta) -> None:
        now = self._now()
        self._version = max(self._version + 1, int(now.timestamp() * 1000))
        topic.notes[key] = Note(value, now + lives, self._version)
        topic.to_write.add(key)
        self._dirty.add(topic)

    def _learn(self, topic: Topic, heard: Iterable[tuple[Key, Note]]) -> None:
        topic.notes = merged(topic.notes, heard)
        self.look(topic)

    def _hear(self, hint: Mapping[str, Any]) -> None:
        topic = self._topics.get(hint["topic"])
        if topic is not None:
            key = Key(hint["what"], hint["by"], hint["process"])
            self._learn(topic, [(key, Note(hint["value"], hint["until"], hint["version"]))])

    # --- watching -----------------------------------------------------------------------------------------------------

    def watch(self, topic: Topic, watcher: Watcher) -> None:
        topic.watchers.add(watcher)
        self._set_timer(topic)
        if not self.is_fresh(topic):
            self._want([topic])

    def unwatch(self, topic: Topic, watcher: Watcher) -> None:
        topic.watchers.discard(watcher)
        self._set_timer(topic)

    def look(self, topic: Topic) -> None:
        for watcher in list(topic.watchers):
            watcher.look()
        self._set_timer(topic)

    def _set_timer(self, topic: Topic) -> None:
        """Look again when the notes will say something else by themselves."""
        topic.stop_timer()
        now = self._now()
        at = next_change(topic.notes, now) if topic.watchers else None
        if at is not None:
            wait_s = max(0.001, (at - now).total_seconds())
            topic.timer = asyncio.get_running_loop().call_later(wait_s, self._ring, topic)

    def _ring(self, topic: Topic) -> None:
        """Whether a mark of another process has ended, only the store can say."""
        self.look(topic)
        ended = lapsed(topic.notes, self._now())
        if any(key.what == "presence" and key.process != self.process for key in ended):
            self._want([topic])

    # --- the store ----------------------------------------------------------------------------------------------------

    async def freshen(self, topics: Iterable[Topic]) -> None:
        """Read what other processes know, as far as that is told at once."""
        stale = [topic for topic in topics if not self.is_fresh(topic)]
        if not stale or not self._store.is_well:
            return
        self._want(stale)
        if self._next_look is None:
            self._next_look = asyncio.get_running_loop().create_future()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._rhythm.known_within_s):
                await asyncio.shield(self._next_look)

    async def beat(self) -> None:
        """Say again who is here, read what is watched here, and forget what nobody needs.

        Raises what the store raises, but only after it was all said in this process.
        """
        failure: Exception | None = None
        for topics in in_parts(self):
            self._beat(topics)
            if failure is None:
                try:
                    await self.exchange()
                except Failures as error:
                    failure = error
        if failure is not None:
            raise failure

    def _beat(self, topics: Iterable[Topic]) -> None:
        long_ago = self._now() - self._rules.mark_lives
        for topic in topics:
            self._renew(topic)
            if topic.is_idle and topic.used_at < long_ago:
                del self._topics[topic.name]
        self._want(topic for topic in topics if topic.watchers)

    def _renew(self, topic: Topic) -> None:
        """What a flush has swept away stands again after this."""
        ours = [(key, note) for key, note in topic.notes.items() if key.process == self.process]
        for key, note in ours if topic.tabs.states else ():
            if key.what == "presence":
                self._write(topic, key, note.value, self._rules.mark_lives)
            elif note.until > self._now():
                topic.to_write.add(key)

    async def exchange(self) -> None:
        """Write what is new and read what is wanted; raises what the store raises, and then keeps what is new.

        A topic is read before anything is written to it: what was forgotten here may have said more.
        """
        self.has_news.clear()
        looked, self._next_look = self._next_look, None
        unread = {topic for topic in self._dirty if topic.looked_at is None}
        dirty, wanted = self._dirty - unread, self._wanted | unread
        self._wanted = set()
        try:
            if dirty or wanted:
                await self._write_and_read(dirty, {topic.name: topic for topic in wanted})
        finally:
            if looked is not None and not looked.done():
                looked.set_result(None)
        if self._dirty:
            self.has_news.set()

    async def _write_and_read(self, dirty: Iterable[Topic], wanted: Mapping[str, Topic]) -> None:
        now = self._now()
        written = {topic.name: {key: topic.notes[key] for key in topic.to_write} for topic in dirty}
        removed = {topic.name: self._remove_lapsed(topic, now) for topic in dirty}
        found = await self._store.exchange(Batch(written, removed, frozenset(wanted)))
        for topic in dirty:
            self._tell_others(topic, written[topic.name])
        for name, notes in found.items():
            wanted[name].looked_at = now
            self._learn(wanted[name], notes.items())

    def _remove_lapsed(self, topic: Topic, now: datetime) -> list[Key]:
        """The notes of processes that are gone, a while after their end."""
        ended = [key for key in lapsed(topic.notes, now - self._rules.mark_lives) if key not in topic.to_write]
        for key in ended:
            del topic.notes[key]
        return ended

    def _tell_others(self, topic: Topic, written: Mapping[Key, Note]) -> None:
        """A hint follows what it tells of: who begins to watch in between has read it."""
        for key, note in written.items():
            if topic.notes.get(key) is not note:
                continue  # there is a newer one by now, which goes out with the next round
            topic.to_write.discard(key)
            if key in topic.to_tell:
                topic.to_tell.discard(key)
                content = {"value": note.value, "until": note.until, "version": note.version}
                self._bus.publish(HINT, {"topic": topic.name, **key._asdict(), **content})
        if not topic.to_write:
            self._dirty.discard(topic)

    def _want(self, topics: Iterable[Topic]) -> None:
        before = len(self._wanted)
        self._wanted.update(topics)
        if len(self._wanted) > before:
            self.has_news.set()

    def is_fresh(self, topic: Topic) -> bool:
        """Whether the last look was a moment ago: two beats, so that a late one changes nothing."""
        long_ago = self._now() - timedelta(seconds=2 * self._rules.beat_s)
        return topic.looked_at is not None and topic.looked_at > long_ago
