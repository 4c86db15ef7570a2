"""The story of processes that are stopped in the middle of a write and go on long after everything has been decided."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from bot.runtime.embedded import Servers
from tests.agreement import until_agreed
from tests.clients import Guest, client_id, guest
from tests.commits import Replay, recorded
from tests.house import house_of, settings_for
from tests.processes import Web, site
from tests.stories.test_crashes import Pair, Said, confirmation, offer_accepted, pair_up
from tests.stories.test_races import outcome

pytestmark = pytest.mark.slow

# How long an offer, its hold and a choice last.
LIVES_S = 1.5


async def choice(stack: AsyncExitStack, web: Web, pair: Pair) -> Said:
    """The guest takes the therapist who has said yes; on a slow machine it may be too late already for either."""
    await pair.budi.confirm()
    offer = await pair.console.until_offer()
    await pair.console.send("accept_offer", offer_id=offer["offer_id"])
    await pair.budi.until(lambda: pair.budi.card("therapist") is not None or is_at_rest(pair.budi), "a card")
    card = pair.budi.card("therapist") or {"revision": 0, "offer_id": "o_none"}
    tab = await stack.enter_async_context(guest(web.url, token=pair.budi.token))
    chosen = {"revision": card["revision"], "offer_id": card["offer_id"]}
    return Said(tab, pair.budi, "accept_therapist", {"client_id": client_id(), **chosen})


def is_at_rest(client: Guest) -> bool:
    return client.state in ("active", "no_therapist")


# What is begun, and the writes on its way before which a process stops (1 is the first save).
STOPS: tuple[tuple[Callable[[AsyncExitStack, Web, Pair], Awaitable[Said]], tuple[int, ...]], ...] = (
    (confirmation, (2, 4, 7)),
    (offer_accepted, (2, 5)),
    (choice, (2, 4)),
)
ANSWERS = {"ok", "offer_expired", "slot_taken", "stale", "not_now"}


async def test_whatever_a_process_slept_through_it_offers_and_books_nobody_twice_when_it_wakes(
    servers: Servers, database: str, tmp_path: Path
) -> None:
    quick: dict[str, Any] = {"answer_s": LIVES_S, "direct_s": LIVES_S, "choose_s": LIVES_S, "radii_km": (1.0, 5.0)}
    settings = settings_for(servers, database, **quick)
    async with AsyncExitStack() as stack:
        house = await stack.enter_async_context(house_of(settings))
        place = await stack.enter_async_context(site(settings, tmp_path))
        sleepers = await place.sleepers([write for _, writes in STOPS for write in writes])
        begins = [begin for begin, writes in STOPS for _ in writes]
        async with recorded(house.services) as commits:
            pairs = await asyncio.gather(*(pair_up(stack, house) for _ in sleepers))
            said = await asyncio.gather(
                *(begin(stack, web, pair) for begin, web, pair in zip(begins, sleepers, pairs, strict=True))
            )
            saying = [asyncio.create_task(each.dying.send(each.command, **each.payload)) for each in said]
            await asyncio.sleep(LIVES_S)  # every hold lapses, and whoever is awake goes on
            others = [await stack.enter_async_context(guest(house.url)) for _ in range(len(pairs) // 2)]
            await asyncio.gather(*(other.search() for other in others))
            await asyncio.sleep(LIVES_S)
            sleepers[0].wake()
            answers = {outcome(ack) for ack in await asyncio.gather(*saying)}
            await asyncio.gather(*(until_at_rest(each) for each in (*others, *(pair.budi for pair in pairs))))
            await until_agreed(house.services)
        Replay().follow(commits)
        assert answers <= ANSWERS
        for pair in pairs:
            assert len(set(pair.budi.lines())) == len(pair.budi.lines()), "something was said twice"


async def until_at_rest(client: Guest) -> None:
    await client.until(lambda: is_at_rest(client), "the end of the search")
