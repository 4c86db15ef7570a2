"""What each side sees of the other while a visit is on: who writes, who is there, what has arrived and was read."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.browser.conftest import Screenshot
from tests.browser.people import (
    SOCKET_IO,
    WITHOUT,
    carried_by,
    guest_page,
    messages,
    network_to,
    say,
    therapist_page,
    visit,
)
from tests.house import House

pytestmark = pytest.mark.slow

# What the browser does when the person turns to another tab, and back.
TURN = """isHidden => {
  Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""
COUNT_SOUNDS = """
window.sounds = 0;
window.OscillatorNode = class extends OscillatorNode {
  start(...when) { window.sounds += 1; super.start(...when); }
};
"""


@pytest.fixture
def particulars() -> dict[str, Any]:
    """Pages with little patience."""
    return {"fallback_after_s": 0.5}


async def turn_away(page: Page) -> None:
    await page.evaluate(TURN, True)


async def turn_back(page: Page) -> None:
    await page.evaluate(TURN, False)


@pytest.mark.parametrize("rung", ["socket", "stream", "poll"])
async def test_typing_presence_and_receipts_reach_the_other_page_on_every_rung(
    house: House, browser: Browser, screenshot: Screenshot, rung: str
) -> None:
    async with network_to(house) as network, visit(house) as both:
        if rung != "socket":
            await network.forbid(SOCKET_IO)
        url = f"http://127.0.0.1:{network.port}"
        guest = await guest_page(browser, url, both.budi, routes=WITHOUT[rung])
        console = await therapist_page(browser, url, both.sari_token, routes=WITHOUT[rung], color_scheme="dark")
        await both.sari.close()
        await both.budi.close()
        for page in (guest, console):
            await carried_by(page, rung)
        presence = console.get_by_test_id("presence")
        await expect(presence).to_have_attribute("data-presence", "online")

        await console.get_by_test_id("message-input").fill("I am")
        await expect(guest.get_by_test_id("typing")).to_contain_text("Sari Dewi")
        await screenshot(guest, f"typing-{rung}")
        await console.get_by_test_id("message-input").fill("")
        await expect(guest.get_by_test_id("typing")).to_have_count(0)

        await turn_away(guest)
        await expect(presence).to_have_attribute("data-presence", "away")
        await say(console, "I am coming")
        message = console.get_by_test_id("message")
        await expect(message).to_have_attribute("data-receipt", "delivered")
        await expect(guest).to_have_title("(1) Janji")
        await screenshot(console, f"delivered-{rung}")
        await turn_back(guest)
        await expect(message).to_have_attribute("data-receipt", "read")
        await expect(presence).to_have_attribute("data-presence", "online")
        await expect(guest).to_have_title("Janji")
        await screenshot(console, f"read-{rung}")


async def test_a_therapist_sees_how_many_messages_wait_in_a_room_that_is_not_open(
    house: House, browser: Browser, screenshot: Screenshot
) -> None:
    async with visit(house) as both:
        for text in ("one", "two"):
            await both.budi.do("message", text=text)
        console = await therapist_page(browser, house.url, both.sari_token, viewport={"width": 390, "height": 844})
        unread = console.get_by_test_id("booking").locator(".unread")
        await expect(unread).to_have_text("2")
        await expect(console).to_have_title("(2) Janji")
        await both.budi.do("message", text="three")
        await expect(unread).to_have_text("3")
        await screenshot(console, "unread")
        await console.get_by_test_id("booking").click()
        await expect(messages(console)).to_have_text(["one", "two", "three"])
        await expect(unread).to_have_count(0)
        await both.budi.until(lambda: bool(both.budi.of_type("read")), "the receipt")
        await console.reload()
        await carried_by(console, "socket")
        await expect(console).to_have_title("Janji")


async def test_what_is_new_where_nobody_looks_sounds_once_unless_it_is_muted(house: House, browser: Browser) -> None:
    async with visit(house) as both:
        guest = await guest_page(browser, house.url, both.budi, init_script=COUNT_SOUNDS)
        await carried_by(guest, "socket")
        await guest.get_by_test_id("message-input").click()
        await both.write("seen at once")
        await expect(messages(guest)).to_have_count(1)
        assert await guest.evaluate("window.sounds") == 0
        await turn_away(guest)
        await both.write("heard")
        await expect(messages(guest)).to_have_count(2)
        await guest.wait_for_function("window.sounds === 2")
        await guest.get_by_test_id("mute").click()
        await guest.reload()
        await carried_by(guest, "socket")
        await guest.get_by_test_id("message-input").click()
        await turn_away(guest)
        await both.write("not heard")
        await expect(messages(guest)).to_have_count(3)
        assert await guest.evaluate("window.sounds") == 0


async def test_a_server_that_knows_no_signals_does_no_harm(house: House, browser: Browser) -> None:
    """An older process during a deploy: it refuses what it does not know, and its snapshots say nothing of it."""
    told: list[str] = []

    async def without_signals(route: Route) -> None:
        name = route.request.url.rpartition("/")[2]
        if name in ("typing", "delivered", "read", "presence"):
            told.append(name)
            await route.fulfill(
                status=422, json={"error": {"code": "invalid", "message": "This command is not known."}}
            )
        elif name == "session":
            answer = await route.fetch()
            session = await answer.json()
            for field in ("receipts", "unread", "presence", "typing"):
                session.pop(field, None)
            await route.fulfill(response=answer, json=session)
        else:
            await route.continue_()

    async with network_to(house) as network, visit(house) as both:
        await network.forbid(SOCKET_IO)
        url = f"http://127.0.0.1:{network.port}"
        guest = await guest_page(browser, url, both.budi, routes={"**/api/guest/*": without_signals})
        await carried_by(guest, "stream")
        await guest.get_by_test_id("message-input").fill("Are you")
        await both.write("one")
        await both.write("two")
        await expect(messages(guest)).to_have_text(["one", "two"])
        await say(guest, "Are you near?")
        await expect(guest.get_by_test_id("message").last).to_have_attribute("data-receipt", "sent")
        await expect(guest).to_have_title("Janji")
        await expect(guest.get_by_test_id("problem")).to_have_count(0)
        assert len(told) == len(set(told)), "a signal was told again to a server that does not know it"
