"""Notifications that are due at one moment, through two worker processes; beside them a plain RQ job for each.

They are reminders by short message for bookings that stand. That channel has the strictest promises (nobody can tell
its provider to send a thing only once) and the cheapest library, so that our own machinery is what is measured. The
provider is a process of its own, and notes what it takes and when; the peer sends it the same messages.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import time
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
from redis import Redis
from rq import Queue

from benchmarks import plain_jobs, plain_worker
from benchmarks.effort import Effort
from benchmarks.generator import LoadFailed
from benchmarks.provider import ACCOUNT, SENDER, TOKEN
from benchmarks.report import Row, Section, at_least, at_most, figure, percentile
from benchmarks.rooms import open_rooms
from benchmarks.stage import Server, Stage, with_settings
from bot.messaging.jobs import QUEUES
from bot.services import Services, running
from conversations.notices import Notice

WORKERS = 2
# The moment comes when all rows have been written.
WRITE_WITHIN_S = 5.0
WRITTEN_PER_S = 300.0
WRITTEN_AT_ONCE = 50
LOOK_EVERY_S = 0.1
# Without anything new for so long, what is missing is lost.
PATIENCE_S = 60.0
VISIT_IN_S = 3 * 3600.0
USEFUL = timedelta(hours=1)

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Booked:
    """A booking, and its guest as the ledger knows them."""

    booking_id: str
    person_id: str


@dataclass(frozen=True, slots=True)
class Measured:
    """One repetition on one side. CPU is that of the workers and all they have started, for each message."""

    per_s: float
    last_s: float
    cpu_ms: float
    database_ms: float


class Inbox:
    """What the provider has taken."""

    def __init__(self, provider: Server, http: aiohttp.ClientSession) -> None:
        self._url = provider.url
        self._http = http

    async def until(self, count: int) -> list[Message]:
        """All that has come in, once there is so much of it. Raises LoadFailed when nothing more comes."""
        known, moved_at = 0, time()
        while known < count:
            await asyncio.sleep(LOOK_EVERY_S)
            now_known = await self._count()
            if now_known > known:
                known, moved_at = now_known, time()
            elif time() - moved_at > PATIENCE_S:
                raise LoadFailed(f"{count - known} of {count} messages have not been sent")
        return await self.empty()

    async def empty(self) -> list[Message]:
        async with self._http.post(f"{self._url}/hand_over") as answer:
            taken: list[Message] = await answer.json()
            return taken

    async def _count(self) -> int:
        async with self._http.get(f"{self._url}/count") as answer:
            return int(await answer.json())


async def measure(stage: Stage, effort: Effort) -> list[Section]:
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(stage.provider())
        bench = await stack.enter_async_context(_bench(stage, provider, max(effort.notifications, effort.spread)))
        measured = []
        for number in range(effort.repetitions):
            ours, messages = await bench.at_one_moment(effort.notifications, f"moment {number}")
            # Each of theirs takes as long as the one before, so that fewer say as much.
            measured.append((ours, await bench.plain_jobs(messages[: effort.plain_jobs])))
        late_ms = await bench.spread(effort.spread, effort.spread_s)
    return [
        _section(effort, [ours for ours, _ in measured], [theirs for _, theirs in measured]),
        _spread_section(effort, late_ms),
    ]


@asynccontextmanager
async def _bench(stage: Stage, provider: Server, bookings: int) -> AsyncIterator[Bench]:
    settings = await stage.prepare(
        "notifications",
        arrival_s=VISIT_IN_S,
        public_url="https://janji.example",
        cap_sms_per_hour=1_000,
        twilio_account_sid=ACCOUNT,
        twilio_auth_token=TOKEN,
        twilio_from=SENDER,
        twilio_api_url=provider.url,
    )
    async with running(settings, with_sweep=False) as services, aiohttp.ClientSession() as http:
        rooms = await open_rooms(services, bookings)
        ids = [room.booking_id for room in rooms]
        found = services.database["bookings"].find({"_id": {"$in": ids}}, {"conversation_id": 1})
        booked = [Booked(each["_id"], f"guest:{each['conversation_id']}") async for each in found]
        yield Bench(stage, services, booked, provider, Inbox(provider, http))


class Bench:
    """Bookings that stand, a provider, and both kinds of workers, which are started anew each time."""

    def __init__(
        self, stage: Stage, services: Services, booked: Sequence[Booked], provider: Server, inbox: Inbox
    ) -> None:
        self._stage = stage
        self._services = services
        self._booked = booked
        self._provider = provider
        self._inbox = inbox

    async def at_one_moment(self, count: int, occasion: str) -> tuple[Measured, list[Message]]:
        """All due at once; the messages as well, for the peer to send them again."""
        async with self._workers() as workers:
            moment = self._soon(count)
            rows = await self._write([moment] * count, occasion)
            await self._until(moment)
            before = self._cpu_s(workers)
            messages = await self._inbox.until(count)
            await self._nothing_is_left_behind()
            after = self._cpu_s(workers)
        self._each_once(messages, rows)
        return _measured(moment.timestamp(), messages, before, after), messages

    async def plain_jobs(self, messages: Sequence[Message]) -> Measured:
        """The same messages, each by a job; the moment is when the first of them is put into the queue."""
        redis_url = self._stage.servers.redis_url or ""
        async with self._plain_workers() as workers:
            before, moment = self._cpu_s(workers), time()
            enqueueing = asyncio.to_thread(plain_jobs.enqueue, redis_url, messages)
            _, again = await asyncio.gather(enqueueing, self._inbox.until(len(messages)))
            await self._queues_are_empty((plain_jobs.QUEUE,))
            after = self._cpu_s(workers)
        self._each_once(again, [_row_of(each) for each in messages])
        return _measured(moment, again, before, after)

    async def spread(self, count: int, for_s: float) -> list[float]:
        """Due one after the other; how late each was, in milliseconds, in the order in which they were due."""
        async with self._workers():
            first = self._soon(count)
            moments = [first + timedelta(seconds=number * for_s / count) for number in range(count)]
            rows = await self._write(moments, "spread")
            await self._until(first)
            messages = await self._inbox.until(count)
            await self._nothing_is_left_behind()
        self._each_once(messages, rows)
        came_at = {_row_of(each): each["at"] for each in messages}
        return [(came_at[row] - moment.timestamp()) * 1000 for row, moment in zip(rows, moments, strict=True)]

    def _soon(self, count: int) -> datetime:
        """When so many rows will have been written."""
        return self._services.clock.now() + timedelta(seconds=WRITE_WITHIN_S + count / WRITTEN_PER_S)

    async def _write(self, moments: Sequence[datetime], occasion: str) -> list[str]:
        """One row for each moment, by the ledger's own way; another occasion makes them others than before."""
        doors = asyncio.Semaphore(WRITTEN_AT_ONCE)

        async def write(booked: Booked, moment: datetime) -> str:
            notice = Notice("reminder_2h", "customer", booked.person_id, "sms", moment, moment + USEFUL, "normal", None)
            async with doors:
                [row] = await self._services.notifications.write(
                    "booking", booked.booking_id, 1, [notice], self._services.clock.now(), occasion=occasion
                )
            return row

        # There may be more bookings than moments.
        return await asyncio.gather(*(write(*each) for each in zip(self._booked, moments, strict=False)))

    @asynccontextmanager
    async def _workers(self) -> AsyncIterator[Sequence[Server]]:
        """As an operator starts them: each is an RQ worker and a sweep."""
        environment = with_settings(self._services.settings)
        async with self._two_of("workers", ("-m", "workers"), environment, "the sweep runs") as workers:
            yield workers

    @asynccontextmanager
    async def _plain_workers(self) -> AsyncIterator[Sequence[Server]]:
        environment = {**os.environ, plain_jobs.PROVIDER_URL: self._provider.url}
        command = ("-m", "benchmarks.plain_worker", self._stage.servers.redis_url or "")
        async with self._two_of("plain", command, environment, plain_worker.LISTENS) as workers:
            yield workers

    @asynccontextmanager
    async def _two_of(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str], says: str
    ) -> AsyncIterator[Sequence[Server]]:
        async with AsyncExitStack() as stack:
            starting = [
                self._stage.started(f"{name}-{number}", (sys.executable, *arguments), environment, says.encode())
                for number in range(WORKERS)
            ]
            yield await asyncio.gather(*(stack.enter_async_context(each) for each in starting))

    async def _until(self, moment: datetime) -> None:
        ahead_s = (moment - self._services.clock.now()).total_seconds()
        if ahead_s < 0:
            raise LoadFailed(f"the rows were written {-ahead_s:.0f} s after the moment: this machine is too busy")
        await asyncio.sleep(ahead_s)

    def _cpu_s(self, workers: Sequence[Server]) -> tuple[float, float]:
        """What the workers have computed so far, and the database."""
        return sum(each.family_cpu_s() for each in workers), self._stage.mongod.cpu_s()

    async def _nothing_is_left_behind(self) -> None:
        """No row is open that is due, and no job waits or has failed."""
        ledger = self._services.notifications
        for _ in range(int(PATIENCE_S / LOOK_EVERY_S)):
            if await ledger.count(["pending", "sending"]) == 0:
                break
            await asyncio.sleep(LOOK_EVERY_S)
        else:
            raise LoadFailed("rows were left behind")
        await self._queues_are_empty(QUEUES)

    async def _queues_are_empty(self, names: Sequence[str]) -> None:
        with Redis.from_url(self._stage.servers.redis_url or "") as connection:
            queues = [Queue(name, connection=connection) for name in names]
            for _ in range(int(PATIENCE_S / LOOK_EVERY_S)):
                if not any(queue.count + queue.started_job_registry.count for queue in queues):
                    break
                await asyncio.sleep(LOOK_EVERY_S)
            else:
                raise LoadFailed("jobs were left behind")
            if failed := sum(queue.failed_job_registry.count for queue in queues):
                raise LoadFailed(f"{failed} jobs have failed")

    def _each_once(self, messages: Sequence[Message], rows: Sequence[str]) -> None:
        came = Counter(map(_row_of, messages))
        if came != Counter(rows):
            raise LoadFailed(f"{len(rows)} messages were to be sent, and {came.total()} came of {len(came)} rows")


