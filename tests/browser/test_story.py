"""The whole story as two people see it: a guest's phone and a therapist's computer, in one real browser."""

from __future__ import annotations

from aiohttp import web
from playwright.async_api import BrowserContext, Page, expect

from tests.browser.conftest import Screenshot
from tests.clients import JAKARTA, therapist
from tests.house import House

PHONE = "+6281234567001"


async def open_page(context: BrowserContext, url: str) -> tuple[Page, list[str]]:
    """A page, and the errors that it reports."""
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    await page.goto(url)
    return page, errors


async def fill_form(page: Page, *, phone: str = "0812-3456-7890") -> None:
    await page.get_by_test_id("field-address").fill("Jl. Sudirman 1, Jakarta")
    await page.get_by_test_id("place").first.click()
    await page.get_by_test_id("field-name").fill("Budi")
    await page.get_by_test_id("field-phone").fill(phone)


async def sign_in(page: Page, phone: str) -> None:
    await page.get_by_test_id("phone").fill(phone)
    await page.get_by_test_id("request-code").click()
    code = await page.get_by_test_id("demo-code").inner_text()
    await page.get_by_test_id("code").fill("".join(filter(str.isdigit, code)))
    await page.get_by_test_id("sign-in").click()
    await expect(page.get_by_test_id("available")).to_be_visible()


async def test_two_people_book_chat_and_finish_a_visit(
    house: House, phone: BrowserContext, desk: BrowserContext, screenshot: Screenshot
) -> None:
    await house.add_therapist(name="Ayu Lestari", phone=PHONE, is_available=False, km=2)
    guest, guest_errors = await open_page(phone, f"{house.url}/chat")
    await desk.grant_permissions(["geolocation"])
    await desk.set_geolocation({"latitude": JAKARTA[0] + 0.02, "longitude": JAKARTA[1]})
    console, console_errors = await open_page(desk, f"{house.url}/therapist")

    await screenshot(console, "01-sign-in")
    await sign_in(console, PHONE)
    await console.get_by_test_id("available").click()
    await expect(console.get_by_test_id("available")).to_have_attribute("aria-checked", "true")

    await screenshot(guest, "02-welcome")
    await guest.get_by_test_id("book-now").first.click()
    await expect(guest.get_by_test_id("card-service")).to_be_visible()
    await guest.get_by_test_id("duration-90").click()
    await fill_form(guest)
    await screenshot(guest, "03-service")
    await guest.get_by_test_id("confirm").click()
    await expect(guest.get_by_test_id("countdown")).to_be_visible()
    await screenshot(guest, "04-countdown")

    await expect(console.get_by_test_id("offer")).to_be_visible()
    await screenshot(console, "05-offer")
    await console.get_by_test_id("accept-offer").click()
    await expect(guest.get_by_test_id("card-therapist")).to_contain_text("Ayu Lestari")
    await screenshot(guest, "06-therapist")
    await guest.get_by_test_id("accept-therapist").click()
    await expect(guest.get_by_test_id("header-title")).to_have_text("Ayu Lestari")

    await guest.get_by_test_id("message-input").fill("<img src=x onerror=alert(1)> & terima kasih")
    await guest.get_by_test_id("send").click()
    await expect(guest.get_by_test_id("message")).to_have_attribute("data-state", "sent")
    await expect(console.get_by_test_id("message")).to_contain_text("<img src=x onerror=alert(1)> & terima kasih")
    await console.get_by_test_id("message-input").fill("Baik, saya berangkat.")
    await console.get_by_test_id("send").click()
    await expect(guest.get_by_text("Baik, saya berangkat.", exact=True)).to_be_visible()
    await screenshot(guest, "07-active")
    await screenshot(console, "08-room")

    for step, line in (("on_the_way", "on the way"), ("arrived", "arrived"), ("completed", "completed")):
        await console.get_by_test_id(f"progress-{step}").click()
        await expect(guest.get_by_test_id("system-line").last).to_contain_text(line)
    await expect(guest.get_by_test_id("book-now").first).to_be_visible()
    await screenshot(guest, "09-completed")
    await guest.get_by_test_id("stars-4").click()
    await guest.get_by_test_id("field-comment").fill("Tangan yang tenang.")
    await guest.get_by_test_id("rate").click()
    await expect(guest.get_by_test_id("card-rating")).to_contain_text("Thank you for your rating!")
    await expect(guest.get_by_test_id("card-rating").get_by_label("4 of 5 stars")).to_be_checked()
    await screenshot(guest, "09-rated")
    await screenshot(console, "10-completed")
    assert guest_errors == []
    assert console_errors == []


