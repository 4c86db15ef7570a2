"""The notes of the live signals in Redis: one hash per topic with an expiry, and who of the therapists is there.

Nothing waits for it longer than a fraction of a second, and whoever is here is written on it again at every beat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar

from bot.live.presence import KEPT_FOR, Key, Note
from bot.messaging.driver import DRIVER, Redis, RedisError
from bot.settings.rhythms import PEOPLE, SignalsRhythm

# So many topics in one round trip: encoding them holds up everybody else for a few milliseconds at most.
TOPICS_AT_ONCE = 100
KEPT_FOR_MS = int(KEPT_FOR.total_seconds() * 1000)

Failures = (RedisError, OSError, TimeoutError)
T = TypeVar("T")
_EPOCH = datetime.fromtimestamp(0, UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Batch:
    """What is to be written, removed and read in one exchange, by topic."""

    notes: Mapping[str, Mapping[Key, Note]] = field(default_factory=dict)
    removed: Mapping[str, Collection[Key]] = field(default_factory=dict)
    wanted: frozenset[str] = frozenset()


class SignalStore:
    """`exchange` and `call_the_roll` raise one of `Failures` after at most half a second for each round trip."""

    def __init__(self, redis_url: str, *, namespace: str = "", rhythm: SignalsRhythm = PEOPLE.signals) -> None:
        self._rhythm = rhythm
        self._url = redis_url
        self._prefix = f"janji:{namespace}:signals:" if namespace else "janji:signals:"
        self._redis: Redis | None = None
        self.is_well = True

    async def exchange(self, batch: Batch) -> dict[str, dict[Key, Note]]:
        """Write, remove and read in one pipeline, or in several where there is much; gives the wanted topics."""
        found: dict[str, dict[Key, Note]] = {}
        for topics in in_parts([*batch.notes, *batch.removed, *batch.wanted]):
            found |= await self._within_time(self._exchange(batch, topics))
        return found

    async def call_the_roll(self, here: Mapping[str, datetime], now: datetime) -> list[str]:
        """Say until when each of these is here for certain, and hear who else is."""
        return await self._within_time(self._call_the_roll(here, now))

    async def close(self) -> None:
        redis, self._redis = self._redis, None
        if redis is None:
            return
        try:
            async with asyncio.timeout(self._rhythm.closed_within_s):
                await redis.aclose()
        except Failures:
            pass

    async def _within_time(self, work: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._rhythm.exchanged_within_s):
                result = await work
        except Failures:
            self.is_well = False
            await self.close()  # what is left on this connection is an answer to nobody
            raise
        self.is_well = True
        return result

    def _connection(self) -> Redis:
        if self._redis is None:
            self._redis = Redis.from_url(
                self._url,
                max_connections=1,
                driver_info=DRIVER,
                socket_connect_timeout=self._rhythm.exchanged_within_s,
                socket_timeout=self._rhythm.exchanged_within_s,
            )
        return self._redis

    async def _exchange(self, batch: Batch, topics: Sequence[str]) -> dict[str, dict[Key, Note]]:
        pipeline = self._connection().pipeline(transaction=False)
        for topic in topics:
            if notes := batch.notes.get(topic):
                pipeline.hset(self._prefix + topic, mapping={_field(key): _text(note) for key, note in notes.items()})
                pipeline.pexpire(self._prefix + topic, KEPT_FOR_MS)
            if lapsed := batch.removed.get(topic):
                pipeline.hdel(self._prefix + topic, *map(_field, lapsed))
        wanted = [topic for topic in topics if topic in batch.wanted]
        for topic in wanted:
            pipeline.hgetall(self._prefix + topic)
        answers = await pipeline.execute()
        return {
            topic: dict(_notes(answer))
            for topic, answer in zip(wanted, answers[len(answers) - len(wanted) :], strict=True)
        }

    async def _call_the_roll(self, here: Mapping[str, datetime], now: datetime) -> list[str]:
        name = f"{self._prefix}therapists"
        pipeline = self._connection().pipeline(transaction=False)
        if here:
            pipeline.zadd(name, {person: _ms(until) for person, until in here.items()})
            pipeline.pexpire(name, KEPT_FOR_MS)
        pipeline.zremrangebyscore(name, "-inf", _ms(now))
        pipeline.zrange(name, 0, -1)
        answers = await pipeline.execute()
        return [person.decode() for person in answers[-1]]


def in_parts(topics: Iterable[T]) -> Iterable[list[T]]:
    """Each topic once, so many at a time as make one round trip."""
    left = iter(dict.fromkeys(topics))
    while part := list(islice(left, TOPICS_AT_ONCE)):
        yield part


def _ms(at: datetime) -> int:
    return (at - _EPOCH) // _MILLISECOND


def _field(key: Key) -> str:
    return ":".join(key)


def _text(note: Note) -> str:
    return f"{_ms(note.until)} {note.version} {note.value}"


def _notes(fields: Mapping[bytes, bytes]) -> Iterable[tuple[Key, Note]]:
    for name, text in fields.items():
        what, by, process = name.decode().split(":")
        until, version, value = text.decode().split(" ", 2)
        yield Key(what, by, process), Note(value, _EPOCH + int(until) * _MILLISECOND, int(version))  # type: ignore[arg-type]  # our own words
