"""Who books what they do not want, again and again, holds no therapist whom somebody else needs."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from aiohttp import ClientSession

from bot.runtime.embedded import Servers
from bot.settings.settings import Settings
from bot.store.open_searches import BEGINS_WITHIN
from tests.agreement import eventually
from tests.clients import Guest, guest, therapist
from tests.house import House, house_of, settings_for

pytestmark = pytest.mark.slow

FALSE, HONEST = "+6281200000001", "+6281234567890"


@pytest.fixture
def settings(servers: Servers, database: str) -> Settings:
    """As people get them, behind a router that names addresses."""
    return settings_for(servers, database, demo=False, trust_proxy=True, open_per_phone=1, open_per_network=3)


@pytest.fixture
async def house(settings: Settings) -> AsyncIterator[House]:
    async with house_of(settings) as running:
        yield running


async def search(http: ClientSession, url: str, phone: str, address: str = "203.0.113.7") -> tuple[str, str]:
    """A new guest over HTTP who books and confirms: how that ended, and their token."""
    headers = {"X-Forwarded-For": address, "Accept-Language": "en"}
    async with http.post(f"{url}/api/guest/session", json={}, headers=headers) as response:
        token = (await response.json())["token"]
    headers["Authorization"] = f"Bearer {token}"
    book = {"client_id": "book", "kind": "now", "source": "menu"}
    async with http.post(f"{url}/api/guest/book", json=book, headers=headers) as response:
        revision = (await response.json())["revision"]
    place = {"address": "Jl. Sudirman 1", "latitude": -6.2088, "longitude": 106.8456}
    form = {"client_id": "form", "revision": revision, "duration": 60, "location": place, "name": "Eve", "phone": phone}
    async with http.post(f"{url}/api/guest/confirm_service", json=form, headers=headers) as response:
        answer: dict[str, Any] = await response.json()
        return ("ok" if response.status == 200 else str(answer["error"]["code"])), token


async def test_sixty_false_guests_with_one_number_are_one_search_and_an_honest_guest_is_served(house: House) -> None:
    """They held every therapist nearby: somebody beside them still searched after a hundred seconds."""
    async with AsyncExitStack() as stack, ClientSession() as http:
        consoles = []
        for km in (0.5, 1.0, 1.5, 2.0, 2.5):
            record = await house.add_therapist(km=km)
            consoles.append(await stack.enter_async_context(therapist(house.url, house.token_of(record))))
        addresses = [f"203.0.113.{number}" for number in range(60)]
        ended = await asyncio.gather(*(search(http, house.url, FALSE, each) for each in addresses))
        assert Counter(code for code, _ in ended) == {"ok": 1, "already_live": 59}
        budi: Guest = await stack.enter_async_context(guest(house.url))
        await budi.search(phone=HONEST)

        async def somebody_asks_for_budi() -> None:
            asked = [offer for console in consoles for offer in console.open_offers()]
            assert any(offer["guest"]["name"] == "Budi" for offer in asked)

        await eventually(somebody_asks_for_budi)


async def test_over_two_processes_a_number_has_one_search_and_a_network_three(settings: Settings, house: House) -> None:
    async with house_of(settings) as other, ClientSession() as http:
        urls = (house.url, other.url)
        one = await asyncio.gather(*(search(http, urls[n % 2], FALSE, f"198.51.100.{n}") for n in range(20)))
        assert Counter(code for code, _ in one) == {"ok": 1, "already_live": 19}
        many = await asyncio.gather(*(search(http, urls[n % 2], f"+62812000001{n:02d}", "8.8.8.8") for n in range(20)))
        assert Counter(code for code, _ in many) == {"ok": 3, "too_many_requests": 17}
        assert (await search(http, house.url, "+6281200009999", "8.8.4.4"))[0] == "ok", "the neighbours are not blocked"


async def test_addresses_behind_a_router_of_ours_are_no_network_of_a_stranger(house: House) -> None:
    async with ClientSession() as http:
        for number in range(6):
            assert (await search(http, house.url, f"+62812000002{number:02d}", "10.0.0.7"))[0] == "ok"


async def test_a_number_is_free_again_when_its_search_is_over_and_its_guest_may_always_go_on(house: House) -> None:
    async with guest(house.url) as budi:
        await budi.search(phone=HONEST)
        await budi.do("cancel")
        await budi.search(phone=HONEST)  # the same guest, at once
        await budi.do("cancel")
    places = house.services.open_searches
    key = (await house.services.database["open_searches"].find_one({}))["_id"].partition("#")[0]
    assert not await places.take(key, 1, "c_other", house.services.clock.now())
    house.services.clock._set_at += BEGINS_WITHIN  # type: ignore[attr-defined]
    assert await places.take(key, 1, "c_other", house.services.clock.now())


async def test_a_neighbour_who_cannot_be_read_keeps_their_place_and_nobody_else_from_searching(house: House) -> None:
    services = house.services
    places, now = services.open_searches, services.clock.now()
    async with guest(house.url) as budi:
        await budi.search(phone=HONEST)
        conversation_id = budi.session["conversation_id"]
    assert await places.take("network", 2, conversation_id, now)
    await services.database["conversations"].update_one({"_id": conversation_id}, {"$set": {"state": "of tomorrow"}})
    later = now + 2 * BEGINS_WITHIN
    assert await places.take("network", 2, "c_other", later)
    assert not await places.take("network", 2, "c_third", later), "both places are held"
