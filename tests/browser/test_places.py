"""A search starts from where the guest has said that they are, and from nowhere else."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import Screenshot
from tests.clients import therapist
from tests.house import House

pytestmark = pytest.mark.slow

KUTA = (-8.7233, 115.1723)


@pytest.fixture
def particulars() -> dict[str, object]:
    """As in production: no address of a demonstration stands there."""
    return {"demo": False}


async def open_form(context: BrowserContext, house: House) -> Page:
    page = await context.new_page()
    await page.goto(f"{house.url}/chat")
    await page.get_by_test_id("book-now").first.click()
    await expect(page.get_by_test_id("field-address")).to_be_visible()
    return page


async def fill_in(page: Page, address: str) -> None:
    await page.get_by_test_id("field-address").fill(address)
    await page.get_by_test_id("field-name").fill("Budi")
    await page.get_by_test_id("field-phone").fill("0812-3456-7890")


async def test_a_guest_in_kuta_is_searched_for_in_kuta_and_again_the_next_time(
    house: House, phone: BrowserContext, screenshot: Screenshot
) -> None:
    """Without the device's location every search began in Jakarta, 960 km away, and promised somebody in 20 minutes."""
    await house.add_therapist(name="Jakarta")
    ketut = await house.add_therapist(name="Ketut", latitude=KUTA[0] + 0.01, longitude=KUTA[1])
    page = await open_form(phone, house)
    async with therapist(house.url, house.token_of(ketut)) as console:
        await fill_in(page, "Jl. Legian 88, Kuta, Bali")
        await page.get_by_test_id("confirm").click()
        await expect(page.get_by_test_id("error-address")).to_contain_text("Choose the place on the list")
        await screenshot(page, "asked")
        await page.get_by_test_id("place").filter(has_text="Kuta, Bali").click()
        await expect(page.get_by_test_id("place-note")).to_have_text("We look for therapists near Kuta, Bali.")
        await expect(page.get_by_test_id("error-address")).to_be_empty()
        await screenshot(page, "confirmed")
        await page.get_by_test_id("confirm").click()
        await expect(page.get_by_test_id("countdown")).to_be_visible()
        first = await console.until_offer()
        await page.get_by_test_id("cancel").first.click()
        await console.until_closed(first["offer_id"])

        await page.get_by_test_id("book-now").first.click()
        await expect(page.get_by_test_id("field-address")).to_have_value("Jl. Legian 88, Kuta, Bali")
        await expect(page.get_by_test_id("place-note")).to_contain_text("near")
        await page.get_by_test_id("confirm").click()
        again = await console.until_offer()
        assert again["distance_km"] < 5


async def test_a_text_that_was_changed_asks_again(house: House, phone: BrowserContext) -> None:
    page = await open_form(phone, house)
    await fill_in(page, "Kuta, Bali")
    await page.get_by_test_id("place").filter(has_text="Kuta, Bali").click()
    await page.get_by_test_id("field-address").fill("Kemang, Jakarta")
    await page.get_by_test_id("confirm").click()
    await expect(page.get_by_test_id("error-address")).to_contain_text("Choose the place on the list")
    await page.get_by_test_id("place").filter(has_text="Kemang, Jakarta").click()
    await page.get_by_test_id("field-address").fill("Kemang, Jakarta, room 4")
    await page.get_by_test_id("place").filter(has_text="Still near Kemang, Jakarta").click()
    await page.get_by_test_id("confirm").click()
    await expect(page.get_by_test_id("card-service")).to_have_count(0)


async def test_the_location_of_the_device_is_a_point_that_was_confirmed(house: House, browser: Browser) -> None:
    context = await browser.new_context(
        locale="en-GB", permissions=["geolocation"], geolocation={"latitude": KUTA[0], "longitude": KUTA[1]}
    )
    ketut = await house.add_therapist(name="Ketut", latitude=KUTA[0] + 0.01, longitude=KUTA[1])
    async with therapist(house.url, house.token_of(ketut)) as console:
        page = await open_form(context, house)
        await fill_in(page, "Villa Bunga, gate 2")
        await page.get_by_test_id("use-location").click()
        await expect(page.get_by_test_id("place-note")).to_contain_text("where you are now")
        await page.get_by_test_id("confirm").click()
        assert (await console.until_offer())["distance_km"] < 5
