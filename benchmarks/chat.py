"""Chat: durable messages through rooms of two, beside the same on Node.js, written twice."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks.effort import Effort
from benchmarks.generator import Generator, crowd_of, person_at
from benchmarks.report import Figure, Goal, Row, Section, at_least, at_most, figure
from benchmarks.rooms import Room, open_rooms
from benchmarks.stage import Server, Stage
from bot.services import running
from bot.settings.settings import Settings

# How many messages everybody keeps under way at saturation: enough that no connection ever waits for its turn.
UNDER_WAY = 4
# A server that has just been flooded has work left that nobody waits for; the next one is not measured meanwhile.
REST_S = 0.3

PEERS = {"one": "Node.js, one insert for each message", "group": "Node.js, group commit"}
# The goals are for 500 connections: by what is measured and by peer.
GOALS: Mapping[tuple[int, str, str], Goal] = {
    (500, "per_s", "one"): at_least(4.5),
    (500, "per_s", "group"): at_least(1.15),
    (500, "p99_ms", "one"): at_most(0.4),
}


@dataclass(frozen=True, slots=True)
class Measured:
    """One repetition on one server. CPU is per message, in microseconds; `own_cpu` is the generator's, in cores."""

    per_s: float
    cpu_us: float
    database_us: float
    own_cpu: float
    p50_ms: float
    p99_ms: float


async def measure(stage: Stage, effort: Effort) -> list[Section]:
    sections = []
    for connections in effort.connections:
        sections += await _at(stage, effort, connections)
    return sections


async def _at(stage: Stage, effort: Effort, connections: int) -> list[Section]:
    database = f"chat-{connections}"
    settings = await stage.prepare(database)
    rooms = await prepare_rooms(settings, connections // 2)
    async with AsyncExitStack() as stack:
        servers = {
            "janji": await stack.enter_async_context(stage.janji(settings)),
            "one": await stack.enter_async_context(stage.node("one", database=database)),
            "group": await stack.enter_async_context(stage.node("group", database=database)),
        }
        crowds = {}
        for name, server in servers.items():
            pair = janji_pair if name == "janji" else node_pair
            people = [person for room in rooms for person in pair(room, server, server)]
            crowds[name] = await stack.enter_async_context(crowd_of(people))
        measured: dict[str, list[Measured]] = {name: [] for name in servers}
        for _ in range(effort.repetitions):
            # One after the other and in turns: whatever else the machine does meets all of them.
            for name, server in servers.items():
                measured[name].append(await measure_on([server], stage.mongod, crowds[name], effort))
                await asyncio.sleep(REST_S)
    return [_section(connections, effort, peer, measured) for peer in PEERS]


async def prepare_rooms(settings: Settings, count: int) -> list[Room]:
    async with running(settings, with_sweep=False) as services:
        return await open_rooms(services, count)


def janji_pair(room: Room, for_guest: Server, for_therapist: Server) -> list[dict[str, Any]]:
    """The two of a room in a plan, at one server or at two."""
    guest = {"token": room.guest_token, "locale": "en"}
    therapist = {"token": room.therapist_token, "locale": "en"}
    return [
        person_at(for_guest.url, "/guest", guest, "guest"),
        person_at(for_therapist.url, "/therapist", therapist, "therapist", booking_id=room.booking_id),
    ]


def node_pair(room: Room, *servers: Server) -> list[dict[str, Any]]:
    return [
        person_at(server.url, "/guest", {"room": room.booking_id, "party": party}, party)
        for server, party in zip(servers, ("guest", "therapist"), strict=True)
    ]


async def measure_on(servers: Sequence[Server], mongod: Server, crowd: Generator, effort: Effort) -> Measured:
    paced = await crowd.pace(per_s=effort.messages_per_s, for_s=effort.pace_s)
    said, cpu_s, database_s = paced["said"], _cpu_s(servers), mongod.cpu_s()
    flood = await crowd.saturate(warm_s=effort.warm_s, for_s=effort.saturation_s, each=UNDER_WAY)
    count = flood["said"] - said
    return Measured(
        per_s=flood["per_s"],
        cpu_us=(_cpu_s(servers) - cpu_s) / count * 1e6,
        database_us=(mongod.cpu_s() - database_s) / count * 1e6,
        own_cpu=flood["own_cpu"],
        p50_ms=paced["p50_ms"],
        p99_ms=paced["p99_ms"],
    )


def _cpu_s(servers: Sequence[Server]) -> float:
    return sum(server.cpu_s() for server in servers)


def _section(connections: int, effort: Effort, peer: str, measured: Mapping[str, Sequence[Measured]]) -> Section:
    goals = {what: goal for (count, what, name), goal in GOALS.items() if (count, name) == (connections, peer)}
    title = f"Chat, {connections:,} connections in rooms of two; beside it {PEERS[peer]}"
    return Section(title, rows_of(effort, measured["janji"], measured[peer], goals))


def rows_of(
    effort: Effort, ours: Sequence[Measured], theirs: Sequence[Measured], goals: Mapping[str, Goal]
) -> tuple[Row, ...]:
    pace = f"sender to receiver at {effort.messages_per_s:,.0f} messages/s"
    names = {
        "per_s": "messages/s at saturation",
        "cpu_us": "server CPU per message at saturation, µs",
        "database_us": "database CPU per message at saturation, µs",
        "own_cpu": "the generator's own load at saturation, cores",
        "p50_ms": f"{pace}, p50 ms",
        "p99_ms": f"{pace}, p99 ms",
    }

    def of(measured: Sequence[Measured], name: str) -> Figure:
        return figure(getattr(each, name) for each in measured)

    return tuple(Row(title, of(ours, name), of(theirs, name), goals.get(name)) for name, title in names.items())
