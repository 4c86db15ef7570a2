"""How the program is doing: its parts are asked all at once, each for a second at most, and their answers are kept.

Whoever asks within a second of the last answer gets that one, and whoever asks meanwhile waits for the same question:
a storm of probes costs no more than one, and a part that hangs holds nobody up.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from bot.access.limits import RateLimits
from bot.cancelling import cancel
from bot.clock import Now
from bot.messaging.bus import Bus
from bot.messaging.driver import RedisError
from bot.messaging.jobs import Jobs
from bot.runtime.loop_lag import LoopLag
from bot.settings.rhythms import PEOPLE, VitalsRhythm
from bot.store.breakers import SIGN_IN, Breakers
from bot.store.driver import PyMongoError, within
from bot.store.heartbeats import Heart, Heartbeats
from bot.store.kinds import RecordName
from bot.store.notifications import Notifications
from bot.store.records import Records
from bot.turns.sweep import Sweep

PartName = Literal["mongodb", "redis", "workers", "outbox", "alarms", "notifications", "sign_in", "process"]
PartState = Literal["ok", "delayed", "away", "unknown"]
State = Literal["operational", "degraded", "down"]

T = TypeVar("T")
# What works behind the web processes.
BEHIND: tuple[Heart, ...] = ("dispatch", "jobs")
_Failures = (PyMongoError, RedisError, OSError)  # which a TimeoutError is, too


@dataclass(frozen=True, slots=True)
class Part:
    """One part, and the age of what it is judged by.

    That is how long a server has been away, how long ago a worker was heard of or, where it is delayed, how long the
    oldest job has waited, how long the oldest effect has waited, how long the most overdue alarm or notification is
    overdue, how long a provider of theirs has been left alone, or for how long the event loop was busy at a stretch.
    """

    name: PartName
    state: PartState
    age_s: float | None = None
    since: datetime | None = None
    """For a server that is away, the same as a moment."""


@dataclass(frozen=True, slots=True)
class Report:
    """All parts, and what comes of it for those who book and write."""

    parts: tuple[Part, ...]

    @property
    def state(self) -> State:
        if any(part.name == "mongodb" and part.state != "ok" for part in self.parts):
            return "down"
        return "operational" if all(part.state == "ok" for part in self.parts) else "degraded"


class Kept(Generic[T]):
    """An answer that is good for a while; one question is under way at a time, whoever and however many ask."""

    def __init__(self, ask: Callable[[], Awaitable[T]], for_s: float) -> None:
        self._for_s = for_s
        self._ask = ask
        self._asking: asyncio.Task[T] | None = None
        self._good_until = 0.0

    async def get(self) -> T:
        if self._asking is None or (self._asking.done() and time.monotonic() >= self._good_until):
            self._asking = asyncio.create_task(self._ask_now())
        return await asyncio.shield(self._asking)

    async def stop(self) -> None:
        if self._asking is not None:
            await cancel(self._asking)

    async def _ask_now(self) -> T:
        try:
            return await self._ask()
        finally:
            self._good_until = time.monotonic() + self._for_s


class Vitals:
    """`mongodb` and `redis` are for who asks whether to send people here, `report` for who wants to know more."""

    def __init__(
        self,
        records: Mapping[RecordName, Records[Any]],
        *,
        bus: Bus,
        limits: RateLimits,
        jobs: Jobs,
        sweep: Sweep,
        loop_lag: LoopLag,
        notifications: Notifications,
        heartbeats: Heartbeats,
        breakers: Breakers,
        providers: Sequence[str],
        sends_codes: bool,
        now: Now,
        rhythm: VitalsRhythm = PEOPLE.vitals,
    ) -> None:
        self._rhythm = rhythm
        self._records = records
        self._bus = bus
        self._limits = limits
        self._jobs = jobs
        self._sweep = sweep
        self._loop_lag = loop_lag
        self._notifications = notifications
        self._breakers = breakers
        self._heartbeats = heartbeats
        self._process = secrets.token_hex(4)
        self.heard_s: dict[Heart, float] = {}
        """How long ago the workers' hearts beat, when it was last looked."""
        self._providers = providers
        self._sends_codes = sends_codes
        self._now = now
        self._started_at = time.monotonic()
        self._no_answer_since: datetime | None = None
        self._mongodb = Kept(self._ask_mongodb, rhythm.kept_for_s)
        self._rest = Kept(self._ask_the_rest, rhythm.kept_for_s)

    @property
    def uptime_s(self) -> float:
        return time.monotonic() - self._started_at

    async def stop(self) -> None:
        await self._mongodb.stop()
        await self._rest.stop()

    async def mongodb(self) -> Part:
        """Whether commands can be taken: a server answers that takes writes."""
        return await self._mongodb.get()

    def redis(self) -> Part:
        """By what the bus and the limits have met: nobody waits for an answer."""
        since = self._bus.away_since
        if since is not None:
            return Part("redis", "away", self._age_s(since), since)
        is_slow = self._bus.owed_s > self._rhythm.slow_redis_s or self._limits.is_alone
        return Part("redis", "delayed" if is_slow else "ok")

    async def report(self) -> Report:
        mongodb, rest = await asyncio.gather(self._mongodb.get(), self._rest.get())
        lag_s = self._loop_lag.worst_s
        process = Part("process", "delayed", lag_s) if lag_s > self._rhythm.slow_loop_s else Part("process", "ok")
        return Report((mongodb, self.redis(), *rest, process))

    async def _ask_mongodb(self) -> Part:
        if await self._answer(self._beat):
            self._no_answer_since = None
            return Part("mongodb", "ok")
        self._no_answer_since = self._no_answer_since or self._now()
        # The sweep asks all the time, and may have seen it before anybody asked here.
        since = min(self._no_answer_since, self._sweep.away_since or self._no_answer_since)
        return Part("mongodb", "away", self._age_s(since), since)

    async def _beat(self) -> bool:
        """A server that answers may still take no writes: it is locked, its disk is full, or we may only read."""
        await self._heartbeats.beat("web", self._now(), self._process)
        return True

    async def _ask_the_rest(self) -> tuple[Part, ...]:
        asking = [self._ask_workers(), self._ask_outbox(), self._ask_alarms(), self._ask_notifications()]
        if self._sends_codes:
            asking.append(self._ask_sign_in())
        return tuple(await asyncio.gather(*asking))

    async def _ask_workers(self) -> Part:
        """By the signs of life of both: of who hands out what is due, and of the jobs that are done."""
        beats = await self._answer(lambda: asyncio.gather(*(self._heartbeats.last(each) for each in BEHIND)))
        if beats is None:
            return Part("workers", "unknown")
        self.heard_s = {heart: self._age_s(at) for heart, at in zip(BEHIND, beats, strict=True) if at is not None}
        heard_s = max(self.heard_s.values()) if len(self.heard_s) == len(BEHIND) else None
        if heard_s is None or heard_s > self._rhythm.silent_worker_s:
            return Part("workers", "away", heard_s)
        try:
            waiting_since = await self._jobs.waiting_since()
        except _Failures:
            return Part("workers", "unknown")
        waiting_s = self._age_s(waiting_since) if waiting_since else 0.0
        if waiting_s > self._rhythm.waiting_job_s:
            return Part("workers", "delayed", waiting_s)
        return Part("workers", "ok", heard_s)

    async def _ask_outbox(self) -> Part:
        every = self._records.values()
        return await self._oldest(
            "outbox",
            lambda: [
                *(records.longest_unperformed(self._now()) for records in every),
                *(_longest_parked(records) for records in every),
            ],
        )

    async def _ask_alarms(self) -> Part:
        ringing = [records for records in self._records.values() if records.kind.ring is not None]
        return await self._oldest("alarms", lambda: [records.longest_overdue(self._now()) for records in ringing])

    async def _ask_notifications(self) -> Part:
        answer = await self._answer(
            lambda: asyncio.gather(self._notifications.oldest_due(self._now()), self._breakers.all())
        )
        if answer is None:
            return Part("notifications", "unknown")
        oldest_due, breakers = answer
        known = [breakers[name].open_since for name in self._providers if name in breakers]
        resting = [since for since in known if since is not None]
        if resting:
            return Part("notifications", "away", self._age_s(min(resting)))
        late_s = self._age_s(oldest_due) if oldest_due else None
        is_late = late_s is not None and late_s > self._rhythm.late_notification_s
        return Part("notifications", "delayed" if is_late else "ok", late_s)

    async def _ask_sign_in(self) -> Part:
        """By what became of the codes that were sent last: one that did not leave is a person who cannot come in."""
        breakers = await self._answer(self._breakers.all)
        if breakers is None:
            return Part("sign_in", "unknown")
        failing = breakers.get(SIGN_IN)
        if failing is None:
            return Part("sign_in", "ok")
        if failing.open_since is not None:
            return Part("sign_in", "away", self._age_s(failing.open_since))
        return Part("sign_in", "delayed")

    async def _oldest(self, name: PartName, ask: Callable[[], list[Awaitable[datetime | None]]]) -> Part:
        answers = await self._answer(lambda: asyncio.gather(*ask()))
        if answers is None:
            return Part(name, "unknown")
        age_s = max((self._age_s(moment) for moment in answers if moment is not None), default=None)
        return Part(name, "delayed" if age_s is not None and age_s > self._rhythm.late_s else "ok", age_s)

    async def _answer(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        """What the database answers, None where it doesn't in time."""
        try:
            async with within(self._rhythm.asked_for_s):
                return await ask()
        except _Failures:
            return None

    def _age_s(self, moment: datetime) -> float:
        return max(0.0, (self._now() - moment).total_seconds())


async def _longest_parked(records: Records[Any]) -> datetime | None:
    """What cannot be read has been decided, and waits for somebody who looks."""
    parked = await records.parked(limit=1)
    return parked[0].at if parked else None
