"""Mails as people see them: on a phone and on a computer, by day and by night, and never wider than the screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

import pytest
from playwright.async_api import Browser, Page

from bot.words import Words
from conversations.money.amounts import Money
from conversations.notices import SHORTLY_BEFORE
from tests.browser.conftest import Screenshot
from tests.workers.mails import AYU, BUDI, SENDER, VISIT, matter
from workers.letters import Letters, Matter
from workers.mail_templates import Templates

pytestmark = pytest.mark.slow

WIDTHS = (360, 700)
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
# The least contrast between a text and what is behind it (WCAG 2.2, 1.4.3).
LEAST_CONTRAST = 4.5
LONG_NAMES = replace(
    VISIT,
    customer=replace(BUDI, name="Maximiliana-Theresia Kartodirdjo-Wijayakusumaningrat von Hohenstein"),
    therapist=replace(AYU, name="Donaudampfschifffahrtsgesellschaftskapitaenswitwe"),
    address="Apartemen Taman Rasuna Tower 12 Lantai 33 Unit K, Jl. H.R. Rasuna Said Kav. C-22, Kuningan " + "x" * 80,
    service_names={"en": "A traditional Javanese massage with warm stones, oils and a long rest afterwards"},
)
PARTLY_REFUNDED = replace(VISIT, refund=Money(18_000_000, "IDR"))

# A card with round corners hides what is too wide for it, so that the page itself does not become wider.
WIDER_THAN_ITS_PLACE = """() => [...document.querySelectorAll("body *")].filter((each) => {
  const text = document.createRange();
  text.selectNodeContents(each);
  const place = (each.closest("td") ?? document.body).getBoundingClientRect();
  return each.innerText?.trim() && each.getBoundingClientRect().height > 1
    && text.getBoundingClientRect().right > Math.min(place.right, innerWidth) + 0.5;
}).map((each) => each.innerText.slice(0, 60))"""
TOO_FAINT = """(least) => {
  const channels = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = (color) => {
    const [r, g, b] = channels(color).map((each) => each / 255)
      .map((each) => (each <= 0.03928 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const color = getComputedStyle(element).backgroundColor;
    return channels(color)[3] === 0 ? behind(element.parentElement) : color;
  };
  const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  return [...document.querySelectorAll("td, div, a, li, p")]
    .filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .filter((each) => each.checkVisibility({ opacityProperty: true }) && each.getBoundingClientRect().height > 1)
    .filter((each) => contrast(light(getComputedStyle(each).color), light(behind(each))) < least)
    .map((each) => each.innerText.slice(0, 60));
}"""


def mails() -> Iterator[tuple[str, Matter]]:
    """Indonesian needs more room than English, so that what fits in one fits in the other."""
    kinds = ("booking_confirmed", "booking_moved", "payment_confirmed", "payment_failed", "reminder_24h")
    yield from ((kind, matter(kind, "customer", "id")) for kind in kinds)
    yield "booking_cancelled", matter("booking_cancelled", "customer", "id", of=PARTLY_REFUNDED)
    yield "starts_soon", matter("starts_soon", "customer", "id", now=VISIT.starts_at - SHORTLY_BEFORE)
    yield "new_booking", matter("new_booking", "therapist", "id")
    yield "booking_confirmed-en", matter("booking_confirmed", "customer", "en")
    yield "long_names", matter("booking_confirmed", "customer", of=LONG_NAMES)


async def open_at(page: Page, html: str, width: int) -> None:
    """The whole mail on a screen as long as it is."""
    await page.set_viewport_size({"width": width, "height": 600})
    await page.set_content(html)
    height = int(await page.evaluate("document.documentElement.scrollHeight"))
    await page.set_viewport_size({"width": width, "height": height})


@pytest.mark.parametrize("told", [pytest.param(told, id=name) for name, told in mails()])
async def test_a_mail_fits_the_screen_and_can_be_read_by_day_and_by_night(
    browser: Browser, screenshot: Screenshot, told: Matter
) -> None:
    words = Words()
    html = Letters(words, Templates(words), SENDER).email(told).html
    page = await browser.new_page()
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url))
    for width in WIDTHS:
        await open_at(page, html, width)
        for scheme in SCHEMES:
            await page.emulate_media(color_scheme=scheme)
            await screenshot(page, scheme)
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
            assert await page.evaluate(WIDER_THAN_ITS_PLACE) == []
            assert await page.evaluate(TOO_FAINT, LEAST_CONTRAST) == [], scheme
            buttons = page.get_by_role("link").filter(has_not_text=re.compile("send you|kirim|Unsub|Berhenti"))
            for button in await buttons.all():
                box = await button.bounding_box()
                assert box
                assert box["height"] >= 44, await button.inner_text()
    assert not [url for url in fetched if not url.startswith("about:")]
