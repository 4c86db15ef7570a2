"""Our widget on websites as they are: their themes, replaced bodies, browsers that keep nothing for a frame."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, FrameLocator, Page, expect

from tests.browser.conftest import Screenshot
from tests.browser.test_story import fill_form_in
from tests.clients import therapist
from tests.house import House

pytestmark = pytest.mark.slow

# As shops and page builders have them.
HOSTILE = {
    "what is empty is hidden": "div:empty, :empty { display: none }",
    "everything is moved": "div, body > *, html > * { transform: translateX(-2000px) !important }",
    "everything is hidden": "html > *:not(head, body), body > * { display: none !important; visibility: hidden }",
    "nothing is seen through": "* { opacity: 0 !important; filter: blur(9px) !important }",
    "nothing is pressed": "* { pointer-events: none !important; position: static !important }",
    "everything is small": "* { width: 0 !important; max-height: 0 !important; overflow: hidden !important }",
}
# What Firefox does to a frame on another website where third parties may keep nothing.
KEEPS_NOTHING = """
if (window !== window.top) {
  const refuse = () => { throw new DOMException("The operation is insecure.", "SecurityError"); };
  for (const name of ["localStorage", "sessionStorage", "indexedDB", "caches"])
    Object.defineProperty(window, name, { get: refuse });
  Object.defineProperty(Navigator.prototype, "serviceWorker", { get: refuse });
  Object.defineProperty(Notification, "permission", { get: refuse });
}
"""

Website = Callable[[str], Awaitable[str]]


@pytest_asyncio.fixture(loop_scope="session")
async def website(house: House) -> AsyncIterator[Website]:
    """`await website(head)` is the address of a website of somebody else that has our script tag."""
    async with AsyncExitStack() as stack:

        async def serve(head: str) -> str:
            return await stack.enter_async_context(served(house.url, head))

        yield serve


@asynccontextmanager
async def served(origin: str, head: str) -> AsyncIterator[str]:
    tag = f'<script src="{origin}/widget.js" data-locale="en" async></script>'
    page = f"<!doctype html><title>A hotel</title>{head}<body><h1>A hotel</h1>{tag}</body>"

    async def show(_: web.Request) -> web.Response:
        return web.Response(text=page, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", show)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://localhost:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def chat_in(page: Page) -> FrameLocator:
    return page.frame_locator('[data-testid="janji-frame"]')


async def opens(page: Page) -> None:
    """The launcher is seen where it belongs, and a press on it opens the chat."""
    launcher = page.get_by_test_id("janji-launcher")
    await expect(launcher).to_be_in_viewport()
    box = await launcher.bounding_box()
    assert box is not None
    assert page.viewport_size is not None
    assert box["height"] >= 44
    assert page.viewport_size["width"] - box["x"] - box["width"] < 40
    assert page.viewport_size["height"] - box["y"] - box["height"] < 40
    await launcher.click()
    await expect(chat_in(page).get_by_test_id("book-now").first).to_be_in_viewport()


@pytest.mark.parametrize("theme", HOSTILE)
async def test_the_widget_is_seen_and_in_its_place_whatever_a_theme_says(
    website: Website, desk: BrowserContext, screenshot: Screenshot, theme: str
) -> None:
    page = await desk.new_page()
    await page.goto(await website(f"<style>{HOSTILE[theme]}</style>"))
    await opens(page)
    await screenshot(page, "open")


@pytest.mark.parametrize(
    "change",
    [
        "document.body.replaceWith(document.createElement('body'))",
        "document.body.innerHTML = '<h1>Another page</h1>'",
        "document.documentElement.innerHTML = '<head></head><body><h1>Another page</h1></body>'",
        "document.querySelector('[data-janji]').remove()",
    ],
)
async def test_the_widget_outlives_a_website_that_goes_from_page_to_page_by_itself(
    website: Website, desk: BrowserContext, change: str
) -> None:
    page = await desk.new_page()
    await page.goto(await website(""))
    await opens(page)
    await page.evaluate("window.Janji.close()")
    await page.evaluate(change)
    await opens(page)
    assert await page.locator("[data-janji]").count() == 1


async def test_a_visit_survives_a_reload_where_the_browser_keeps_nothing_for_a_frame(
    house: House, website: Website, browser: Browser
) -> None:
    """A stranger in an empty chat came back, and the visit went on without its guest."""
    sari = await house.add_therapist(name="Sari Dewi")
    context = await browser.new_context(viewport={"width": 390, "height": 844}, locale="en-GB")
    await context.add_init_script(KEEPS_NOTHING)
    page = await context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    address = await website("")
    await page.goto(address)
    await page.get_by_test_id("janji-launcher").click()
    chat = chat_in(page)
    await chat.get_by_test_id("book-now").first.click()
    await fill_form_in(chat)
    async with therapist(house.url, house.token_of(sari)) as console:
        await chat.get_by_test_id("confirm").click()
        await console.accept()
        await chat.get_by_test_id("accept-therapist").click()
        await console.until_booking("active")
        await page.reload()
        await page.get_by_test_id("janji-launcher").click()
        await expect(chat.get_by_test_id("message-input")).to_be_visible()
        await chat.get_by_test_id("message-input").fill("I am still here")
        await chat.get_by_test_id("send").click()
        await console.until(lambda: bool(console.of_type("message")), "what the guest writes after the reload")
    assert errors == []


async def test_a_website_is_told_nothing_of_a_guest_whose_browser_keeps_it_itself(
    website: Website, desk: BrowserContext
) -> None:
    page = await desk.new_page()
    # Another port of the same site: to another site's frame this Chromium gives nothing to keep.
    await page.goto((await website("")).replace("localhost", "127.0.0.1"))
    await opens(page)
    assert await page.evaluate("Object.keys(localStorage)") == ["janji.used"]
