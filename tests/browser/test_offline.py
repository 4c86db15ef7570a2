"""What people write while there is no connection: it waits where they see it, and arrives once, in order."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.browser.conftest import Screenshot
from tests.browser.people import (
    Visit,
    carried_by,
    guest_page,
    lose_network,
    messages,
    network_to,
    say,
    therapist_page,
    visit,
)
from tests.house import House

pytestmark = pytest.mark.slow


@pytest.fixture
def particulars() -> dict[str, Any]:
    """Pages with little patience."""
    return {"fallback_after_s": 0.5}


def texts(entries: list[dict[str, object]]) -> list[object]:
    return [entry["text"] for entry in entries]


async def finish(both: Visit) -> None:
    """Until the room is closed, too, which still takes messages for a moment after the booking is completed."""
    for step in ("on_the_way", "arrived", "completed"):
        await both.sari.do("progress", booking_id=both.booking_id, step=step)
    await both.budi.until_state("completed")


async def test_what_is_written_offline_waits_over_a_reload_and_arrives_once_in_order(
    house: House, browser: Browser, screenshot: Screenshot
) -> None:
    async with visit(house) as both:
        guest = await guest_page(browser, house.url, both.budi)
        await carried_by(guest, "socket")
        bubbles = guest.get_by_test_id("message")
        await lose_network(guest)
        for text in ("one", "two", "three"):
            await say(guest, text)
        for bubble in await bubbles.all():
            await expect(bubble).to_have_attribute("data-state", "waiting")
        await screenshot(guest, "waiting")

        await guest.close()
        await guest.context.set_offline(False)
        again = await guest.context.new_page()
        await again.goto(f"{house.url}/chat")
        await expect(messages(again)).to_have_text(["one", "two", "three"])
        await both.sari.until(lambda: len(both.sari.of_type("message")) == 3, "three messages")
        assert texts(both.sari.of_type("message")) == ["one", "two", "three"]
        await expect(again.locator("[data-state=waiting]")).to_have_count(0)


async def test_a_message_whose_answer_was_lost_is_sent_again_and_stands_there_once(
    house: House, browser: Browser
) -> None:
    async with network_to(house) as network, visit(house) as both:
        guest = await guest_page(browser, f"http://127.0.0.1:{network.port}", both.budi)
        await carried_by(guest, "socket")
        network.lose_answers()
        await say(guest, "heard, but not answered")
        await both.sari.until(lambda: len(both.sari.of_type("message")) == 1, "the message")
        await expect(guest.get_by_test_id("message")).to_have_attribute("data-state", "waiting")
        await network.cut()
        network.pass_on()
        await expect(guest.get_by_test_id("message")).to_have_attribute("data-state", "sent")
        await say(guest, "and another")
        await both.sari.until(lambda: len(both.sari.of_type("message")) == 2, "the other message")
        await expect(messages(guest)).to_have_text(["heard, but not answered", "and another"])


async def test_a_refused_message_says_why_until_it_is_sent_after_all_or_discarded(
    house: House, browser: Browser, screenshot: Screenshot
) -> None:
    async with visit(house) as both:
        guest = await guest_page(browser, house.url, both.budi)
        await carried_by(guest, "socket")
        await lose_network(guest)
        await say(guest, "too late")
        await finish(both)
        await guest.context.set_offline(False)
        refused = guest.locator("[data-testid=message][data-state=refused]")
        await expect(refused).to_contain_text("too late")
        await guest.reload()
        await expect(refused.get_by_test_id("problem")).not_to_be_empty()
        await screenshot(guest, "refused")
        await refused.get_by_test_id("try-again").click()
        await expect(refused).to_contain_text("too late")
        await refused.get_by_test_id("discard").click()
        await expect(guest.get_by_test_id("message")).to_have_count(0)
        await guest.reload()
        await expect(guest.get_by_test_id("book-now").first).to_be_visible()
        await expect(guest.get_by_test_id("message")).to_have_count(0)


async def test_a_therapist_is_told_of_a_message_that_never_reached_a_visit_that_is_over(
    house: House, browser: Browser
) -> None:
    async with visit(house) as both:
        console = await therapist_page(browser, house.url, both.sari_token)
        await carried_by(console, "socket")
        await lose_network(console)
        await say(console, "I am at the door")
        await finish(both)
        await console.close()
        await console.context.set_offline(False)
        again = await console.context.new_page()
        await again.goto(f"{house.url}/therapist")
        await expect(again.get_by_test_id("problem")).to_contain_text("I am at the door")
