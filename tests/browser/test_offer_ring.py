"""The ring around the seconds of an offer: how much of the time to answer is left, however long that is."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser

from tests.house import House

pytestmark = pytest.mark.slow

# An offer of so many seconds, asked so long ago (null: it stood before the page was opened): how much of its ring is
# drawn, in hundredths.
DRAWN = """async ([seconds, ago]) => {
  const { OfferList } = await import("/therapist/offers.js");
  const { Clock } = await import("/parts/time.js");
  const now = Date.now();
  const moment = (after) => new Date(now + after * 1000).toISOString();
  const askedAt = () => (ago === null ? undefined : moment(-ago));
  const list = new OfferList({ answer: async () => {}, clock: new Clock(), announce: () => {}, askedAt });
  document.body.append(list.element);
  const booking = { service_name: "Balinese", duration: 60, address: "Jl. Merdeka 1" };
  const words = { guest: { name: "Budi" }, earnings_text: "Rp 100" };
  const offer = { offer_id: "o_1", booking, ...words, respond_by: moment(seconds - ago) };
  list.add(offer);
  const rest = list.element.querySelector(".ring-rest");
  return 100 * (1 - Number(rest.getAttribute("stroke-dashoffset")) / Number(rest.getAttribute("stroke-dasharray")));
}"""


@pytest.mark.parametrize(
    ("seconds", "ago", "hundredths"), [(20, 10, 50), (60, 15, 75), (300, 240, 20), (8, 0, 100), (20, None, 100)]
)
async def test_the_ring_of_an_offer_shows_the_part_of_its_own_time_that_is_left(
    house: House, browser: Browser, seconds: int, ago: int | None, hundredths: int
) -> None:
    page = await browser.new_page()
    await page.goto(f"{house.url}/therapist")
    assert await page.evaluate(DRAWN, [seconds, ago]) == pytest.approx(hundredths, abs=3)
