"""The ladder of transports in a real browser: what carries a page when networks let little through."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser, Route, expect

from bot.embedded import Servers
from tests.browser.people import SOCKET_IO, carried_by, guest_page, messages, network_to, say, therapist_page, visit
from tests.house import House, house_of, settings_for

STREAMS = "**/api/sse/bookings?*"


@pytest.fixture
async def house(servers: Servers, database: str) -> AsyncIterator[House]:
    """A house whose pages have little patience."""
    async with house_of(settings_for(servers, database, fallback_after_s=0.5)) as running:
        yield running


async def refuse(route: Route) -> None:
    await route.abort()


async def keep_silent(route: Route) -> None:
    """Like a proxy that keeps an answer back until it is complete: nothing is answered, and nothing refused."""


@pytest.mark.parametrize("rung", ["stream", "poll"])
async def test_without_websocket_two_pages_chat_on_another_rung_and_come_back_up(
    house: House, browser: Browser, rung: str
) -> None:
    async with network_to(house) as network, visit(house) as both:
        await network.forbid(SOCKET_IO)
        url = f"http://127.0.0.1:{network.port}"
        guest = await guest_page(browser, url, both.budi)
        console = await therapist_page(browser, url, both.sari_token)
        if rung == "poll":
            for page in (guest, console):
                await page.route(STREAMS, refuse)
                await page.reload()
        for page in (guest, console):
            await carried_by(page, rung)
        await say(guest, "one")
        await expect(messages(console)).to_have_text(["one"])
        await say(console, "two")
        await expect(messages(guest)).to_have_text(["one", "two"])

        network.pass_on()
        for page in (guest, console):
            await carried_by(page, "socket")
        await say(guest, "three")
        await expect(messages(console).last).to_have_text("three")
        await say(console, "four")
        for page in (guest, console):
            await expect(messages(page).last).to_have_text("four")
            await expect(messages(page)).to_have_text(["one", "two", "three", "four"])
