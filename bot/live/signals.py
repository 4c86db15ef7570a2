"""Live signals: who is there, who types, what has arrived; told to the other side of a visit while it is on.

What happens in this process is told here at once. Other processes hear of it by a hint over the bus, and find it in the
store in Redis when they begin to watch and at every beat. Without Redis each process knows its own people.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, NamedTuple

import structlog

from bot.cancelling import cancel
from bot.clock import Now
from bot.identity import Audience, conversation_feed, for_audience, other_side, own_feed
from bot.live.presence import (
    KEPT_FOR,
    NOTHING_SEEN,
    QUIET,
    Key,
    Look,
    Note,
    Rules,
    Sight,
    after,
    delivered,
    is_typing,
    news,
    presence,
)
from bot.live.signal_store import Failures, SignalStore
from bot.live.topics import Topic, Topics
from bot.messaging.bus import Bus
from bot.settings.rhythms import PEOPLE, SignalsRhythm

log = structlog.get_logger()

# Who types says so every three seconds; who says it more often than six times as often is not repeated.
TYPING_REPEATED_AFTER = 1 / 12

Tell = Callable[[str, dict[str, Any]], None]


class Person(NamedTuple):
    """Somebody who is there or not: the topic of their notes, which is the name of their feed, and their side."""

    topic: str
    side: Audience


def person_of(side: Audience, subject: str) -> Person:
    """`subject` is a conversation's id for guests, a therapist's for therapists."""
    return Person(own_feed(side, subject), side)


@dataclass(frozen=True, slots=True)
class LiveVisit:
    """A visit that is on: who meets whom, and for which booking."""

    conversation_id: str
    booking_id: str
    therapist_id: str

    def person(self, side: Audience) -> Person:
        return person_of(side, for_audience(side, guest=self.conversation_id, therapist=self.therapist_id))


def live_visit_of(conversation_id: str, state: Mapping[str, Any]) -> LiveVisit | None:
    """The visit that a state line says is on."""
    booking_id, therapist_id = state.get("booking_id"), state.get("therapist_id")
    if state.get("state") != "active" or not booking_id or not therapist_id:
        return None
    return LiveVisit(conversation_id, booking_id, therapist_id)


class Tab:
    """One connection of a person, who is there as long as it lasts, and for the grace after it."""

    def __init__(self, topics: Topics, person: Person, state: str) -> None:
        self._topics = topics
        self._person = person
        self._put(state)

    def set_away(self, is_away: bool) -> None:
        self._put("away" if is_away else "online")

    def close(self) -> None:
        topic = self._topics[self._person.topic]
        topic.tabs.remove(self)
        self._topics.mark(topic, self._person.side)

    def _put(self, state: str) -> None:
        topic = self._topics[self._person.topic]
        topic.tabs.put(self, state)
        self._topics.mark(topic, self._person.side)


class Watch:
    """One side's eye on the other during a visit: `tell(name, data)` gets what has changed since it was last told."""

    def __init__(
        self, signals: Signals, topics: Topics, visit: LiveVisit, side: Audience, tell: Tell, told: Sight
    ) -> None:
        self._signals = signals
        self._topics = topics
        self._visit = visit
        self._side = side
        self._tell = tell
        self.told = told
        for topic in signals.seen_topics(visit, side):
            topics.watch(topic, self)
        self.look()

    def look(self) -> None:
        sight = self._signals.seen(self._visit, self._side)
        told, self.told = self.told, after(self.told, sight)
        for name, data in news(told, sight, other_side(self._side)):
            self._tell(name, data)

    def close(self) -> None:
        for topic in self._signals.seen_topics(self._visit, self._side):
            self._topics.unwatch(topic, self)


