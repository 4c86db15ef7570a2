"""After *Accept* the console says whose turn it is and for how long, and then what the guest did."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.browser.conftest import Screenshot
from tests.browser.people import carried_by, therapist_page
from tests.clients import guest
from tests.house import House

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("press", "told"),
    [
        ("accept_therapist", "The guest has chosen you."),
        ("find_another", "The guest is looking for somebody else."),
        ("cancel", "The guest has cancelled the request."),
    ],
)
async def test_the_console_says_whose_turn_it_is_over_a_reload_too_and_then_what_the_guest_did(
    house: House, browser: Browser, screenshot: Screenshot, press: str, told: str
) -> None:
    sari = await house.add_therapist(name="Sari Dewi")
    console = await therapist_page(browser, house.url, house.token_of(sari))
    async with guest(house.url) as budi:
        await carried_by(console, "socket")
        await budi.search()
        await console.get_by_test_id("accept-offer").click()
        waiting = console.get_by_test_id("offer-waiting")
        await expect(waiting).to_contain_text("Waiting for the guest, 1:")
        await expect(console.get_by_text("has chosen you")).to_have_count(0)
        await screenshot(console, "waiting")
        await console.reload()
        await carried_by(console, "socket")
        await expect(waiting).to_contain_text("Waiting for the guest, 1:")
        await expect(console.get_by_test_id("accept-offer")).to_have_count(0)
        payload: dict[str, Any] = {}
        if press != "cancel":
            card = await budi.until_card("therapist")
            payload = {"revision": card["revision"], "offer_id": card["offer_id"]}
        await budi.do(press, **payload)
        await expect(console.get_by_test_id("offer-closed")).to_have_text(told)
        await expect(waiting).to_have_count(0)
        await screenshot(console, "told")
