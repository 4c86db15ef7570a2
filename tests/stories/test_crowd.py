"""The story of a busy evening: sixty guests, twelve therapists, two web processes, and everybody does as they like."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import pytest

from bot.runtime.embedded import Servers
from bot.services import running
from tests.agreement import until_agreed
from tests.clients import Guest, Therapist, guest, therapist
from tests.commits import Replay, recorded
from tests.house import MASSAGE, add_therapist, settings_for
from tests.processes import site

pytestmark = pytest.mark.slow

GUESTS = 60
THERAPISTS = 12
# Whoever plays a part is patient enough for the whole evening.
EVENING_S = 60.0


async def test_a_crowd_on_two_processes_never_shares_a_therapist(
    servers: Servers, database: str, tmp_path: Path
) -> None:
    settings = settings_for(servers, database, answer_s=3.0, choose_s=2.0, direct_s=2.0, radii_km=(2.0, 5.0))
    async with AsyncExitStack() as stack:
        services = await stack.enter_async_context(running(settings, with_sweep=False))
        await services.catalogue.add_missing([MASSAGE])
        records = [await add_therapist(services, km=0.3 * number) for number in range(THERAPISTS)]
        tokens = [services.tokens.sign("therapist", record.id) for record in records]
        place = await stack.enter_async_context(site(settings, tmp_path))
        webs = await asyncio.gather(place.web(), place.web())
        urls = [web.url for web in webs]
        async with recorded(services) as commits:
            consoles = await asyncio.gather(
                *(stack.enter_async_context(therapist(urls[number % 2], token)) for number, token in enumerate(tokens))
            )
            work = [asyncio.create_task(answer_and_visit(each, Random(n))) for n, each in enumerate(consoles)]
            async with asyncio.TaskGroup() as evening:
                for number in range(GUESTS):
                    evening.create_task(come_and_go(urls[number % 2], Random(1000 + number), records[0].id))
            documents = await until_agreed(services)
            for task in work:
                task.cancel()
            await asyncio.wait(work)
            assert all(task.cancelled() for task in work), [task.exception() for task in work if not task.cancelled()]
        Replay().follow(commits)
        states = Counter(each.record.state.value for each in documents.conversations.values())
        assert states.total() == GUESTS
        assert states["completed"] > 0
        assert len(commits.changes) > 10 * GUESTS


async def answer_and_visit(console: Therapist, mood: Random) -> None:
    """A therapist's evening: every entry is read once, in order, and who asks is answered even during a visit."""
    async with asyncio.TaskGroup() as visits:
        for read in itertools.count():
            await console.until(lambda: len(console.entries) > read, "work", patience_s=EVENING_S)  # noqa: B023 - awaited
            entry = console.entries[read]
            if entry["type"] == "offer":
                await answer(console, entry["data"]["offer_id"], mood)
            elif entry["type"] == "booking" and entry["data"]["booking"]["status"] == "active":
                visits.create_task(visit(console, entry["data"]["booking"]["id"], mood))


async def answer(console: Therapist, offer_id: str, mood: Random) -> None:
    await asyncio.sleep(mood.random() * 0.1)  # people think
    does = mood.random()
    if does < 0.65:
        await console.send("accept_offer", offer_id=offer_id)
    elif does < 0.85:
        await console.send("decline_offer", offer_id=offer_id)


async def visit(console: Therapist, booking_id: str, mood: Random) -> None:
    if mood.random() < 0.1:
        await console.send("cancel_booking", booking_id=booking_id, reason="Something came up")
        return
    for step in ("on_the_way", "arrived", "completed"):
        await asyncio.sleep(mood.random() * 0.2)
        await console.send("progress", booking_id=booking_id, step=step)


async def come_and_go(url: str, mood: Random, favourite: str) -> None:
    async with guest(url) as client:
        picked = {"therapist_id": favourite} if mood.random() < 0.1 else {}
        await client.book(**picked)
        await client.confirm()
        if mood.random() < 0.1:
            return  # the tab is closed in mid-search, and nobody comes back
        tries = mood.randint(0, 1)
        while client.state not in ("completed", "cancelled"):
            seen = client.revision
            tries -= await press(client, mood, tries)
            await client.until(lambda: client.revision != seen, "the next move", patience_s=EVENING_S)  # noqa: B023 - awaited
        assert [entry["seq"] for entry in client.entries] == list(range(1, len(client.entries) + 1))


async def press(client: Guest, mood: Random, tries: int) -> int:
    """One thing that a guest can do now, or nothing at all; 1 where it was another search."""
    does = mood.random()
    match client.state:
        case "searching" if does < 0.1:
            await asyncio.sleep(mood.random())
            await client.send("cancel")
        case "choosing":
            card = await client.until_card("therapist")
            choice = {"revision": card["revision"], "offer_id": card["offer_id"]}
            if does < 0.65:
                await client.send("accept_therapist", **choice)
            elif does < 0.85:
                await client.send("find_another", **choice)
            elif does < 0.93:
                await client.send("cancel")
        case "no_therapist" if tries > 0:
            await client.send("search_again", revision=client.revision)
            return 1
        case "no_therapist":
            await client.send("cancel")
        case "active" if does < 0.1:
            await client.send("cancel")
    return 0
