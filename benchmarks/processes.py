"""Two processes, and every room split between them: what one writes, the other shows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack

from benchmarks.chat import REST_S, Measured, janji_pair, measure_on, node_pair, prepare_rooms, rows_of
from benchmarks.effort import Effort
from benchmarks.generator import crowd_of
from benchmarks.report import Section, at_least
from benchmarks.stage import Stage, Store, free_port
from bot.settings.settings import Settings

CONNECTIONS = 500
PEERS: Mapping[Store, str] = {
    "one": "Node.js with the Redis adapter, one insert for each message",
    "group": "Node.js with the Redis adapter and group commit",
}
GOALS = {"per_s": at_least(1.8)}


async def measure(stage: Stage, effort: Effort) -> list[Section]:
    settings = await stage.prepare("processes")
    rooms = await prepare_rooms(settings, CONNECTIONS // 2)
    async with AsyncExitStack() as stack:
        pairs = {"janji": [await stack.enter_async_context(stage.janji(each)) for each in _two_of(settings)]}
        for store in PEERS:
            pairs[store] = [
                await stack.enter_async_context(stage.node(store, database="processes", with_redis=True))
                for _ in range(2)
            ]
        crowds = {}
        for name, servers in pairs.items():
            pair = janji_pair if name == "janji" else node_pair
            people = [person for room in rooms for person in pair(room, *servers)]
            crowds[name] = await stack.enter_async_context(crowd_of(people))
        measured: dict[str, list[Measured]] = {name: [] for name in pairs}
        for _ in range(effort.repetitions):
            for name, servers in pairs.items():
                measured[name].append(await measure_on(servers, stage.mongod, crowds[name], effort))
                await asyncio.sleep(REST_S)
    return [_section(effort, store, measured) for store in PEERS]


def _two_of(settings: Settings) -> tuple[Settings, Settings]:
    return settings, settings.model_copy(update={"port": free_port()})


def _section(effort: Effort, peer: Store, measured: Mapping[str, Sequence[Measured]]) -> Section:
    title = f"Two processes, {CONNECTIONS} connections, every room split; beside them {PEERS[peer]}"
    return Section(title, rows_of(effort, measured["janji"], measured[peer], GOALS))
