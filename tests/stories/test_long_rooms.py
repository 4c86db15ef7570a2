"""The story of a room in which much is said: what was said once stays said once, and nothing but the feed grows."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import ClientSession
from bson import BSON

from bot.runtime.embedded import Servers
from bot.store.entries import Entry
from bot.web.sessions.snapshots import ENTRIES_AT_ONCE
from bot.web.streams.reading import PAGE
from tests.clients import Guest, guest
from tests.house import House, house_of, settings_for
from tests.stories.test_transports import bearer, visit

pytestmark = pytest.mark.slow

PROCESSES = 4
TIMES = 20
# More than any record or process remembers of what was sent before.
MEANWHILE = 250
MANY = 20_000
NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)


async def test_what_is_sent_twenty_times_through_four_processes_is_said_once_however_much_is_said_meanwhile(
    servers: Servers, database: str
) -> None:
    settings = settings_for(servers, database)
    async with AsyncExitStack() as stack:
        houses = [await stack.enter_async_context(house_of(settings)) for _ in range(PROCESSES)]
        budi, _, _ = await stack.enter_async_context(visit(houses[0]))
        tabs = [await stack.enter_async_context(guest(house.url, token=budi.token)) for house in houses]
        before = await size_of(houses[0], budi)
        acks = [ack async for ack in repeated(tabs)]
        for start in range(0, MEANWHILE, 50):
            await asyncio.gather(*(budi.do("message", text=f"and {number}") for number in range(start, start + 50)))
        acks += [ack async for ack in repeated(tabs)]
        assert all(ack == acks[0] for ack in acks), [a for a in acks if a != acks[0]][:3]
        assert acks[0]["ok"], acks[0]
        for tab in tabs:
            await tab.until(lambda: len(tab.of_type("message")) == MEANWHILE + 1, "everything")  # noqa: B023 - awaited
            once = [entry["seq"] for entry in tab.entries if entry["data"].get("text") == "once"]
            assert once == [acks[0]["seq"]]
        assert await size_of(houses[0], budi) == before, "messages stand on the feed, and in no record"


async def repeated(tabs: list[Guest]) -> Any:
    """The answers to the same message, sent through every process at once."""
    sending = (
        tab.send("message", client_id="the-same", text="once") for tab in tabs for _ in range(TIMES // PROCESSES)
    )
    for ack in await asyncio.gather(*sending):
        yield ack


async def size_of(house: House, budi: Guest) -> int:
    document = await house.services.database["conversations"].find_one({"_id": budi.session["conversation_id"]})
    return len(BSON.encode(document))


async def test_a_room_of_twenty_thousand_lines_is_come_into_at_its_end_and_read_from_anywhere(
    servers: Servers, database: str
) -> None:
    settings = settings_for(servers, database)
    async with house_of(settings) as house, visit(house) as (budi, _, _):
        # The last line of a booking that was made.
        await budi.until(lambda: bool(budi.of_type("notification")), "the confirmation")
        token, head = budi.token, budi.entries[-1]["seq"]
        lines = [
            Entry(f"e_{seq}", budi.session["feed"], seq, NOW, "message", {"from": "guest", "text": "Hi"})
            for seq in range(head + 1, head + 1 + MANY)
        ]
    async with house_of(settings) as house, ClientSession(house.url) as http:
        await house.services.database["entries"].insert_many([line.as_document() for line in lines])
        async with guest(house.url, token=token) as budi:
            ack = await budi.do("message", text="the last")
            assert ack["seq"] == head + MANY + 1
        async with guest(house.url, token=token) as again:
            assert len(again.session["entries"]) <= ENTRIES_AT_ONCE
            assert again.session["entries"][-1]["data"]["text"] == "the last"
        for cursor in (0, head + MANY // 2, head + MANY - 10):
            page = await page_after(http, token, cursor)
            assert page == list(range(cursor + 1, min(cursor + 1 + PAGE, ack["seq"] + 1)))


async def page_after(http: ClientSession, token: str, cursor: int) -> list[int]:
    async with http.get("/api/poll/bookings", params={"since": str(cursor)}, headers=bearer(token)) as response:
        return [entry["seq"] for entry in (await response.json())["entries"]]