def _row_of(message: Message) -> str:
    """The row that a message tells of, as its provider knows it."""
    return parse_qs(urlsplit(message["StatusCallback"]).query)["n"][0]


def _measured(
    moment: float, messages: Sequence[Message], before: tuple[float, float], after: tuple[float, float]
) -> Measured:
    last_s, count = max(each["at"] for each in messages) - moment, len(messages)
    workers_s, database_s = after[0] - before[0], after[1] - before[1]
    return Measured(count / last_s, last_s, workers_s / count * 1000, database_s / count * 1000)


def _section(effort: Effort, ours: Sequence[Measured], theirs: Sequence[Measured]) -> Section:
    def row(what: str, name: str, **more: Any) -> Row:
        return Row(
            what, figure(getattr(each, name) for each in ours), figure(getattr(each, name) for each in theirs), **more
        )

    what = f"{effort.notifications:,} notifications due at one moment, {WORKERS} workers"
    return Section(
        f"{what}; beside them a plain RQ job for each of {effort.plain_jobs:,}",
        (
            row("notifications/s, none lost, none twice, no job left", "per_s", goal=at_least(3.0)),
            Row("the last one's lateness, s", figure(each.last_s for each in ours)),
            row("the workers' CPU for each, ms", "cpu_ms"),
            row("database CPU for each, ms", "database_ms"),
        ),
    )


def _spread_section(effort: Effort, late_ms: Sequence[float]) -> Section:
    """Consecutive parts of the time are the repetitions."""
    size = -(-len(late_ms) // effort.repetitions)
    parts = [late_ms[start : start + size] for start in range(0, len(late_ms), size)]
    return Section(
        f"{effort.spread:,} notifications spread over {effort.spread_s:.0f} s; milliseconds after the moment",
        (
            Row("earliest of all (below zero would be early)", figure([min(late_ms)]), goal=at_least(0.0)),
            Row("sent, p50", figure(percentile(each, 0.5) for each in parts)),
            Row("sent, p99", figure(percentile(each, 0.99) for each in parts), goal=at_most(2000.0)),
            Row("sent, latest", figure(max(each) for each in parts)),
        ),
    )
