"""The story of processes that die: whatever they were at, the next one finishes it, and nobody has to ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio

from bot.runtime.embedded import Servers
from bot.services import Services, running
from bot.settings.settings import Settings
from conversations.conversation import State
from tests.agreement import eventually, until_agreed
from tests.clients import Client, Guest, Therapist, client_id, guest, therapist
from tests.house import MASSAGE, House, add_therapist, house_of, settings_for
from tests.processes import Web, site

pytestmark = pytest.mark.slow


async def watching(stack: AsyncExitStack, settings: Settings) -> Services:
    """A look at the database that rings nothing and performs nothing."""
    services = await stack.enter_async_context(running(settings, with_sweep=False))
    await services.catalogue.add_missing([MASSAGE])
    return services


async def console_of(stack: AsyncExitStack, services: Services, web: Web, therapist_id: str) -> Therapist:
    token = services.tokens.sign("therapist", therapist_id)
    return await stack.enter_async_context(therapist(web.url, token))


def countdowns(client: Guest) -> list[tuple[int, datetime]]:
    """The attempts that the guest has been shown, with their deadlines."""
    shown = [data["countdown"] for data in client.of_type("state") if data["countdown"]]
    return [(each["attempt"], datetime.fromisoformat(each["deadline_at"])) for each in shown]


# --- in mid-search ----------------------------------------------------------------------------------------------------


async def test_a_countdown_goes_on_after_its_process_was_killed(
    servers: Servers, database: str, tmp_path: Path
) -> None:
    settings = settings_for(servers, database, answer_s=4.0, radii_km=(1.0, 5.0))
    async with AsyncExitStack() as stack:
        services = await watching(stack, settings)
        near, far = await add_therapist(services), await add_therapist(services, km=3)
        place = await stack.enter_async_context(site(settings, tmp_path))
        web = await place.web()
        budi = await stack.enter_async_context(guest(web.url))
        await budi.search()
        await budi.until(lambda: bool(countdowns(budi)), "the countdown")
        await until_agreed(services)  # so that nothing but the countdown is left to be done
        await web.kill()
        await budi.until_cut_off()

        web = await place.again(web)
        back = await stack.enter_async_context(guest(web.url, token=budi.token))
        silent = await console_of(stack, services, web, near.id)
        ready = await console_of(stack, services, web, far.id)
        await back.until_line("search_widened")
        await back.until(lambda: len(countdowns(back)) == 2, "the next countdown")
        (attempt_1, deadline_1), (attempt_2, deadline_2) = countdowns(back)
        assert [(attempt_1, deadline_1)] == countdowns(budi)
        assert attempt_2 == 2
        assert deadline_2 - timedelta(seconds=settings.answer_s) >= deadline_1
        await ready.accept()
        await back.accept()
        assert (await back.until_state("active"))["booking"]["therapist"]["id"] == far.id
        await silent.until(lambda: not silent.open_offers(), "the end of all offers to the silent one")
        await until_agreed(services)


async def test_deadlines_that_pass_while_every_process_is_dead_ring_before_the_next_one_serves(
    servers: Servers, database: str, tmp_path: Path
) -> None:
    settings = settings_for(servers, database, answer_s=1.0, choose_s=1.0, form_s=1.0, radii_km=(0.1, 5.0))
    async with AsyncExitStack() as stack:
        services = await watching(stack, settings)
        place = await stack.enter_async_context(site(settings, tmp_path))
        web = await place.web()
        fills, searches, chooses = [await stack.enter_async_context(guest(web.url)) for _ in range(3)]
        sari = await add_therapist(services, km=0.05)
        console = await console_of(stack, services, web, sari.id)
        await chooses.search()
        await console.accept()
        await chooses.until_card("therapist")
        await searches.search()
        await fills.book()
        await web.kill()
        await asyncio.sleep(1.0)  # every deadline passes, and nobody is there to tell of it

        web = await place.again(web)
        standing = {each: await record_of(services, each) for each in (fills, searches, chooses)}
        assert standing[fills].state is State.EXPIRED
        assert standing[chooses].state is State.NO_THERAPIST
        search = await services.searches.load(standing[searches].search_id or "s_gone")
        assert search is None or search.record.attempt == 2
        async with guest(web.url, token=searches.token) as back:
            await back.until_line("no_therapist")
            assert [attempt for attempt, _ in countdowns(back)] == [1, 2]
        await until_agreed(services)


async def record_of(services: Services, client: Guest) -> Any:
    stored = await services.conversations.load(client.session["conversation_id"])
    assert stored is not None
    return stored.record


# --- in the middle of a command ---------------------------------------------------------------------------------------


@dataclass(slots=True)
class Pair:
    """A guest and the one therapist whom they picked, both on the process that lives on."""

    budi: Guest
    console: Therapist
    token: str


@dataclass(slots=True)
class Said:
    """One command under one id: through a process that dies of it, and again through the one that lives on."""

    dying: Client
    living: Client
    command: str
    payload: dict[str, Any]

    async def until_death(self) -> None:
        """Whether it is answered before depends on where the process dies."""
        saying = asyncio.create_task(self.dying.send(self.command, **self.payload))
        await self.dying.until_cut_off()
        saying.cancel()
        await asyncio.wait([saying])


async def test_whichever_write_a_process_dies_at_another_finishes_what_it_was_at(
    servers: Servers, database: str, tmp_path: Path
) -> None:
    settings = settings_for(servers, database)
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(house_of(settings))
        place = await stack.enter_async_context(site(settings, tmp_path))
        webs = await place.mortals([write for _, writes, _ in LAST_WRITES for write in writes])
        begins = [begin for begin, writes, _ in LAST_WRITES for _ in writes]
        ends = [state for _, writes, state in LAST_WRITES for _ in writes]
        pairs = await asyncio.gather(*(pair_up(stack, house) for _ in webs))
        said = await asyncio.gather(
            *(begin(stack, web, pair) for begin, web, pair in zip(begins, webs, pairs, strict=True))
        )
        await asyncio.gather(*(each.until_death() for each in said))
        await until_agreed(house.services)
        await asyncio.gather(*(each.living.do(each.command, **each.payload) for each in said))
        await until_agreed(house.services)

        for pair, state in zip(pairs, ends, strict=True):
            await pair.budi.until_state(state)
            assert [entry["seq"] for entry in pair.budi.entries] == list(range(1, len(pair.budi.entries) + 1))
            assert len(set(pair.budi.lines())) == len(pair.budi.lines()), "something was said twice"
            news = ["offer"] if state == "searching" else ["offer", "booking"] if state == "active" else []
            for kind in news:
                await until_any(pair.console, kind)
                assert len(pair.console.of_type(kind)) == 1


async def until_any(console: Therapist, kind: str) -> None:
    await console.until(lambda: bool(console.of_type(kind)), f"any {kind}")


async def pair_up(stack: AsyncExitStack, house: House) -> Pair:
    record = await house.add_therapist()
    console = await stack.enter_async_context(therapist(house.url, house.token_of(record)))
    budi = await stack.enter_async_context(guest(house.url))
    await budi.book(source="profile", therapist_id=record.id)
    return Pair(budi, console, house.token_of(record))


async def confirmation(stack: AsyncExitStack, web: Web, pair: Pair) -> Said:
    tab = await stack.enter_async_context(guest(web.url, token=pair.budi.token))
    return Said(tab, pair.budi, "confirm_service", {"client_id": client_id(), **pair.budi.form()})


async def offer_accepted(stack: AsyncExitStack, web: Web, pair: Pair) -> Said:
    await pair.budi.confirm()
    offer = await pair.console.until_offer()
    console = await stack.enter_async_context(therapist(web.url, pair.token))
    return Said(console, pair.console, "accept_offer", {"client_id": client_id(), "offer_id": offer["offer_id"]})


async def therapist_accepted(stack: AsyncExitStack, web: Web, pair: Pair) -> Said:
    await pair.budi.confirm()
    await pair.console.accept()
    card = await pair.budi.until_card("therapist")
    tab = await stack.enter_async_context(guest(web.url, token=pair.budi.token))
    choice = {"revision": card["revision"], "offer_id": card["offer_id"]}
    return Said(tab, pair.budi, "accept_therapist", {"client_id": client_id(), **choice})


# What is begun, the writes on its way in place of which the process dies (1 is the first save), and where it ends.
LAST_WRITES = (
    (confirmation, (2, 3, 7, 8), "searching"),
    (offer_accepted, (2, 3, 5, 9), "choosing"),
    (therapist_accepted, (2, 3, 4, 5, 6), "active"),
)


# --- workers ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def courier(servers: Servers) -> AsyncIterator[redis.asyncio.Redis]:
    connection = redis.asyncio.Redis.from_url(servers.redis_url or "")
    yield connection
    await connection.aclose()


async def test_a_booking_needs_no_worker_and_the_next_one_does_its_job(
    servers: Servers, database: str, tmp_path: Path, courier: redis.asyncio.Redis
) -> None:
    settings = settings_for(servers, database)
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(house_of(settings))
        place = await stack.enter_async_context(site(settings, tmp_path))
        workers = await place.workers()
        sari = await house.add_therapist()
        console = await stack.enter_async_context(therapist(house.url, house.token_of(sari)))
        budi = await stack.enter_async_context(guest(house.url))
        await until_working(courier, 1)
        await budi.search()
        await workers.kill()
        await until_working(courier, 0)  # its children do not outlive it

        await console.accept()
        await budi.accept()
        booking = await console.until_booking("active")
        await console.do("progress", booking_id=booking["id"], step="completed")
        await budi.until_state("completed")
        await budi.do("rate", stars=1)
        await place.workers()

        async def is_counted() -> None:
            record = await house.services.therapists.get(sari.id)
            assert record is not None
            assert record.visits == 1
            assert (record.rating, record.rating_count) == (4.77, 121), "one star among 120 ratings of 4.8"

        await eventually(is_counted)
        await until_agreed(house.services)


async def until_working(courier: redis.asyncio.Redis, count: int) -> None:
    async def is_so() -> None:
        assert await courier.scard("rq:workers") == count

    await eventually(is_so)


# --- a deployment -----------------------------------------------------------------------------------------------------


async def test_a_process_that_is_told_to_stop_sends_everybody_on_and_exits_in_order(
    servers: Servers, database: str, tmp_path: Path
) -> None:
    settings = settings_for(servers, database)
    async with AsyncExitStack() as stack:
        services = await watching(stack, settings)
        place = await stack.enter_async_context(site(settings, tmp_path))
        web = await place.web()
        console = await console_of(stack, services, web, (await add_therapist(services)).id)
        budi = await stack.enter_async_context(guest(web.url))
        await budi.search()
        await console.until_offer()
        assert await web.stop() == 0
        for client in (budi, console):
            await client.until_cut_off()
            assert client.going_away is not None
            assert client.going_away["retry_in_ms"] >= 0
