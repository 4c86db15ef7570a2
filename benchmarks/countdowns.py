"""Countdowns of many guests at once: how late an attempt's end is decided and heard of, and that none is early.

Every guest's search is a copy of one that the program itself has made, begun at another moment and place, and armed in
the server as if it had begun there. The real server ends those that come due, in a town full of therapists who are
asked and do not answer; guests listen to some of them. Consecutive parts of the time are the repetitions.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from benchmarks import town
from benchmarks.copies import Change, Copy, Model, read_model
from benchmarks.effort import Effort
from benchmarks.people import Arrival, Matches, Person, Post
from benchmarks.report import Row, Section, at_least, at_most, figure, percentile
from benchmarks.stage import MASSAGE, Server, Stage
from bot.identity import conversation_feed, new_id
from bot.services import Services, running, terms_of
from bot.store.kinds import CONVERSATION
from conversations import events as on
from conversations.values import Contact, Location

ENDING_PER_S = 20.0
# The first one ends when the server stands and guests listen.
START_WITHIN_S = 25.0
# How long each attempt of theirs is: all of them have begun, and none has ended.
COUNTDOWN_S = 1800.0
LISTENING = 300
CONNECT_AT_ONCE = 10
PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class Countdown:
    """One that is going to end while it is watched."""

    conversation_id: str
    search_id: str
    deadline_at: datetime


async def measure(stage: Stage, effort: Effort) -> list[Section]:
    settings = await stage.prepare("countdowns", answer_s=COUNTDOWN_S)
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(running(settings, with_sweep=False))
        await town.settle(services, effort.therapists)
        countdowns = await _arm(services, effort.armed)
        watched = countdowns[: int(ENDING_PER_S * effort.ending_s)]
        janji = await stack.enter_async_context(stage.janji(settings, module="benchmarks.janji"))
        # Evenly among those who are watched.
        listening = watched[:: max(len(watched) // LISTENING, 1)]
        hearing = await _listen(services, janji, listening)
        heard_ms = {each.conversation_id: await met for each, met in hearing}
        await _until(services, watched[-1].deadline_at + timedelta(seconds=5))
        decided_ms = await _decided(services, watched)
    return [
        _section(
            effort, _parts(watched, decided_ms, effort.repetitions), _parts(listening, heard_ms, effort.repetitions)
        )
    ]


async def _arm(services: Services, count: int) -> list[Countdown]:
    """As many searches like one, their ends spread evenly; in the order in which they end."""
    conversation_id, search = await _search(services)
    model = await _model_of(services, conversation_id, search)
    chance = random.Random(count)
    started_at, first_at = search["attempt_ends_at"], services.clock.now() + timedelta(seconds=START_WITHIN_S)
    copies, countdowns = [], []
    for number in range(count):
        deadline_at = first_at + timedelta(seconds=number / ENDING_PER_S)
        place = town.somewhere(chance, town.SIDE_KM * 0.8)
        copy = Copy(model.new_names(), _moved(place, deadline_at - started_at))
        copies.append(copy)
        countdowns.append(Countdown(copy.name_of(conversation_id), copy.name_of(search["_id"]), deadline_at))
    await model.insert(services.database, copies)
    return countdowns


async def _search(services: Services) -> tuple[str, dict[str, Any]]:
    """A search by the program's own turns and effects, once its therapists have been asked."""
    conversation_id = new_id("c")
    pressed = on.BookPressed(MASSAGE, "menu", terms_of(services.settings), "en")
    form = (await services.turns.take(CONVERSATION, conversation_id, pressed, by="clock")).record
    where, who = Location("Jl. Sudirman 1", *town.CENTRE), Contact("Budi", "+6281234567890")
    confirmed = on.ServiceConfirmed(form.revision, 60, where, who)
    await services.turns.take(CONVERSATION, conversation_id, confirmed, by="clock")
    async with asyncio.timeout(PATIENCE_S):
        while True:
            search = await services.database["searches"].find_one({"conversation_id": conversation_id, "outbox": []})
            if search is not None and len(search["offers"]) == services.settings.wave_size:
                return conversation_id, search
            await asyncio.sleep(0.05)


