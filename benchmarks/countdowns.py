"""Countdowns of many guests at once: how late each one hears that an attempt is over, and that none hears it early.

The searches run in the real server, in a town full of therapists who are asked and do not answer. They start evenly
over one countdown, so their first attempts end evenly over the next one, while all of them are armed; consecutive parts
of that time are the repetitions.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

from benchmarks import town
from benchmarks.effort import Effort
from benchmarks.people import Arrival, Matches, Person, confirm, guest_at, open_form
from benchmarks.report import Row, Section, figure, percentile
from benchmarks.stage import Server, Stage
from bot.services import running

CONNECT_AT_ONCE = 25
PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Ending:
    """An attempt's end as it was promised to a guest, and how much later it was decided upon and the guest heard of it.

    When it was decided follows from the next countdown, which begins at that moment.
    """

    deadline_at: datetime
    decided_ms: float
    heard_ms: float


async def measure(stage: Stage, effort: Effort) -> list[Section]:
    settings = await stage.prepare("countdowns", answer_s=effort.countdown_s)
    async with running(settings, with_sweep=False) as services:
        await town.settle(services, effort.therapists)
    async with stage.janji(settings) as janji:
        guests = await _guests(janji, effort.armed)
        endings = await asyncio.gather(*await _start_evenly(guests, effort))
    return [_section(effort, _parts(endings, effort.repetitions))]


async def _guests(janji: Server, count: int) -> list[tuple[Person, int]]:
    """Guests with the service card before them, and its revision."""

    async def come() -> tuple[Person, int]:
        guest = await guest_at(janji.url)
        return guest, await open_form(guest)

    guests: list[tuple[Person, int]] = []
    while len(guests) < count:
        guests += await asyncio.gather(*(come() for _ in range(min(CONNECT_AT_ONCE, count - len(guests)))))
    return guests


async def _start_evenly(guests: Sequence[tuple[Person, int]], effort: Effort) -> list[asyncio.Task[Ending]]:
    chance = random.Random(effort.armed)
    started_at = perf_counter()
    endings = []
    for number, (guest, revision) in enumerate(guests):
        await asyncio.sleep(max(started_at + number / len(guests) * effort.countdown_s - perf_counter(), 0))
        place = town.somewhere(chance, town.SIDE_KM * 0.8)
        endings.append(asyncio.create_task(_ending(guest, revision, place, effort.countdown_s)))
    return endings


async def _ending(guest: Person, revision: int, place: tuple[float, float], countdown_s: float) -> Ending:
    first, second = guest.post.expect(_is_attempt(1)), guest.post.expect(_is_attempt(2))
    await confirm(guest, revision, place)
    deadline_at = _deadline(await asyncio.wait_for(first, PATIENCE_S))
    shown = await asyncio.wait_for(second, countdown_s + PATIENCE_S)
    decided_at = _deadline(shown) - timedelta(seconds=countdown_s)
    return Ending(
        deadline_at,
        decided_ms=(decided_at - deadline_at).total_seconds() * 1000,
        heard_ms=(shown.wall_at - deadline_at.timestamp()) * 1000,
    )


def _deadline(arrival: Arrival) -> datetime:
    return datetime.fromisoformat(arrival.entry["data"]["countdown"]["deadline_at"])


def _parts(endings: Sequence[Ending], count: int) -> list[Sequence[Ending]]:
    """In the order of the deadlines, cut into so many parts."""
    ordered = sorted(endings, key=lambda ending: ending.deadline_at)
    size = -(-len(ordered) // count)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def _is_attempt(attempt: int) -> Matches:
    def matches(entry: dict[str, Any]) -> bool:
        countdown = entry["data"].get("countdown") if entry["type"] == "state" else None
        return countdown is not None and countdown["attempt"] == attempt

    return matches


def _section(effort: Effort, parts: Sequence[Sequence[Ending]]) -> Section:
    decided = [[ending.decided_ms for ending in part] for part in parts]
    heard = [[ending.heard_ms for ending in part] for part in parts]
    per_s = effort.armed / effort.countdown_s
    return Section(
        f"{effort.armed:,} searches armed, {per_s:.0f} countdowns end each second; milliseconds after the deadline",
        (
            Row("earliest (below zero would be early)", figure(min(each) for each in decided)),
            Row("decided, p50", figure(percentile(each, 0.5) for each in decided)),
            Row("decided, p99", figure(percentile(each, 0.99) for each in decided)),
            Row("decided, latest", figure(max(each) for each in decided)),
            Row("heard by the guest, p50", figure(percentile(each, 0.5) for each in heard)),
            Row("heard by the guest, p99", figure(percentile(each, 0.99) for each in heard)),
            Row("heard by the guest, latest", figure(max(each) for each in heard)),
        ),
    )
