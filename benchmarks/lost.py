"""Thousands of clients who vanish at once, and come back at once: how long those who stayed wait meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks.chat import janji_pair, node_pair, prepare_rooms
from benchmarks.effort import Effort
from benchmarks.generator import Generator, crowd_of
from benchmarks.report import Row, Section, at_most, figure
from benchmarks.stage import Stage

STAYING = 50
MESSAGES_PER_S = 200.0
# They vanish this long after those who stay have begun to talk, who then talk on.
BEFORE_S, AFTER_S = 1.0, 4.0
AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class Measured:
    """One repetition: the longest way of a message in milliseconds, and how long it took until all were back."""

    calm_ms: float
    lost_ms: float
    returning_ms: float
    back_s: float


async def measure(stage: Stage, effort: Effort) -> list[Section]:
    settings = await stage.prepare("lost")
    rooms = await prepare_rooms(settings, (STAYING + effort.lost) // 2)
    async with AsyncExitStack() as stack:
        janji = await stack.enter_async_context(stage.janji(settings))
        node = await stack.enter_async_context(stage.node("group", database="lost"))
        ours = [person for room in rooms for person in janji_pair(room, janji, janji)]
        theirs = [person for room in rooms for person in node_pair(room, node, node)]
        our_stayers = await stack.enter_async_context(crowd_of(ours[:STAYING]))
        their_stayers = await stack.enter_async_context(crowd_of(theirs[:STAYING]))
        measured = []
        for _ in range(effort.repetitions):
            one = await _measure(our_stayers, ours[STAYING:])
            measured.append((one, await _measure(their_stayers, theirs[STAYING:])))
    return [_section(effort, [one for one, _ in measured], [other for _, other in measured])]


async def _measure(stayers: Generator, others: Sequence[dict[str, Any]]) -> Measured:
    calm_ms = await _longest_ms(stayers, BEFORE_S)
    waiting = asyncio.create_task(_longest_ms(stayers, AFTER_S))
    async with crowd_of(others, at_once=AT_ONCE) as crowd:
        returning_ms = await waiting
        waiting = asyncio.create_task(_longest_ms(stayers, BEFORE_S + AFTER_S))
        await asyncio.sleep(BEFORE_S)
        await crowd.vanish()
        return Measured(calm_ms, await waiting, returning_ms, crowd.came_in_s)


async def _longest_ms(stayers: Generator, for_s: float) -> float:
    talked = await stayers.pace(per_s=MESSAGES_PER_S, for_s=for_s)
    return talked["longest_ms"]


def _section(effort: Effort, ours: Sequence[Measured], theirs: Sequence[Measured]) -> Section:
    def row(what: str, name: str, **more: Any) -> Row:
        return Row(
            what, figure(getattr(each, name) for each in ours), figure(getattr(each, name) for each in theirs), **more
        )

    wait = f"longest way of a message among {STAYING} who stay, ms"
    return Section(
        f"{effort.lost:,} clients lost at once; beside it Node.js",
        (
            row(f"{wait}: before", "calm_ms"),
            row(f"{wait}: while the others come in", "returning_ms"),
            row(f"{wait}: when they vanish", "lost_ms", goal=at_most(1.0)),
            row("until all of them are in, s", "back_s"),
        ),
    )
