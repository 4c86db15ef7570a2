"""What people type arrives whole and when they mean it, and what they have read is read in every tab."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.people import carried_by, guest_page, messages, visit
from tests.house import House

pytestmark = pytest.mark.slow

# As Safari sends the Enter that ends a composition: the composition is over already, and the key is somebody else's.
ENTER_OF_A_COMPOSITION = """(input) => {
  input.dispatchEvent(new CompositionEvent("compositionend", { bubbles: true, data: "わたし" }));
  const enter = new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true });
  Object.defineProperty(enter, "keyCode", { value: 229 });
  input.dispatchEvent(enter);
}"""


async def paste(page: Page, text: str) -> None:
    await page.get_by_test_id("message-input").focus()
    await page.evaluate("(text) => document.execCommand('insertText', false, text)", text)


async def test_the_enter_that_ends_a_composition_sends_nothing(house: House, browser: Browser) -> None:
    async with visit(house) as both:
        chat = await guest_page(browser, house.url, both.budi)
        await carried_by(chat, "socket")
        composer = chat.get_by_test_id("message-input")
        await composer.fill("わたし")
        await composer.evaluate(ENTER_OF_A_COMPOSITION)
        await expect(composer).to_have_value("わたし")
        await composer.press("Enter")
        await expect(messages(chat)).to_have_text(["わたし"])


async def test_what_is_too_long_is_kept_whole_and_said_to_be_too_long(house: House, browser: Browser) -> None:
    async with visit(house) as both:
        chat = await guest_page(browser, house.url, both.budi)
        await carried_by(chat, "socket")
        composer, problem = chat.get_by_test_id("message-input"), chat.get_by_test_id("too-long")
        await expect(problem).to_be_hidden()
        await paste(chat, "x" * 4500)
        await expect(composer).to_have_value("x" * 4500)
        await expect(problem).to_contain_text("500")
        await composer.press("Enter")
        await expect(messages(chat)).to_have_count(0)
        await composer.fill("x" * 4000)
        await expect(problem).to_be_hidden()
        await composer.press("Enter")
        await expect(messages(chat)).to_have_text(["x" * 4000])


async def test_no_field_of_a_page_cuts_what_is_typed(house: House, browser: Browser) -> None:
    async with visit(house) as both:
        chat = await guest_page(browser, house.url, both.budi)
        await carried_by(chat, "socket")
        assert await chat.locator("[maxlength]").count() == 0


async def test_what_is_read_in_one_tab_is_read_in_the_other(house: House, browser: Browser) -> None:
    async with visit(house) as both:
        first = await guest_page(browser, house.url, both.budi)
        await carried_by(first, "socket")
        second = await first.context.new_page()
        await second.goto(f"{house.url}/chat")
        await carried_by(second, "socket")
        # Chromium shows every window to its tests: here the first one is in the background.
        await first.evaluate(
            "Object.defineProperty(document, 'hidden', { get: () => true, configurable: true });"
            "document.dispatchEvent(new Event('visibilitychange'))"
        )
        await second.evaluate("Object.defineProperty(document, 'hidden', { get: () => true, configurable: true })")
        await both.write("I am on my way")
        await expect(first).to_have_title("(1) Janji")
        await expect(second).to_have_title("(1) Janji")
        await second.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
        await expect(second).to_have_title("Janji")
        await expect(first).to_have_title("Janji")
