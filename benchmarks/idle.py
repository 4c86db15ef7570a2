"""Idle connections: what each costs one process in memory, from clients that offer compression as browsers do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from benchmarks.effort import Effort
from benchmarks.generator import crowd_of, person_at
from benchmarks.report import Row, Section, at_most, figure
from benchmarks.stage import Server, Stage

# What coming in needs for a moment is let go by then.
SETTLED_S = 3.0
AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Measured:
    """One repetition: each connection's share of the memory, in kB, and how many came in each second."""

    kb: float
    per_s: float


async def measure(stage: Stage, effort: Effort) -> list[Section]:
    settings = await stage.prepare("idle")
    ours, theirs = [], []
    for _ in range(effort.repetitions):
        # A new process each time: memory that was used once is not all given back.
        ours.append(await _measure(stage.janji(settings), effort.idle, _guest))
        theirs.append(await _measure(stage.node("one", database="idle"), effort.idle, _node_guest))
    return [_section(effort, ours, theirs)]


def _guest(server: Server, number: int) -> dict[str, Any]:
    return person_at(server.url, "/guest", {"locale": "en"})


def _node_guest(server: Server, number: int) -> dict[str, Any]:
    return person_at(server.url, "/guest", {"room": f"room {number}", "party": "guest"})


async def _measure(
    starting: AbstractAsyncContextManager[Server], count: int, guest: Callable[[Server, int], dict[str, Any]]
) -> Measured:
    async with starting as server:
        async with crowd_of([guest(server, -1)]):
            await asyncio.sleep(SETTLED_S)
            before_kb = server.memory_kb()
        async with crowd_of([guest(server, number) for number in range(count)], at_once=AT_ONCE) as crowd:
            await asyncio.sleep(SETTLED_S)
            return Measured((server.memory_kb() - before_kb) / count, count / crowd.came_in_s)


def _section(effort: Effort, ours: Sequence[Measured], theirs: Sequence[Measured]) -> Section:
    return Section(
        f"{effort.idle:,} idle connections in one process; beside it Node.js",
        (
            Row(
                "memory for each connection, kB",
                figure(each.kb for each in ours),
                figure(each.kb for each in theirs),
                at_most(30, for_janji=True),
            ),
            Row(
                "connections/s as they come in",
                figure(each.per_s for each in ours),
                figure(each.per_s for each in theirs),
            ),
        ),
    )
