"""A real Chromium for the page tests, and where its screenshots are kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

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


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=_chromium(), args=FLAGS)
        yield chromium
        await chromium.close()


@pytest.fixture
async def phone(browser: Browser) -> BrowserContext:
    """A guest's phone: small, light, in English."""
    return await browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="light", locale="en-GB")


@pytest.fixture
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
