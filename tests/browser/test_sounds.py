"""What is heard in a real browser: each sound, at once, again while it is urgent, and nothing where it is muted."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from aiohttp import ClientSession
from playwright.async_api import Browser, Page, expect

from tests.browser.conftest import Screenshot
from tests.browser.people import carried_by, guest_page, therapist_page, visit
from tests.clients import guest
from tests.house import House

pytestmark = pytest.mark.slow

SOUNDS = Path(__file__).parents[2] / "bot" / "pages" / "sounds"
NAMES = (
    *("therapist-alert", "urgent-booking", "customer-reminder", "booking-success", "app-download"),
    *(f"reminder-{hours}h" for hours in range(1, 6)),
)
LARGEST_BYTES = 30_000
LONGEST_S, SHORTEST_S = 3.0, 0.5
HEARD_WITHIN_MS = 500
REPEATED_FOR_S = 60

# When entries come by the socket and when what is heard of them begins, both by the page's own clock; what was ended.
RECORD = """
window.heard = [];
window.ended = 0;
window.told = {};
window.until = (is) => new Promise((resolve) => {
  const look = () => (is() ? resolve() : setTimeout(look, 20));
  look();
});
window.AudioBufferSourceNode = class extends AudioBufferSourceNode {
  start(when = 0) {
    const in_s = Math.max(0, when - this.context.currentTime);
    window.heard.push({ at: performance.now() + 1000 * in_s, lasts_s: this.buffer.duration });
    super.start(when);
  }
  stop(when) { window.ended += 1; super.stop(when); }
};
window.WebSocket = class extends WebSocket {
  constructor(...where) {
    super(...where);
    this.addEventListener("message", ({ data }) => {
      for (const type of ["offer", "notification"])
        if (String(data).includes(`"type":"${type}"`)) window.told[type] ??= performance.now();
    });
  }
};
"""

# A browser that keeps silent until it is touched. The real one does, too; but whatever Playwright evaluates in a page
# counts as a touch there, and it may do so before the page has asked whether it may sound.
SILENT = """
let isTouched = false;
window.AudioContext = class extends AudioContext {
  constructor() {
    super();
    const touched = ({ isTrusted }) => { isTouched ||= isTrusted; this.dispatchEvent(new Event("statechange")); };
    addEventListener("pointerup", touched, { capture: true });
  }
  get state() { return isTouched ? super.state : "suspended"; }
  resume() { return isTouched ? super.resume() : new Promise(() => {}); }
};
"""


async def touch(page: Page) -> None:
    """Browsers let a page sound only after its person has done something on it."""
    await page.locator("h1").first.click()


async def notify(house: House, token: str) -> None:
    async with (
        ClientSession() as http,
        http.post(f"{house.url}/api/test-notification", headers={"Authorization": f"Bearer {token}"}) as response,
    ):
        assert response.status == 200


async def test_every_sound_is_short_small_and_understood_by_a_browser(house: House, browser: Browser) -> None:
    assert {path.stem for path in SOUNDS.iterdir()} == set(NAMES)
    assert all(path.stat().st_size <= LARGEST_BYTES for path in SOUNDS.iterdir())
    page = await browser.new_page()
    await page.goto(f"{house.url}/status")
    for name in NAMES:
        lasts_s, loudest, cached = await page.evaluate(
            """async (name) => {
              const response = await fetch(`/sounds/${name}.mp3`);
              const context = new OfflineAudioContext(1, 1, 44100);
              const sound = await context.decodeAudioData(await response.arrayBuffer());
              const loudest = sound.getChannelData(0).reduce((most, one) => Math.max(most, Math.abs(one)), 0);
              return [sound.duration, loudest, response.headers.get("cache-control")];
            }""",
            name,
        )
        assert SHORTEST_S <= lasts_s <= LONGEST_S, name
        assert 0.3 < loudest <= 1, name
        assert "max-age" in cached, name


async def test_an_offer_is_heard_at_once_and_again_until_somebody_is_there(house: House, browser: Browser) -> None:
    sari = await house.add_therapist()
    console = await therapist_page(browser, house.url, house.token_of(sari), init_script=RECORD)
    await carried_by(console, "socket")
    await touch(console)
    async with guest(house.url) as budi:
        await budi.search()
        await console.evaluate("until(() => heard.length > 0)")
        heard, told = await console.evaluate("[window.heard, window.told]")
        assert heard[0]["at"] - told["offer"] < HEARD_WITHIN_MS
        assert len(heard) > 10
        assert heard[-1]["at"] / 1000 + heard[-1]["lasts_s"] - heard[0]["at"] / 1000 <= REPEATED_FOR_S
        assert await console.evaluate("window.ended") == 0
        await touch(console)
        assert await console.evaluate("window.ended") == len(heard)


async def test_an_offer_that_is_closed_is_heard_no_more(house: House, browser: Browser) -> None:
    sari = await house.add_therapist()
    console = await therapist_page(browser, house.url, house.token_of(sari), init_script=RECORD)
    await carried_by(console, "socket")
    await touch(console)
    async with guest(house.url) as budi:
        await budi.search()
        await console.evaluate("until(() => heard.length > 0)")
        await budi.do("cancel")
        await console.evaluate("until(() => ended === heard.length)")


async def test_a_notification_stands_in_the_chat_and_is_heard_once(
    house: House, browser: Browser, screenshot: Screenshot
) -> None:
    async with visit(house) as both:
        chat = await guest_page(browser, house.url, both.budi, init_script=RECORD)
        await carried_by(chat, "socket")
        await expect(chat.get_by_test_id("notification")).to_have_text(re.compile("Your booking is confirmed"))
        await touch(chat)
        await chat.evaluate("window.told = {}")
        await notify(house, both.budi.token)
        shown = chat.get_by_test_id("notification").filter(has_text="It works")
        await expect(shown).to_be_visible()
        await chat.evaluate("until(() => heard.length === 1)")
        heard, told = await chat.evaluate("[window.heard, window.told]")
        assert heard[0]["at"] - told["notification"] < HEARD_WITHIN_MS
        await screenshot(chat, "notice")

        await chat.reload()
        await carried_by(chat, "socket")
        await expect(shown).to_be_visible()
        await touch(chat)
        assert await chat.evaluate("window.heard") == [], "what comes with a snapshot has been heard before"
        ages = """async () => {
          const { hearNotification } = await import("/device/sounds.js");
          const entry = (age_ms) => ({
            at: new Date(Date.now() - age_ms).toISOString(), data: { sound: "customer-reminder", urgency: "normal" },
          });
          hearNotification(entry(61000), Date);
          await new Promise((resolve) => setTimeout(resolve, 300));
          const before = window.heard.length;
          hearNotification(entry(30000), Date);
          return before;
        }"""
        assert await chat.evaluate(ages) == 0
        await chat.evaluate("until(() => heard.length === 1)")


async def test_silence_is_remembered(house: House, browser: Browser) -> None:
    async with visit(house) as both:
        chat = await guest_page(browser, house.url, both.budi, init_script=RECORD)
        await carried_by(chat, "socket")
        await chat.get_by_test_id("mute").click()
        await chat.reload()
        await carried_by(chat, "socket")
        await touch(chat)
        await notify(house, both.budi.token)
        await expect(chat.get_by_test_id("notification").filter(has_text="It works")).to_be_visible()
        assert await chat.evaluate("window.heard") == []
        await expect(chat.get_by_test_id("sound-hint")).to_be_hidden()
        await chat.get_by_test_id("mute").click()
        await notify(house, both.budi.token)
        await chat.evaluate("until(() => heard.length === 1)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_a_browser_that_wants_a_touch_first_is_said_to_want_one(
    house: House, browser: Browser, screenshot: Screenshot, scheme: str
) -> None:
    sari = await house.add_therapist()
    look = {"color_scheme": scheme, "viewport": {"width": 390, "height": 844}}
    console = await therapist_page(browser, house.url, house.token_of(sari), init_script=SILENT, **look)
    await carried_by(console, "socket")
    hint = console.get_by_test_id("sound-hint")
    await expect(hint).to_be_visible()
    await screenshot(console, "hint")
    await hint.get_by_test_id("sound-on").click()
    await expect(hint).to_be_hidden()
