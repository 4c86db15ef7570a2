"""The status page in a real browser: what it says when all is well, without Redis, and while nobody reloads it."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from bot.runtime.embedded import Servers
from bot.runtime.engines import Valkey
from tests.agreement import eventually
from tests.browser.conftest import Screenshot
from tests.frail import frail
from tests.house import house_of, settings_for

pytestmark = pytest.mark.slow

WIDTHS = (390, 1280)
SCHEMES = ("light", "dark")


async def test_the_page_says_that_redis_is_away_and_follows_when_it_comes_back(
    servers: Servers, database: str, tmp_path: Path, browser: Browser, screenshot: Screenshot
) -> None:
    async with frail(Valkey(), tmp_path) as valkey:
        valkey.kill()
        async with house_of(settings_for(servers, database, redis_url=valkey.address)) as house:
            page = await browser.new_page(locale="en-GB")
            await page.clock.install()
            await page.goto(f"{house.url}/status")
            await expect(page).to_have_title("Some things are slower than usual – Janji")
            redis = page.locator('[data-part="redis"]')
            await expect(redis).to_contain_text("Away for")
            await expect(redis.locator(".status-word")).to_have_text("Away")
            for scheme, width in product(SCHEMES, WIDTHS):
                await page.emulate_media(color_scheme=scheme)
                await page.set_viewport_size({"width": width, "height": 900})
                await screenshot(page, f"without-redis-{scheme}")
            await valkey.start()

            async def is_well_again() -> None:
                await page.clock.fast_forward(10_000)
                assert await redis.get_attribute("data-state") == "ok"

            await eventually(is_well_again)
            await expect(redis).to_contain_text("What is written arrives at once.")
            await page.get_by_role("link", name="ID").click()
            await expect(page.locator("html")).to_have_attribute("lang", "id")
            await expect(redis).to_contain_text("Tulisan langsung tiba.")
            await screenshot(page, "indonesian")
