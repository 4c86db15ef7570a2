"""The ladder of transports in a real browser: what carries a page when networks let little through."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from playwright.async_api import Browser, WebSocketRoute, expect

from bot.runtime.embedded import Servers
from tests.browser.people import (
    SOCKET_IO,
    STREAMS,
    WITHOUT,
    carried_by,
    guest_page,
    keep_silent,
    messages,
    network_to,
    say,
    therapist_page,
    visit,
)
from tests.clients import PATIENCE_S
from tests.house import House, house_of, settings_for

pytestmark = pytest.mark.slow

# When the page has opened a WebSocket, and when it has lost one, in milliseconds.
WATCH = """
window.openings = [];
window.closings = [];
window.WebSocket = class extends WebSocket {
  constructor(...where) {
    super(...where);
    window.openings.push(performance.now());
    this.addEventListener("close", () => window.closings.push(performance.now()));
  }
};
"""


@pytest.fixture
def particulars() -> dict[str, Any]:
    """Pages with little patience."""
    return {"fallback_after_s": 0.5}


@pytest.mark.parametrize("rung", ["stream", "poll"])
async def test_without_websocket_two_pages_chat_on_another_rung_and_come_back_up(
    house: House, browser: Browser, rung: str
) -> None:
    async with network_to(house) as network, visit(house) as both:
        await network.forbid(SOCKET_IO)
        url = f"http://127.0.0.1:{network.port}"
        guest = await guest_page(browser, url, both.budi, routes=WITHOUT[rung])
        console = await therapist_page(browser, url, both.sari_token, routes=WITHOUT[rung])
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


async def test_a_snapshot_that_comes_late_turns_nothing_back(house: House, browser: Browser) -> None:
    """While the better rung was taking its snapshot, the one that carries has brought what it does not know."""
    taken, released, in_order = asyncio.Event(), asyncio.Event(), asyncio.Lock()

    async def hold_the_snapshot(page: WebSocketRoute) -> None:
        async def pass_on(frame: str | bytes) -> None:
            async with in_order:
                if b'"session"' in (frame.encode() if isinstance(frame, str) else frame):
                    taken.set()
                    await released.wait()
                page.send(frame)

        page.connect_to_server().on_message(pass_on)

    async with network_to(house) as network, visit(house) as both:
        await network.forbid(SOCKET_IO)
        url = f"http://127.0.0.1:{network.port}"
        guest = await guest_page(browser, url, both.budi, sockets=hold_the_snapshot)
        await carried_by(guest, "stream")
        network.pass_on()
        async with asyncio.timeout(PATIENCE_S):
            await taken.wait()
        await both.write("one")
        await both.sari.do("progress", booking_id=both.booking_id, step="on_the_way")
        await expect(guest.get_by_test_id("progress")).to_have_text("On the way")
        released.set()
        await carried_by(guest, "socket")
        await both.write("two")
        await expect(messages(guest).last).to_have_text("two")
        await expect(messages(guest)).to_have_text(["one", "two"])
        await expect(guest.get_by_test_id("progress")).to_have_text("On the way")


async def test_where_a_proxy_keeps_streams_back_long_poll_carries(house: House, browser: Browser) -> None:
    async with network_to(house) as network, visit(house) as both:
        await network.forbid(SOCKET_IO)
        guest = await guest_page(browser, f"http://127.0.0.1:{network.port}", both.budi, routes={STREAMS: keep_silent})
        await carried_by(guest, "poll")
        await both.write("one")
        await expect(messages(guest)).to_have_text(["one"])


async def test_a_page_comes_back_by_itself_when_its_server_is_replaced(
    servers: Servers, database: str, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The old process says that it is going, and when to come: the page is at the new one then, and has everything."""
    asked_ms, closing_ms = 2500, 1500
    monkeypatch.setattr("bot.web.sessions.going_away.random.randint", lambda *_: asked_ms)
    settings = settings_for(servers, database)
    async with house_of(settings) as new, network_to(new) as network:
        async with house_of(settings) as old, visit(old) as both:
            network.lead_to(old.url)
            guest = await guest_page(browser, f"http://127.0.0.1:{network.port}", both.budi, init_script=WATCH)
            await carried_by(guest, "socket")
            await both.write("from the old one")
            await expect(messages(guest)).to_have_text(["from the old one"])
            network.lead_to(new.url)
        await say(guest, "to the new one")
        await expect(guest.get_by_test_id("message").last).to_have_attribute("data-receipt", "sent")
        await carried_by(guest, "socket")
        await expect(messages(guest)).to_have_text(["from the old one", "to the new one"])
        assert await guest.evaluate("openings.at(-1) - closings[0]") > asked_ms - closing_ms
