"""Two processes, and every room split between them: what one writes, the other shows."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from benchmarks.chat import REST_S, Measured, janji_pair, measure_on, node_pair, prepare_rooms, rows_of
from benchmarks.effort import Effort
from benchmarks.generator import crowd_of
from benchmarks.report import Section, at_least
from benchmarks.stage import Stage, free_port

CONNECTIONS = 500
PEER = "Node.js with the Redis adapter and group commit"


async def measure(stage: Stage, effort: Effort) -> list[Section]:
    settings = await stage.prepare("processes")
    rooms = await prepare_rooms(settings, CONNECTIONS // 2)
    async with AsyncExitStack() as stack:
        ours = [
            await stack.enter_async_context(stage.janji(each))
            for each in (settings, settings.model_copy(update={"port": free_port()}))
        ]
        theirs = [
            await stack.enter_async_context(stage.node("group", database="processes", with_redis=True))
            for _ in range(2)
        ]
        our_people = [person for room in rooms for person in janji_pair(room, *ours)]
        their_people = [person for room in rooms for person in node_pair(room, *theirs)]
        our_crowd = await stack.enter_async_context(crowd_of(our_people))
        their_crowd = await stack.enter_async_context(crowd_of(their_people))
        measured: list[tuple[Measured, Measured]] = []
        for _ in range(effort.repetitions):
            one = await measure_on(ours, stage.mongod, our_crowd, effort)
            await asyncio.sleep(REST_S)
            measured.append((one, await measure_on(theirs, stage.mongod, their_crowd, effort)))
            await asyncio.sleep(REST_S)
    title = f"Two processes, {CONNECTIONS} connections, every room split; beside them {PEER}"
    rows = rows_of(effort, [one for one, _ in measured], [other for _, other in measured], {"per_s": at_least(1.8)})
    return [Section(title, rows)]