async def _model_of(services: Services, conversation_id: str, search: dict[str, Any]) -> Model:
    return await read_model(
        services.database,
        {
            "conversations": {"_id": conversation_id},
            "searches": {"_id": search["_id"]},
            "bookings": {"_id": search["booking_id"]},
            "entries": {"feed": conversation_feed(conversation_id)},
        },
    )


def _moved(place: tuple[float, float], later: timedelta) -> Change:
    """The same story somewhere else and at another time."""
    places = dict(zip(town.CENTRE, place, strict=True))

    def change(value: Any) -> Any:
        if isinstance(value, datetime):
            return value + later
        return places.get(value, value) if isinstance(value, float) else value

    return change


async def _listen(
    services: Services, janji: Server, countdowns: Sequence[Countdown]
) -> list[tuple[Countdown, asyncio.Task[float]]]:
    async def come_in(countdown: Countdown) -> asyncio.Task[float]:
        guest = Person(Post())
        shown = guest.post.expect(_is_attempt(2))
        await guest.come_in(janji.url, "/guest", {"token": services.tokens.sign("guest", countdown.conversation_id)})
        return asyncio.create_task(_heard_ms(countdown, shown))

    hearing: list[tuple[Countdown, asyncio.Task[float]]] = []
    for start in range(0, len(countdowns), CONNECT_AT_ONCE):
        several = countdowns[start : start + CONNECT_AT_ONCE]
        hearing += zip(several, await asyncio.gather(*(come_in(each) for each in several)), strict=True)
    return hearing


async def _heard_ms(countdown: Countdown, shown: asyncio.Future[Arrival]) -> float:
    async with asyncio.timeout(START_WITHIN_S + PATIENCE_S):
        arrival = await shown
    return (arrival.wall_at - countdown.deadline_at.timestamp()) * 1000


def _is_attempt(attempt: int) -> Matches:
    def matches(entry: dict[str, Any]) -> bool:
        countdown = entry["data"].get("countdown") if entry["type"] == "state" else None
        return countdown is not None and countdown["attempt"] == attempt

    return matches


async def _until(services: Services, moment: datetime) -> None:
    await asyncio.sleep(max((moment - services.clock.now()).total_seconds(), 0))


async def _decided(services: Services, countdowns: Sequence[Countdown]) -> dict[str, float]:
    """How much later each one's next attempt began than this one was to end, by conversation."""
    ids = [each.search_id for each in countdowns]
    ends = {search["_id"]: search async for search in services.database["searches"].find({"_id": {"$in": ids}})}
    answer = timedelta(seconds=COUNTDOWN_S)
    return {
        each.conversation_id: (ends[each.search_id]["attempt_ends_at"] - answer - each.deadline_at).total_seconds()
        * 1000
        for each in countdowns
        if ends[each.search_id]["attempt"] == 2
    }


def _parts(countdowns: Sequence[Countdown], late_ms: dict[str, float], count: int) -> list[list[float]]:
    """In the order of their deadlines, cut into so many parts."""
    ordered = [late_ms[each.conversation_id] for each in countdowns]
    size = -(-len(ordered) // count)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def _section(effort: Effort, decided: Sequence[Sequence[float]], heard: Sequence[Sequence[float]]) -> Section:
    what = f"{effort.armed:,} searches armed, {ENDING_PER_S:.0f} countdowns end each second"
    return Section(
        f"{what}; milliseconds after the deadline",
        (
            Row("earliest of all (below zero would be early)", figure([min(map(min, decided))]), goal=at_least(0.0)),
            Row("decided, p50", figure(percentile(each, 0.5) for each in decided)),
            Row("decided, p99", figure(percentile(each, 0.99) for each in decided), goal=at_most(15.0)),
            Row("decided, latest", figure(max(each) for each in decided)),
            Row("heard by the guest, p50", figure(percentile(each, 0.5) for each in heard)),
            Row("heard by the guest, p99", figure(percentile(each, 0.99) for each in heard)),
        ),
    )
