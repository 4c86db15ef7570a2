"""Simulated therapists as a guest meets them: they come, answer, travel, talk and finish, whatever happens between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from bot.cli.demo_data import HELLOS, REPLIES
from bot.cli.simulated import Pace, run
from bot.runtime.embedded import Servers
from bot.store.therapists import TherapistRecord
from matching.records import Answer
from tests.clients import Guest, guest, therapist
from tests.house import House, house_of, settings_for

pytestmark = pytest.mark.slow

AT_ONCE = (0.0, 0.0)
FOR_EVER = (3600.0, 3600.0)

FAST = Pace(
    come_online_s=AT_ONCE,
    return_s=(0.05, 0.1),
    answer_s=AT_ONCE,
    leave_s=AT_ONCE,
    notice_delay_s=AT_ONCE,
    travel_s=AT_ONCE,
    treat_s=AT_ONCE,
    reply_s=AT_ONCE,
    accepts=1.0,
    declines=0.0,
    is_late=0.0,
)


@asynccontextmanager
async def simulating(house: House, therapists: Iterable[TherapistRecord], pace: Pace = FAST) -> AsyncIterator[None]:
    """The simulation beside the test; it must not end before it is told to."""
    simulation = asyncio.create_task(
        run(house.url, therapists, lambda therapist_id: house.tokens.sign("therapist", therapist_id), pace)
    )
    try:
        yield
        assert not simulation.done(), "the simulation has ended by itself"
    finally:
        simulation.cancel()
        await asyncio.gather(simulation, return_exceptions=True)


async def until_available(house: House, person: TherapistRecord) -> None:
    async with therapist(house.url, house.token_of(person)) as console:
        await console.until(
            lambda: console.session["available"] or any(each["available"] for each in console.of_type("state")),
            f"{person.name} to come online",
        )


def port_of(house: House) -> int:
    return int(house.url.rsplit(":", 1)[1])


def plans_that_run(name: str) -> int:
    return sum(getattr(task.get_coro(), "__name__", "") == name for task in asyncio.all_tasks())


def said_by(party: str, budi: Guest) -> list[str]:
    return [message["text"] for message in budi.of_type("message") if message["from"] == party]


async def become_active(budi: Guest) -> None:
    await budi.search()
    await budi.accept()
    await budi.until_state("active")


async def test_one_comes_online_accepts_and_the_visit_runs_from_hello_to_completed(house: House) -> None:
    sari = await house.add_therapist(is_available=False)
    async with simulating(house, [sari], replace(FAST, is_late=1.0)), guest(house.url) as budi:
        await until_available(house, sari)
        await become_active(budi)
        await budi.until_state("completed")

    assert budi.lines()[-4:] == ["on_the_way", "delayed", "arrived", "completed"]
    delay = next(data for data in budi.of_type("system") if data["key"] == "delayed")
    assert 5 <= delay["params"]["minutes"] <= 10
    assert said_by("therapist", budi) in [[hello.format(guest="Budi")] for hello in HELLOS]


@pytest.mark.parametrize(
    ("text", "replies"),
    [
        ("Saya di lantai 3, blok B", REPLIES["id", False]),
        ("Bisa bawa minyak?", REPLIES["id", True]),
        ("I'm on the third floor", REPLIES["en", False]),
        ("Could you bring oil?", REPLIES["en", True]),
    ],
)
async def test_a_message_is_answered_in_its_language(house: House, text: str, replies: tuple[str, ...]) -> None:
    sari = await house.add_therapist()
    async with simulating(house, [sari], replace(FAST, treat_s=FOR_EVER)), guest(house.url) as budi:
        await become_active(budi)
        await budi.until_line("arrived")
        await budi.do("message", text=text)
        await budi.until(lambda: len(said_by("therapist", budi)) == 2, "a reply")

    assert said_by("therapist", budi)[1] in replies


async def test_an_offer_that_came_while_they_were_away_is_answered(house: House) -> None:
    sari = await house.add_therapist()
    async with guest(house.url) as budi:
        async with therapist(house.url, house.token_of(sari)) as console:
            await budi.search()
            await console.until_offer()
        async with simulating(house, [sari]):
            await budi.accept()
            await budi.until_state("completed")


async def test_a_visit_goes_on_after_a_restart_of_the_server(servers: Servers, database: str) -> None:
    settings = settings_for(servers, database)
    async with house_of(settings) as first:
        sari = await first.add_therapist()
    same_place = settings.model_copy(update={"port": port_of(first)})
    pace = replace(FAST, travel_s=FOR_EVER)
    async with simulating(first, [sari], pace):
        async with house_of(same_place) as second, guest(second.url) as budi:
            await become_active(budi)
            await budi.do("message", text="See you soon")
            await budi.until(lambda: len(said_by("therapist", budi)) == 2, "hello and a reply")
            await budi.until_line("on_the_way")
        pace.travel_s = AT_ONCE
        async with house_of(same_place) as third, guest(third.url, token=budi.token) as budi:
            await budi.until_state("completed")

    assert len(said_by("therapist", budi)) == 2, "nothing was said again"
    assert budi.lines()[-3:] == ["on_the_way", "arrived", "completed"]


async def test_another_simulation_goes_on_where_the_first_one_stopped(house: House) -> None:
    sari = await house.add_therapist()
    async with guest(house.url) as budi:
        async with simulating(house, [sari], replace(FAST, treat_s=FOR_EVER, reply_s=FOR_EVER)):
            await become_active(budi)
            await budi.until_line("arrived")
            await budi.do("message", text="Where are you?")
        async with simulating(house, [sari], replace(FAST, treat_s=FOR_EVER)):
            await budi.until(lambda: len(said_by("therapist", budi)) == 2, "a reply")
        async with simulating(house, [sari]):
            await budi.until_state("completed")

    assert len(said_by("therapist", budi)) == 2, "nothing was said again"
    assert budi.lines()[-3:] == ["on_the_way", "arrived", "completed"]


async def test_who_was_cancelled_stops_and_is_there_for_the_next_guest(house: House) -> None:
    sari = await house.add_therapist()
    async with simulating(house, [sari], replace(FAST, leave_s=FOR_EVER)):
        async with guest(house.url) as budi:
            await become_active(budi)
            await budi.do("cancel")
            await budi.until_state("cancelled")
        async with guest(house.url) as wayan:
            await become_active(wayan)
            await wayan.until(lambda: len(said_by("therapist", wayan)) == 1, "hello")
            assert plans_that_run("_visit") == 1


async def test_who_declines_is_not_waited_for(servers: Servers, database: str) -> None:
    async with house_of(settings_for(servers, database, answer_s=1.0, radii_km=(5.0,))) as house:
        people = [await house.add_therapist(km=km) for km in (0.5, 1.0)]
        async with simulating(house, people, replace(FAST, accepts=0.0, declines=1.0)), guest(house.url) as budi:
            await budi.search()
            await budi.until_state("no_therapist")
        searches = await house.services.searches.find({}, limit=10)

    answers = {offer.therapist_id: offer.answer for search in searches for offer in search.offers}
    assert answers == {person.id: Answer.DECLINED for person in people}


async def test_the_failure_of_one_is_no_other_ones_business(house: House) -> None:
    sari, nobody = await house.add_therapist(), await house.add_therapist(km=0.1)

    def sign(therapist_id: str) -> str:
        if therapist_id == nobody.id:
            raise RuntimeError("lost their token")
        return house.tokens.sign("therapist", therapist_id)

    simulation = asyncio.create_task(run(house.url, [nobody, sari], sign, FAST))
    async with guest(house.url) as budi:
        await become_active(budi)
        await budi.until_state("completed")
        assert not simulation.done()
    simulation.cancel()
    await asyncio.gather(simulation, return_exceptions=True)
