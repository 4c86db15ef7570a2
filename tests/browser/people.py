"""People at pages, as tests need them: already known to the house, in a visit, behind a network of any quality."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, Locator, Page, Route, WebSocketRoute, expect

from tests.clients import Guest, Therapist, guest, therapist
from tests.fakes.tcp_proxy import TcpProxy
from tests.house import House

# What every WebSocket of Socket.IO, and nothing else, begins with.
SOCKET_IO = b"GET /socket.io/"

PHONE_SIZE, DESK_SIZE = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@dataclass(slots=True)
class Visit:
    """A booking under way, and both its people as programs; their pages are opened beside them."""

    budi: Guest
    sari: Therapist
    sari_token: str
    booking_id: str

    async def write(self, text: str) -> None:
        """Sari writes from elsewhere."""
        await self.sari.do("message", booking_id=self.booking_id, text=text)


@asynccontextmanager
async def visit(house: House) -> AsyncIterator[Visit]:
    record = await house.add_therapist(name="Sari Dewi")
    token = house.token_of(record)
    async with therapist(house.url, token) as sari, guest(house.url) as budi:
        await budi.search()
        await sari.accept()
        await budi.accept()
        booking = await sari.until_booking("active")
        yield Visit(budi, sari, token, booking["id"])


def network_to(house: House) -> TcpProxy:
    address = urlsplit(house.url)
    assert address.hostname
    assert address.port
    return TcpProxy(address.hostname, address.port)


async def guest_page(browser: Browser, url: str, budi: Guest, **more: Any) -> Page:
    """The chat on Budi's phone, loaded but not awaited; `more` as `_opened` takes it."""
    kept = {"token": budi.token, "conversation_id": budi.session["conversation_id"]}
    return await _opened(browser, url, "/chat", {"janji.guest": kept}, **{"viewport": PHONE_SIZE, **more})


async def therapist_page(browser: Browser, url: str, token: str, **more: Any) -> Page:
    """The console on the therapist's computer, loaded but not awaited; `more` as `_opened` takes it."""
    return await _opened(browser, url, "/therapist", {"janji.therapist": token}, **{"viewport": DESK_SIZE, **more})


async def _opened(
    browser: Browser,
    url: str,
    path: str,
    kept: dict[str, Any],
    *,
    routes: Mapping[str, Callable[[Route], Any]] | None = None,
    sockets: Callable[[WebSocketRoute], Any] | None = None,
    init_script: str | None = None,
    **more: Any,
) -> Page:
    """A page that finds these values kept; `routes` and `sockets` stand before the network, `more` is how it looks."""
    context = await browser.new_context(**{"locale": "en-GB", "color_scheme": "light", **more})
    await context.add_init_script(_keep(url, kept))
    for pattern, handler in (routes or {}).items():
        await context.route(pattern, handler)
    if sockets is not None:
        await context.route_web_socket("**/socket.io/*", sockets)
    if init_script is not None:
        await context.add_init_script(init_script)
    page = await context.new_page()
    await page.goto(f"{url}{path}")
    return page


def _keep(url: str, kept: Mapping[str, Any]) -> str:
    """Before the first page of this browser runs, and never again.

    Playwright's own way (`storage_state`) opens a window for it, which takes as long as the page that is tested.
    """
    values = json.dumps({name: json.dumps(value) for name, value in {**kept, "tests.kept": True}.items()})
    is_first = f"location.origin === {json.dumps(url)} && !localStorage.getItem('tests.kept')"
    return f"if ({is_first}) for (const kept of Object.entries({values})) localStorage.setItem(...kept)"


async def refuse(route: Route) -> None:
    await route.abort()


async def keep_silent(route: Route) -> None:
    """Like a proxy that keeps an answer back until it is complete: nothing is answered, and nothing refused."""


STREAMS = "**/api/sse/bookings?*"
# What networks may do to a page besides forbidding WebSocket, by the rung that is left then.
WITHOUT: Mapping[str, Mapping[str, Callable[[Route], Any]]] = {
    "socket": {},
    "stream": {},
    "poll": {STREAMS: refuse},
}


async def carried_by(page: Page, rung: str) -> None:
    """Wait until this transport carries the page: `socket`, `stream` or `poll`."""
    badge = page.get_by_test_id("connection")
    await expect(badge).to_have_attribute("data-rung", rung)
    await expect(badge).to_have_attribute("data-state", "connected")


async def lose_network(page: Page) -> None:
    """Until the page has noticed: a WebSocket that is open outlives this by a moment."""
    await page.context.set_offline(True)
    await expect(page.get_by_test_id("connection")).to_have_attribute("data-state", "offline")


async def say(page: Page, text: str) -> None:
    await page.get_by_test_id("message-input").fill(text)
    await page.get_by_test_id("send").click()


def messages(page: Page) -> Locator:
    return page.get_by_test_id("message").locator(".bubble-text")
