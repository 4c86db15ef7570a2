"""A real Chromium for the page tests, one for all of a run, and where its screenshots are kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Playwright, async_playwright, expect

from bot.runtime.embedded import Servers
from tests.house import House, house_of, settings_for

ARTEFACTS = Path(__file__).parents[2] / "artefacts"
NAMES = ("chromium", "chromium-browser", "google-chrome")
# Suggestions under the address bar, which nobody sees: each window would start a renderer for them, for 1.5 s of CPU.
ADDRESS_BAR = ("WebUIOmniboxPopup", "WebUIOmniboxAimPopup")
# What Playwright switches off by itself: the list of ours takes the place of its own.
OF_PLAYWRIGHT = (
    *("AvoidUnnecessaryBeforeUnloadCheckSync", "DestroyProfileOnBrowserClose", "LensOverlay", "MediaRouter"),
    *("HttpsUpgrades", "HttpsFirstBalancedModeAutoEnable", "PaintHolding", "ThirdPartyStoragePartitioning"),
    *("AvoidCorsURLLoaderRestartOnRedirect", "OptimizationHints", "NetworkTimeServiceQuerying", "AimEnabled"),
    "PreconnectToSearch",
)
# Nothing but the pages under test is fetched; a container's root has no sandbox to offer.
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking"),
    f"--disable-features={','.join((*OF_PLAYWRIGHT, *ADDRESS_BAR))}",
]

# How long a page may take before a test says what it shows instead; no assertion about speed.
expect.set_options(timeout=20_000)

Screenshot = Callable[[Page, str], Awaitable[None]]


def _chromium() -> str | None:
    """The Chromium that `make test` has found, or one on the PATH; None lets Playwright use its own download."""
    return os.environ.get("JANJI_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What Playwright makes belongs to the loop that made it, so that all page tests run on one."""
    for item in items:
        if Path(__file__).parent in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


class Chromium:
    """It takes seconds to start, and its contexts know nothing of each other; a crashed one is replaced."""

    def __init__(self, playwright: Playwright) -> None:
        self._playwright = playwright
        self._running: Browser | None = None

    async def running(self) -> Browser:
        if self._running is None or not self._running.is_connected():
            self._running = await self.another()
        return self._running

    async def another(self) -> Browser:
        return await self._playwright.chromium.launch(executable_path=_chromium(), args=FLAGS)

    async def close(self) -> None:
        if self._running is not None:
            await self._running.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def chromium() -> AsyncIterator[Chromium]:
    async with async_playwright() as playwright:
        chromium = Chromium(playwright)
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(loop_scope="session")
async def browser(chromium: Chromium) -> AsyncIterator[Browser]:
    """Without any page; what a test opens is closed after it."""
    browser = await chromium.running()
    yield browser
    for context in browser.contexts:
        await context.close()


@pytest.fixture
def particulars() -> dict[str, Any]:
    """The settings that the house of a test module has instead of those people get."""
    return {}


@pytest_asyncio.fixture(loop_scope="session")
async def house(servers: Servers, database: str, particulars: dict[str, Any]) -> AsyncIterator[House]:
    async with house_of(settings_for(servers, database, **particulars)) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def phone(browser: Browser) -> BrowserContext:
    """A guest's phone: small, light, in English."""
    return await browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="light", locale="en-GB")


@pytest_asyncio.fixture(loop_scope="session")
async def desk(browser: Browser) -> BrowserContext:
    """A computer: wide, dark, in English."""
    return await browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="dark", locale="en-GB")


@pytest.fixture
def screenshot(request: pytest.FixtureRequest) -> Screenshot:
    """Keep what a page looks like, under the test's name; nothing compares it, people look at it."""
    folder = ARTEFACTS / request.node.name

    async def take(page: Page, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=folder / f"{name}-{page.viewport_size['width'] if page.viewport_size else 0}.png")

    return take