class Signals:
    """The live signals as this process takes and tells them; nothing but `sight` ever waits. An async context."""

    def __init__(
        self, store: SignalStore, bus: Bus, now: Now, rules: Rules, rhythm: SignalsRhythm = PEOPLE.signals
    ) -> None:
        self._rhythm = rhythm
        self._store = store
        self._topics = Topics(store, bus, now, rules, rhythm)
        self._now = now
        self._rules = rules
        self._at_work: frozenset[str] = frozenset()
        self._roll_called_at: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Signals:
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._task is not None, "left only after it was entered"
        await cancel(self._task)
        for topic in self._topics:
            topic.stop_timer()
        with suppress(*Failures):
            await self._topics.exchange()  # the grace of those who were here has begun
        await self._store.close()

    def __len__(self) -> int:
        return len(self._topics)

    # --- what people do -----------------------------------------------------------------------------------------------

    def arrive(self, person: Person, *, is_quiet: bool = False, is_away: bool = False) -> Tab:
        """`is_quiet`: the tab cannot say by itself that it is in the background; see `set_away`."""
        return Tab(self._topics, person, QUIET if is_quiet else "away" if is_away else "online")

    def set_away(self, person: Person, is_away: bool) -> None:
        """What somebody says of their quiet tabs, wherever these are connected."""
        self._topics.say(self._topics[person.topic], "said", person.side, "away" if is_away else "here", KEPT_FOR)

    def set_typing(self, conversation_id: str, by: Audience, is_on: bool) -> None:
        topic = self._topics[conversation_feed(conversation_id)]
        known = topic.notes.get(Key("typing", by, self._topics.process))
        lives = timedelta(seconds=self._rules.typing_s)
        if is_on and known and known.value == "on" and known.until - self._now() > lives * (1 - TYPING_REPEATED_AFTER):
            return
        self._topics.say(topic, "typing", by, "on" if is_on else "off", lives)

    def set_delivered(self, conversation_id: str, by: Audience, seq: int) -> None:
        topic = self._topics[conversation_feed(conversation_id)]
        if seq > delivered(topic.notes, by):
            self._topics.say(topic, "delivered", by, str(seq), KEPT_FOR)

    # --- what people see ----------------------------------------------------------------------------------------------

    def watch(self, visit: LiveVisit, side: Audience, tell: Tell, told: Sight = NOTHING_SEEN) -> Watch:
        """`told` is what this reader knows already."""
        return Watch(self, self._topics, visit, side, tell, told)

    async def sight(self, visit: LiveVisit, side: Audience) -> Sight:
        """What this side sees of the other, with what other processes know as far as that is told at once."""
        await self._topics.freshen(self.seen_topics(visit, side))
        return self.seen(visit, side)

    def seen(self, visit: LiveVisit, side: Audience) -> Sight:
        """The same by what is known here."""
        by = other_side(side)
        room, theirs = self._topics[conversation_feed(visit.conversation_id)], self._topics[visit.person(by).topic]
        now = self._now()
        look = Look(self._topics.process, now, theirs.looked_at, self._topics.is_fresh(theirs))
        return Sight(presence(theirs.notes, by, look), is_typing(room.notes, by, now), delivered(room.notes, by))

    def delivered_to(self, conversation_id: str, side: Audience) -> int:
        """How far the devices of this side have got, by what is known here."""
        return delivered(self._topics[conversation_feed(conversation_id)].notes, side)

    def seen_topics(self, visit: LiveVisit, side: Audience) -> list[Topic]:
        names = dict.fromkeys((conversation_feed(visit.conversation_id), visit.person(other_side(side)).topic))
        return [self._topics[name] for name in names]

    def our_mark(self, person: Person) -> Note | None:
        """What this process says of somebody's being there."""
        return self._topics.our_mark(person.topic, person.side)

    def is_at_work(self, therapist_id: str) -> bool | None:
        """Whether the therapist's console is connected anywhere, or was a moment ago; None where nobody can say."""
        now = self._now()
        mark = self.our_mark(person_of("therapist", therapist_id))
        if therapist_id in self._at_work or (mark is not None and mark.until > now):
            return True
        is_known = self._roll_called_at is not None and now - self._roll_called_at < self._rules.mark_lives
        return False if is_known else None

    # --- the beat -----------------------------------------------------------------------------------------------------

    async def beat(self) -> None:
        await self._topics.beat()
        now = self._now()
        self._at_work = frozenset(await self._store.call_the_roll(self._topics.therapists_here(), now))
        self._roll_called_at = now

    async def _keep(self) -> None:
        """Beat by beat, and in between whenever there is something to tell or to look up."""
        loop = asyncio.get_running_loop()
        beat_at = loop.time()
        while True:
            is_beat = loop.time() >= beat_at
            if is_beat:
                beat_at = loop.time() + self._rules.beat_s * random.uniform(0.8, 1.0)
            try:
                await (self.beat() if is_beat else self._topics.exchange())
            except Failures as error:
                log.debug("signals stay in this process", why=type(error).__name__)
                await asyncio.sleep(min(self._rhythm.pause_after_failure_s, self._rules.beat_s))
            except Exception:
                log.exception("signals could not be exchanged")
                await asyncio.sleep(self._rhythm.pause_after_failure_s)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(beat_at):
                    await self._topics.has_news.wait()