async def test_a_reload_shows_the_same_countdown_in_the_language_that_was_chosen(
    house: House, phone: BrowserContext
) -> None:
    guest, _ = await open_page(phone, f"{house.url}/chat")
    await guest.get_by_test_id("book-now").first.click()
    await fill_form(guest)
    await guest.get_by_test_id("confirm").click()
    await expect(guest.get_by_test_id("countdown")).to_be_visible()
    await guest.get_by_test_id("locale-switch").click()
    await expect(guest.get_by_test_id("system-line").first).to_contain_text("Kami sedang")
    before = int(await guest.get_by_test_id("countdown-seconds").inner_text())
    await guest.reload()
    after = int(await guest.get_by_test_id("countdown-seconds").inner_text())
    assert before - 10 <= after <= before
    await guest.get_by_test_id("cancel").first.click()
    await expect(guest.get_by_test_id("countdown")).to_have_count(0)
    await expect(guest.get_by_test_id("book-now").first).to_be_visible()


async def test_a_wrong_phone_number_is_said_at_its_field_and_nothing_else_is_lost(
    house: House, phone: BrowserContext, screenshot: Screenshot
) -> None:
    guest, _ = await open_page(phone, f"{house.url}/chat")
    await guest.get_by_test_id("book-now").first.click()
    await fill_form(guest, phone="0812")
    await guest.get_by_test_id("confirm").click()
    await expect(guest.get_by_test_id("error-phone")).to_be_visible()
    await screenshot(guest, "refused")
    await expect(guest.get_by_test_id("field-name")).to_have_value("Budi")
    await guest.get_by_test_id("field-phone").fill("+62 812 3456 7890")
    await guest.get_by_test_id("confirm").click()
    await expect(guest.get_by_test_id("countdown")).to_be_visible()


async def test_one_script_tag_opens_the_chat_on_any_website(
    house: House, desk: BrowserContext, screenshot: Screenshot
) -> None:
    sari = await house.add_therapist(name="Sari Dewi")

    async def website(_: web.Request) -> web.Response:
        tag = f'<script src="{house.url}/widget.js" data-locale="en" data-color="#7a2f4f" async></script>'
        return web.Response(
            text=f"<!doctype html><title>A hotel</title><h1>A hotel</h1>{tag}", content_type="text/html"
        )

    app = web.Application()
    app.router.add_get("/", website)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        page, _ = await open_page(desk, f"http://localhost:{runner.addresses[0][1]}/")
        await page.get_by_test_id("janji-launcher").click()
        chat = page.frame_locator('[data-testid="janji-frame"]')
        await chat.get_by_test_id("book-now").first.click()
        await fill_form_in(chat)
        async with therapist(house.url, house.token_of(sari)) as console:
            await chat.get_by_test_id("confirm").click()
            offer = await console.until_offer()
            await console.do("accept_offer", offer_id=offer["offer_id"])
            await expect(chat.get_by_test_id("card-therapist")).to_contain_text("Sari Dewi")
            await screenshot(page, "widget")
    finally:
        await runner.cleanup()


async def fill_form_in(chat: object) -> None:
    await fill_form(chat)  # type: ignore[arg-type]  # a frame finds its elements like a page


async def test_the_shop_books_a_therapist_by_name_and_a_service_from_both_menus(
    house: House, phone: BrowserContext, screenshot: Screenshot
) -> None:
    await house.add_therapist(name="Ayu Lestari")
    for area in ("therapist-card", "service-row", "price-cell"):
        shop, errors = await open_page(phone, f"{house.url}/")
        await screenshot(shop, area)
        await shop.get_by_test_id(area).first.get_by_test_id("book").first.click()
        chat = shop.frame_locator('[data-testid="janji-frame"]')
        await expect(chat.get_by_test_id("card-service")).to_contain_text("Balinese massage")
        if area == "therapist-card":
            await expect(chat.get_by_test_id("card-service")).to_contain_text("Ayu Lestari")
        assert errors == []
        await shop.close()
