"""Finding and holding therapists in a full town: the program's own effect, performed outside of a booking."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import perf_counter
from typing import Any, cast

from benchmarks import town
from benchmarks.effort import Effort
from benchmarks.report import Row, Section, figure, percentile
from benchmarks.stage import Stage
from bot.perform import Perform
from bot.services import Services, policy_of, running
from bot.store.records import OutboxItem
from bot.store.therapists import NEAREST_RANKED
from bot.turns import Outcome, Turns
from matching.effects import FindCandidates
from matching.events import CandidatesHeld
from matching.policy import Needs

AT_ONCE = (1, 16)
HOLD = timedelta(seconds=60)

Once = Callable[[tuple[float, float]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Measured:
    """One repetition at one concurrency."""

    per_s: float
    p50_ms: float
    p99_ms: float


async def measure(stage: Stage, effort: Effort) -> list[Section]:
    settings = await stage.prepare("searches")
    async with running(settings, with_sweep=False) as services:
        await town.settle(services, effort.therapists)
        searching, asking = _searching(services), _asking(services)
        rows: list[Row] = []
        for at_once in AT_ONCE:
            ours, theirs = [], []
            for repetition in range(effort.repetitions):
                places = _places(effort.searches, repetition)
                await services.database["therapists"].update_many({}, {"$set": {"hold": None}})
                ours.append(await _measure(searching, places, at_once))
                theirs.append(await _measure(asking, places, at_once))
            rows += _rows(at_once, ours, theirs)
    title = f"Searches among {effort.therapists:,} therapists, {policy_of(settings).wave_size} held by each"
    return [Section(f"{title}; beside them the bare $nearSphere query", tuple(rows))]


def _places(count: int, seed: int) -> list[tuple[float, float]]:
    chance = random.Random(seed)
    return [town.somewhere(chance, town.SIDE_KM * 0.8) for _ in range(count)]


async def _measure(once: Once, places: Sequence[tuple[float, float]], at_once: int) -> Measured:
    left = iter(places)
    took_ms: list[float] = []

    async def work() -> None:
        for place in left:
            started_at = perf_counter()
            await once(place)
            took_ms.append((perf_counter() - started_at) * 1000)

    started_at = perf_counter()
    await asyncio.gather(*(work() for _ in range(at_once)))
    per_s = len(places) / (perf_counter() - started_at)
    return Measured(per_s, percentile(took_ms, 0.5), percentile(took_ms, 0.99))


def _searching(services: Services) -> Once:
    """`FindCandidates` as `bot/perform.py` performs it: the query, the reservations, the ranking and the holds."""
    policy = policy_of(services.settings)
    heard = _Heard()
    perform = _performing(services, heard)
    numbers = itertools.count(1)

    async def search(place: tuple[float, float]) -> None:
        search_id, now = f"s_{next(numbers)}", services.clock.now()
        effect = FindCandidates(
            attempt=1,
            needs=Needs(*place, duration=60),
            radius_km=policy.radius_km(1),
            count=policy.wave_size,
            until=now + HOLD,
        )
        await perform("search", search_id, [OutboxItem(f"{search_id}:1:0", effect, now)])
        held = len(heard.answers.pop(search_id).holds)
        assert held == policy.wave_size, f"the town is full, and {held} were held"

    return search


def _performing(services: Services, heard: _Heard) -> Perform:
    settings = services.settings
    perform = Perform(
        feeds=services.feeds,
        bookings=services.bookings,
        therapists=services.therapists,
        reservations=services.reservations,
        jobs=services.jobs,
        policy=policy_of(settings),
        now=services.clock.now,
        arrival_s=settings.arrival_s,
        buffer_minutes=settings.reservation_buffer_minutes,
    )
    perform.use(cast(Turns, heard))
    return perform


class _Heard:
    """Stands where turns stand and keeps the answers in memory: the turn that would follow is not measured here."""

    def __init__(self) -> None:
        self.answers: dict[str, CandidatesHeld] = {}

    async def take(self, room: str, record_id: str, event: Any) -> Outcome:
        self.answers[record_id] = event
        return Outcome(None)


def _asking(services: Services) -> Once:
    """As many therapists as a search ranks, nearest first: what the database alone needs."""
    collection = services.database["therapists"]
    radius_m = policy_of(services.settings).radius_km(1) * 1000

    async def ask(place: tuple[float, float]) -> None:
        point = {"type": "Point", "coordinates": [place[1], place[0]]}
        near = {"$nearSphere": {"$geometry": point, "$maxDistance": radius_m}}
        await collection.find({"available": True, "location": near}).limit(NEAREST_RANKED).to_list(None)

    return ask


def _rows(at_once: int, ours: Sequence[Measured], theirs: Sequence[Measured]) -> list[Row]:
    names = (("searches/s", "per_s"), ("p50 ms", "p50_ms"), ("p99 ms", "p99_ms"))
    return [
        Row(
            f"{at_once} at once, {what}",
            figure(getattr(each, name) for each in ours),
            figure(getattr(each, name) for each in theirs),
        )
        for what, name in names
    ]
