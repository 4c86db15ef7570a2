"""Who was too fast sees so on the page, with the time to try again."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import BrowserContext, expect

from bot.runtime.embedded import Servers
from tests.browser.test_story import fill_form, open_page
from tests.house import house_of, settings_for

pytestmark = pytest.mark.slow

NUMBER = "+6281234567001"
COUNTS_DOWN = re.compile(r"You can try again in \d+ seconds\.")


async def test_the_chat_and_the_sign_in_say_when_to_try_again(
    servers: Servers, database: str, phone: BrowserContext, desk: BrowserContext
) -> None:
    limits = {"limit_commands_per_token": "1/m:1", "limit_codes_per_phone_and_address": "1/m:1"}
    async with house_of(settings_for(servers, database, **limits)) as house:
        chat, chat_errors = await open_page(phone, f"{house.url}/chat")
        await chat.get_by_test_id("book-now").first.click()
        await expect(chat.get_by_test_id("card-service")).to_be_visible()
        await fill_form(chat)
        await chat.get_by_test_id("confirm").click()
        await expect(chat.get_by_text("That was a bit fast.")).to_be_visible()
        await expect(chat.get_by_test_id("retry-after")).to_have_text(COUNTS_DOWN)

        console, _ = await open_page(desk, f"{house.url}/therapist")
        await console.get_by_test_id("phone").fill(NUMBER)
        await console.get_by_test_id("request-code").click()
        await expect(console.get_by_test_id("demo-code")).to_be_visible()
        await console.reload()
        await console.get_by_test_id("phone").fill(NUMBER)
        await console.get_by_test_id("request-code").click()
        await expect(console.get_by_text("Too many codes were asked for.")).to_be_visible()
        await expect(console.get_by_test_id("retry-after")).to_have_text(COUNTS_DOWN)
        assert chat_errors == []
