"""Chat: durable messages through rooms of two, beside a bare server that keeps nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks.effort import Effort
from benchmarks.generator import Generator, crowd_at
from benchmarks.report import Row, Section, figure
from benchmarks.rooms import Room, open_rooms
from benchmarks.stage import Server, Stage
from bot.services import running
from bot.settings import Settings

# How many messages everybody keeps under way at saturation: enough that no connection ever waits for its turn.
UNDER_WAY = 4


@dataclass(frozen=True, slots=True)
class Measured:
    """One repetition on one server."""

    per_s: float
    cpu_us: float
    p50_ms: float
    p99_ms: float


async def measure(stage: Stage, effort: Effort) -> list[Section]:
    return [await _at(stage, effort, connections) for connections in effort.connections]


async def _at(stage: Stage, effort: Effort, connections: int) -> Section:
    settings = await stage.prepare(f"chat-{connections}")
    rooms = await _rooms(settings, connections // 2)
    async with AsyncExitStack() as stack:
        janji = await stack.enter_async_context(stage.janji(settings, module="benchmarks.janji"))
        echo = await stack.enter_async_context(stage.echo())
        ours = await stack.enter_async_context(crowd_at(janji.url, [_pair(room) for room in rooms]))
        theirs = await stack.enter_async_context(crowd_at(echo.url, [_echo_pair(room) for room in rooms]))
        measured: list[tuple[Measured, Measured]] = []
        for _ in range(effort.repetitions):
            # One after the other and in turns: whatever else the machine does meets both.
            measured.append((await _measure(janji, ours, effort), await _measure(echo, theirs, effort)))
    return _section(connections, effort, [one for one, _ in measured], [other for _, other in measured])


async def _rooms(settings: Settings, count: int) -> list[Room]:
    async with running(settings, with_sweep=False) as services:
        return await open_rooms(services, count)


def _pair(room: Room) -> list[dict[str, Any]]:
    guest = {"namespace": "/guest", "auth": {"token": room.guest_token, "locale": "en"}, "party": "guest", "also": {}}
    therapist = {
        "namespace": "/therapist",
        "auth": {"token": room.therapist_token, "locale": "en"},
        "party": "therapist",
        "also": {"booking_id": room.booking_id},
    }
    return [guest, therapist]


def _echo_pair(room: Room) -> list[dict[str, Any]]:
    return [
        {"namespace": "/guest", "auth": {"room": room.booking_id, "party": party}, "party": party, "also": {}}
        for party in ("guest", "therapist")
    ]


async def _measure(server: Server, crowd: Generator, effort: Effort) -> Measured:
    paced = await crowd.pace(per_s=effort.messages_per_s, for_s=effort.pace_s)
    said, cpu_s = paced["said"], server.cpu_s()
    flood = await crowd.saturate(warm_s=effort.warm_s, for_s=effort.saturation_s, each=UNDER_WAY)
    cpu_us = (server.cpu_s() - cpu_s) / (flood["said"] - said) * 1e6
    return Measured(flood["per_s"], cpu_us, paced["p50_ms"], paced["p99_ms"])


def _section(connections: int, effort: Effort, ours: Sequence[Measured], theirs: Sequence[Measured]) -> Section:
    def row(what: str, name: str) -> Row:
        return Row(what, figure(getattr(each, name) for each in ours), figure(getattr(each, name) for each in theirs))

    pace = f"sender to receiver at {effort.messages_per_s:.0f} messages/s"
    is_cpu_known = all(each.cpu_us for each in (*ours, *theirs))
    return Section(
        f"Chat, {connections} connections in rooms of two; beside it a bare python-socketio echo that keeps nothing",
        (
            row("messages/s at saturation", "per_s"),
            *([row("server CPU per message at saturation, µs", "cpu_us")] if is_cpu_known else []),
            row(f"{pace}, p50 ms", "p50_ms"),
            row(f"{pace}, p99 ms", "p99_ms"),
        ),
    )
