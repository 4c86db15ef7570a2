"""The offer of the app: the way that works on each device, a day of peace after it was closed, and room for keys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from bot.feeds.feed import NewEntry
from bot.identity import new_id
from bot.runtime.embedded import Servers
from tests.browser.conftest import Screenshot
from tests.browser.people import DESK_SIZE, PHONE_SIZE, Visit, carried_by, guest_page, visit
from tests.house import House, house_of, settings_for

pytestmark = pytest.mark.slow

APP_STORE, PLAY_STORE = "https://apps.example.com/janji", "https://play.example.com/janji"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1"
ANDROID = "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36"
# What Chromium says once when a page can be installed; a test's own is never asked to.
INSTALLABLE = """
const event = new Event("beforeinstallprompt", { cancelable: true });
event.prompt = () => { window.asked = true; };
event.userChoice = Promise.resolve({ outcome: "accepted" });
window.dispatchEvent(event);
"""


@asynccontextmanager
async def house_with(servers: Servers, database: str, **stores: str) -> AsyncIterator[House]:
    async with house_of(settings_for(servers, database, **stores)) as house:
        yield house


async def remind(house: House, both: Visit) -> None:
    """What the guest is told three hours before, and the offer that comes with it."""
    data = {
        "kind": "reminder_3h",
        "side": "customer",
        "params": {
            "service": {"en": "Balinese massage", "id": "Pijat Bali"},
            "other": "Sari Dewi",
            "starts_at": house.services.clock.now() + timedelta(hours=3),
            "timezone": "Asia/Jakarta",
        },
        "sound": "app-download",
        "urgency": "normal",
    }
    feed, offer = (
        str(both.budi.session["feed"]),
        {"card": "app_download", "revision": both.budi.revision, "buttons": []},
    )
    entries = [NewEntry(new_id("e"), "notification", data), NewEntry(new_id("e"), "card", offer)]
    await house.services.feeds.append_many(feed, entries)


async def chat_of(browser: Browser, house: House, both: Visit, **more: Any) -> Page:
    chat = await guest_page(browser, house.url, both.budi, **more)
    await carried_by(chat, "socket")
    return chat


@pytest.mark.parametrize(
    ("agent", "label", "address"),
    [(IPHONE, "Get it on the App Store", APP_STORE), (ANDROID, "Get it on Google Play", PLAY_STORE)],
    ids=["iphone", "android"],
)
async def test_a_phone_is_led_to_its_store_and_left_alone_for_a_day_when_it_does_not_want_to(
    servers: Servers, database: str, browser: Browser, screenshot: Screenshot, agent: str, label: str, address: str
) -> None:
    async with (
        house_with(servers, database, app_store_url=APP_STORE, play_store_url=PLAY_STORE) as house,
        visit(house) as both,
    ):
        chat = await chat_of(browser, house, both, user_agent=agent, color_scheme="dark")
        await chat.clock.install()
        prompt = chat.get_by_role("dialog")
        await remind(house, both)
        await expect(prompt.get_by_role("link", name=label)).to_have_attribute("href", address)
        await expect(prompt.locator(".benefits li")).to_have_count(3)
        await expect(prompt).to_contain_text("Your visit begins soon")  # the therapist is on the way
        await screenshot(chat, "store")
        await prompt.get_by_test_id("app-later").click()
        await expect(prompt).to_have_count(0)

        await remind(house, both)
        await expect(chat.get_by_test_id("notification")).to_have_count(3)
        await expect(prompt).to_have_count(0)
        await chat.clock.fast_forward(timedelta(hours=24, minutes=1).total_seconds() * 1000)
        await remind(house, both)
        await expect(prompt).to_be_visible()


@pytest.mark.parametrize(("size", "scheme"), [(PHONE_SIZE, "light"), (DESK_SIZE, "dark"), (DESK_SIZE, "light")])
async def test_a_browser_without_a_store_installs_the_page(
    house: House, browser: Browser, screenshot: Screenshot, size: Any, scheme: str
) -> None:
    async with visit(house) as both:
        chat = await chat_of(browser, house, both, viewport=size, color_scheme=scheme, locale="id-ID")
        await remind(house, both)
        await expect(chat.get_by_test_id("notification")).to_have_count(2)
        await expect(chat.get_by_role("dialog")).to_have_count(0)
        await chat.evaluate(INSTALLABLE)
        prompt = chat.get_by_role("dialog", name="Kunjungan Anda segera dimulai")
        await expect(prompt).to_be_visible()
        await screenshot(chat, f"install-{scheme}")
        await prompt.get_by_role("button", name="Pasang aplikasi").click()
        await expect(prompt).to_have_count(0)
        assert await chat.evaluate("window.asked")


async def test_the_offer_is_closed_by_a_key_and_gives_the_focus_back(house: House, browser: Browser) -> None:
    async with visit(house) as both:
        chat = await chat_of(browser, house, both, user_agent=IPHONE)
        await chat.get_by_test_id("mute").focus()
        await remind(house, both)
        prompt = chat.get_by_role("dialog")
        await expect(prompt.get_by_test_id("app-by-hand")).to_be_visible()
        await expect(prompt).to_be_focused()
        await chat.keyboard.press("Escape")
        await expect(prompt).to_have_count(0)
        await expect(chat.get_by_test_id("mute")).to_be_focused()


async def test_who_is_writing_is_not_interrupted_and_closes_the_offer_by_the_same_key(
    house: House, browser: Browser
) -> None:
    async with visit(house) as both:
        chat = await chat_of(browser, house, both, user_agent=IPHONE)
        await chat.get_by_test_id("message-input").fill("Blok B")
        await remind(house, both)
        await expect(chat.get_by_role("dialog")).to_be_visible()
        await expect(chat.get_by_test_id("message-input")).to_be_focused()
        await chat.keyboard.press("Escape")
        await expect(chat.get_by_role("dialog")).to_have_count(0)
        await expect(chat.get_by_test_id("message-input")).to_have_value("Blok B")


async def test_the_offer_waits_for_who_comes_later_and_can_be_seen_again_until_the_visit_is_over(
    house: House, browser: Browser, screenshot: Screenshot
) -> None:
    async with visit(house) as both:
        await remind(house, both)
        chat = await chat_of(browser, house, both, user_agent=IPHONE)
        prompt, card = chat.get_by_role("dialog"), chat.get_by_test_id("card-app-download")
        await expect(prompt.get_by_test_id("app-by-hand")).to_be_visible()
        await screenshot(chat, "later")
        await prompt.get_by_test_id("app-later").click()
        await expect(prompt).to_have_count(0)
        await chat.reload()
        await carried_by(chat, "socket")
        await expect(card).to_be_visible()
        await expect(prompt).to_have_count(0)
        await card.get_by_test_id("app-see").click()
        await expect(prompt.locator(".benefits li")).to_have_count(3)
        await both.budi.do("cancel")
        await expect(card).to_have_count(0)


async def test_who_asks_where_there_is_no_way_is_told_so(house: House, browser: Browser) -> None:
    async with visit(house) as both:
        await remind(house, both)
        chat = await chat_of(browser, house, both)
        await chat.get_by_test_id("app-see").click()
        await expect(chat.get_by_role("dialog")).to_contain_text("this browser cannot install it")
