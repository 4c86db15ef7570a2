"""Finding and holding therapists in a full town: the program's own effect, performed outside of a booking.

Beside it stands what people write: a `$geoNear` pipeline with the same conditions, on the index that its manual shows
or on ours, and the same conditional update for each of the first who are still free.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from time import perf_counter
from typing import Any

from benchmarks import town
from benchmarks.effort import Effort
from benchmarks.report import Figure, Row, Section, at_least, figure, percentile
from benchmarks.stage import Stage
from bot.services import Services, policy_of, running
from bot.settings.settings import Settings
from bot.store.driver import Collection, aggregate
from bot.store.kinds import R, RecordKind
from bot.turns.cause import Cause
from bot.turns.searching import Searching
from bot.turns.turns import Actor, Command, Outcome
from matching.effects import FindCandidates
from matching.events import CandidatesHeld
from matching.policy import Needs

AT_ONCE = (1, 32)
# What an aggregation brings, for the few of them who are then held.
CANDIDATES = 10
HOLD = timedelta(seconds=60)
GOAL = at_least(2.8)
PLAIN = "`$geoNear` on a 2dsphere index of the location"
COMPOUND = "`$geoNear` on the index that ours uses"

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
        ours, plain = services.database["therapists"], services.database["therapists_plain"]
        await aggregate(ours, [{"$out": plain.name}])
        await plain.create_index([("location", "2dsphere")])
        ways = {
            "janji": (ours, _searching(services)),
            PLAIN: (plain, _pipeline(services, plain)),
            COMPOUND: (ours, _pipeline(services, ours)),
        }
        measured: dict[tuple[str, int], list[Measured]] = {(way, count): [] for way in ways for count in AT_ONCE}
        for repetition in range(effort.repetitions):
            for count in AT_ONCE:
                places = _places(effort.searches if count > 1 else effort.searches // 4, repetition)
                for way, (collection, once) in ways.items():
                    await collection.update_many({"hold": {"$ne": None}}, {"$set": {"hold": None}})
                    measured[way, count].append(await _measure(once, places, count))
    return [_section(settings, effort, peer, measured) for peer in (PLAIN, COMPOUND)]


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
    """`FindCandidates` as `bot/turns/searching.py` performs it: query, reservations, ranking and holds."""
    policy = policy_of(services.settings)
    heard = _Heard()
    searching = Searching(
        services.therapists,
        services.reservations,
        policy,
        services.signals.is_at_work,
        services.clock.now,
        timedelta(seconds=services.settings.arrival_s),
        services.settings.reservation_buffer_minutes,
    )
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
        await searching.find_candidates(effect, Cause("search", search_id, f"{search_id}:1:0", heard.take))
        held = len(heard.answers.pop(search_id).holds)
        assert held == policy.wave_size, f"the town is full, and {held} were held"

    return search


class _Heard:
    """Stands where turns stand and keeps the answers in memory: the turn that would follow is not measured here."""

    def __init__(self) -> None:
        self.answers: dict[str, CandidatesHeld] = {}

    async def take(
        self, kind: RecordKind[R, Any], record_id: str, event: Any, command: Command | None = None, *, by: Actor
    ) -> Outcome[R]:
        self.answers[record_id] = event
        return Outcome(kind.record(record_id))  # type: ignore[call-arg]  # every record begins with its id alone


def _pipeline(services: Services, collection: Collection) -> Once:
    """Nearest first, the conditions inside `$geoNear`, then one conditional update for each of the first."""
    policy = policy_of(services.settings)
    numbers = itertools.count(1)

    async def search(place: tuple[float, float]) -> None:
        now = services.clock.now()
        is_free = {"available": True, "$or": [{"hold": None}, {"hold.until": {"$lte": now}}]}
        near = {
            "near": {"type": "Point", "coordinates": [place[1], place[0]]},
            "distanceField": "distance",
            "maxDistance": policy.radius_km(1) * 1000,
            "spherical": True,
            "query": {**is_free, "durations": 60, "busy": None},
        }
        fields = {"rating": 1, "gender": 1, "durations": 1, "location": 1, "last_offer_at": 1, "distance": 1}
        found = await aggregate(collection, [{"$geoNear": near}, {"$limit": CANDIDATES}, {"$project": fields}])
        hold = {"search_id": f"p_{next(numbers)}", "until": now + HOLD}

        async def take(therapist_id: str) -> bool:
            change = {"$set": {"hold": hold, "last_offer_at": now}, "$inc": {"fence": 1}}
            return await collection.find_one_and_update({"_id": therapist_id, **is_free}, change) is not None

        held = 0
        while found and held < policy.wave_size:
            missing = policy.wave_size - held
            wave, found = found[:missing], found[missing:]
            held += sum(await asyncio.gather(*(take(each["_id"]) for each in wave)))
        assert held == policy.wave_size, f"the town is full, and {held} were held"

    return search


def _section(
    settings: Settings, effort: Effort, peer: str, measured: Mapping[tuple[str, int], Sequence[Measured]]
) -> Section:
    names = (("searches/s", "per_s"), ("p50 ms", "p50_ms"), ("p99 ms", "p99_ms"))

    def of(way: str, count: int, name: str) -> Figure:
        return figure(getattr(each, name) for each in measured[way, count])

    rows = [
        Row(
            f"{count} at once, {what}",
            of("janji", count, name),
            of(peer, count, name),
            GOAL if (peer, count, name) == (PLAIN, AT_ONCE[-1], "per_s") else None,
        )
        for count in AT_ONCE
        for what, name in names
    ]
    held = policy_of(settings).wave_size
    return Section(
        f"Searches among {effort.therapists:,} therapists, {held} held by each; beside them {peer}", tuple(rows)
    )
