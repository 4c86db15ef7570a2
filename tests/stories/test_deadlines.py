"""The story of a moment that passes: deadlines and people meet in it, and the clock of the database decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from bot.runtime.embedded import Servers
from tests.agreement import until_agreed, until_free
from tests.clients import Guest, guest, therapist
from tests.house import house_of, settings_for
from tests.processes import Web, site
from tests.stories.test_crashes import countdowns, watching
from tests.stories.test_races import Houses, Town, after, outcome

pytestmark = pytest.mark.slow

PEOPLE = 16
WRONG_S = 300
# What each process knows of the database's time; on a busy machine half the journey of a question.
CLOCKS_AGREE_WITHIN = timedelta(seconds=0.25)
# How long before and after the deadline they press: most before, since what they send takes its time to get there.
PRESS_MS = (-100, 20)


@pytest.fixture
async def houses(servers: Servers, database: str) -> AsyncIterator[Houses]:
    settings = settings_for(servers, database, form_s=1.5, choose_s=2.5)
    async with house_of(settings) as left, house_of(settings) as right:
        yield left, right


async def at_the_deadline(number: int, houses: Houses, budi: Guest, command: Awaitable[dict[str, Any]]) -> str:
    """What a command is told that is sent about when the conversation's deadline passes."""
    services = houses[0].services
    stored = await services.conversations.load(budi.session["conversation_id"])
    assert stored is not None
    assert stored.record.expires_at is not None
    first_ms, last_ms = PRESS_MS
    apart_s = (first_ms + number * (last_ms - first_ms) / PEOPLE) / 1000
    left_s = (stored.record.expires_at - services.clock.now()).total_seconds()
    return outcome(await after(left_s + apart_s, command))


def states(client: Guest) -> list[str]:
    return [str(data["state"]) for data in client.of_type("state")]


# --- people and deadlines ---------------------------------------------------------------------------------------------


async def test_a_form_that_is_cancelled_in_the_moment_it_closes_is_cancelled_or_closed_and_never_both(
    houses: Houses,
) -> None:
    async def play(number: int) -> None:
        async with guest(houses[0].url) as budi, guest(houses[1].url, token=budi.token) as same:
            await budi.book()
            answer = await at_the_deadline(number, houses, budi, same.send("cancel"))
            assert answer in ("ok", "not_now")
            end = "cancelled" if answer == "ok" else "expired"
            await budi.until_state("cancelled", "expired")
            await same.until_state("cancelled", "expired")
            assert states(budi) == states(same) == ["confirming", end]

    await asyncio.gather(*(play(number) for number in range(PEOPLE)))
    await until_agreed(houses[0].services)


async def test_a_choice_in_the_moment_it_closes_counts_everywhere_or_nowhere(houses: Houses) -> None:
    async with AsyncExitStack() as stack:

        async def play(number: int) -> None:
            town = Town(number, houses, stack)
            console = await town.console(0)
            budi, same = await town.tabs(2)
            choice = await town.choosing(budi, console)
            answer = await at_the_deadline(number, houses, budi, same.send("accept_therapist", **choice))
            assert answer in ("ok", "offer_expired", "stale")
            end = "active" if answer == "ok" else "no_therapist"
            await budi.until_state("active", "no_therapist")
            await same.until_state("active", "no_therapist")
            assert states(budi) == states(same) == ["confirming", "searching", "choosing", end]
            await console.until_closed_as(choice["offer_id"], "waiting")
            if end == "active":
                await console.until_closed_as(choice["offer_id"], "accepted")
                await console.until_booking("active")
            else:
                await console.until_closed_as(choice["offer_id"], "unanswered")
                await until_free(houses[0].services, console.session["therapist"]["id"])

        await asyncio.gather(*(play(number) for number in range(PEOPLE)))
        await until_agreed(houses[0].services)


async def test_countdowns_and_choices_end_in_time_while_redis_is_emptied_again_and_again(
    servers: Servers, database: str
) -> None:
    settings = settings_for(servers, database, answer_s=1.5, choose_s=1.0, radii_km=(1.0, 5.0))

    async def empty(courier: redis.asyncio.Redis) -> None:
        while True:
            await courier.flushall()
            await asyncio.sleep(0.05)

    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(house_of(settings))
        courier = await stack.enter_async_context(redis.asyncio.Redis.from_url(servers.redis_url or ""))
        emptying = asyncio.create_task(empty(courier))
        sari = await house.add_therapist(km=3)
        console = await stack.enter_async_context(therapist(house.url, house.token_of(sari)))
        budi = await stack.enter_async_context(guest(house.url))
        await budi.search()  # nobody is near; a minute later somebody is asked who is further away
        await console.accept()
        await budi.until_state("no_therapist")  # who does not choose gives her back
        assert states(budi) == ["confirming", "searching", "searching", "choosing", "no_therapist"]
        emptying.cancel()
        await until_agreed(house.services)


# --- clocks -----------------------------------------------------------------------------------------------------------


async def test_a_machine_whose_clock_is_wrong_rings_neither_early_nor_minutes_late(
    servers: Servers, database: str, tmp_path: Path
) -> None:
    settings = settings_for(servers, database, answer_s=1.0, radii_km=(1.0,), sweep_s=0.1)
    async with AsyncExitStack() as stack:
        services = await watching(stack, settings)
        place = await stack.enter_async_context(site(settings, tmp_path))
        webs = await place.skewed([WRONG_S, -WRONG_S])

        async def search(web: Web) -> None:
            async with guest(web.url) as budi:
                await budi.search()
                await budi.until(lambda: bool(countdowns(budi)), "the countdown")
                [(_, deadline)] = countdowns(budi)
                assert deadline - services.clock.now() < timedelta(seconds=settings.answer_s) + CLOCKS_AGREE_WITHIN
                await budi.until_state("no_therapist")
                assert services.clock.now() > deadline - CLOCKS_AGREE_WITHIN

        await asyncio.gather(*(search(web) for web in webs))
