"""A listed website's pages may use us on every transport, a stranger's on none, and programs need no website."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientResponse, ClientSession, WSServerHandshakeError

from bot.runtime.embedded import Servers
from bot.web.http.origins import is_welcome
from tests.house import House, house_of, settings_for

SHOP, EVIL, OURS = "https://shop.example", "https://evil.example", "https://massage.example"
FOLLOWED_BY_BROWSERS = ("Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers")


@pytest.fixture
async def house(servers: Servers, database: str) -> AsyncIterator[House]:
    settings = settings_for(servers, database, allowed_origins=(SHOP,), public_url=OURS)
    async with house_of(settings) as running:
        yield running


@pytest.fixture
async def http(house: House) -> AsyncIterator[ClientSession]:
    async with ClientSession(house.url) as session:
        yield session


async def get(http: ClientSession, path: str, headers: dict[str, str]) -> int:
    async with http.get(path, headers=headers) as response:
        return response.status


async def post(http: ClientSession, path: str, headers: dict[str, str]) -> int:
    async with http.post(path, headers=headers, json={}) as response:
        return response.status


async def open_websocket(http: ClientSession, path: str, headers: dict[str, str]) -> int:
    try:
        async with http.ws_connect(path, headers=headers):
            return 101
    except WSServerHandshakeError as error:
        return error.status


Open = Callable[[ClientSession, str, dict[str, str]], Awaitable[int]]
TRANSPORTS: dict[str, tuple[Open, str, int]] = {
    "commands over HTTP": (post, "/api/guest/session", 200),
    "long poll": (get, "/api/poll/bookings?wait=0", 200),
    "server-sent events": (get, "/api/sse/bookings", 200),
    "plain WebSocket": (open_websocket, "/ws/bookings", 101),
    "plain WebSocket by its other name": (open_websocket, "/api/bookings/realtime", 101),
    "Socket.IO": (open_websocket, "/socket.io/?EIO=4&transport=websocket", 101),
}


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_on_every_transport_strangers_pages_are_refused(
    house: House, http: ClientSession, transport: str
) -> None:
    open_it, path, good = TRANSPORTS[transport]
    bearer = {"Authorization": f"Bearer {house.tokens.sign('guest', 'c_somebody')}"}

    async def status(origin: str | None) -> int:
        return await open_it(http, path, {**bearer, **({"Origin": origin} if origin else {})})

    refused = 400 if transport == "Socket.IO" else 403
    strangers = (EVIL, "null", "http://shop.example", f"{SHOP}.evil.example", f"{EVIL}/?{SHOP}", f"x{SHOP}")
    assert {origin: await status(origin) for origin in strangers} == dict.fromkeys(strangers, refused)
    welcome = (None, SHOP, OURS, house.url)
    assert {origin: await status(origin) for origin in welcome} == dict.fromkeys(welcome, good)
    assert house.services.limits.refused.total() == 0


async def preflight(http: ClientSession, origin: str, path: str = "/api/guest/message") -> ClientResponse:
    asks = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    async with http.options(path, headers=asks) as response:
        return response


async def test_a_listed_website_may_send_a_token_and_an_idempotency_key(http: ClientSession) -> None:
    response = await preflight(http, SHOP)
    assert response.status == 204
    assert response.headers["Access-Control-Allow-Origin"] == SHOP
    assert "Origin" in response.headers["Vary"]
    assert "POST" in response.headers["Access-Control-Allow-Methods"]
    allowed = response.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"authorization", "content-type", "idempotency-key"} <= set(allowed)
    assert "Access-Control-Allow-Credentials" not in response.headers


async def test_a_stranger_hears_that_it_may_not_and_its_browser_nothing_else(http: ClientSession) -> None:
    response = await preflight(http, EVIL)
    assert response.status == 403
    assert not set(FOLLOWED_BY_BROWSERS) & set(response.headers)
    async with http.post("/api/guest/session?locale=en", json={}, headers={"Origin": EVIL}) as refused:
        error = (await refused.json())["error"]
    assert (error["code"], error["message"]) == ("forbidden", "This website may not use our service.")
    assert not set(FOLLOWED_BY_BROWSERS) & set(refused.headers)


async def test_a_listed_website_reads_refusals_and_streams_too(house: House, http: ClientSession) -> None:
    bearer = {"Authorization": f"Bearer {house.tokens.sign('guest', 'c_somebody')}"}
    for path, headers, status in (
        ("/api/poll/bookings", {}, 401),
        ("/api/nothing", {}, 404),
        ("/api/sse/bookings", bearer, 200),
    ):
        async with http.get(path, headers={"Origin": SHOP, **headers}) as response:
            assert response.status == status
            assert response.headers["Access-Control-Allow-Origin"] == SHOP
            assert response.headers["Access-Control-Expose-Headers"] == "Retry-After"


async def test_pages_and_their_words_are_for_everybody(http: ClientSession) -> None:
    statuses = {
        path: await get(http, path, {"Origin": EVIL}) for path in ("/", "/chat", "/widget.js", "/words/id.json")
    }
    assert set(statuses.values()) == {200}


async def test_an_option_that_is_no_preflight_is_no_route(http: ClientSession) -> None:
    async with http.options("/api/guest/message", headers={"Origin": SHOP}) as response:
        assert response.status == 404


@pytest.mark.parametrize(
    ("origin", "host", "is_ours"),
    [
        ("https://a.example", "a.example", True),
        ("http://a.example", "a.example", True),
        ("https://a.example:8443", "a.example:8443", True),
        ("https://a.example:8443", "a.example", False),
        ("https://b.example", "a.example", False),
        ("a.example", "a.example", False),
        ("null", "a.example", False),
    ],
)
def test_a_page_is_ours_where_its_host_is_the_one_it_asks(origin: str, host: str, is_ours: bool) -> None:
    assert is_welcome(origin, host, ()) is is_ours


async def test_who_writes_a_second_line_about_the_sender_is_refused_where_lines_are_believed(
    servers: Servers, database: str
) -> None:
    """AT6.6: behind a router that appends to the first line, the last of several is the client's own invention."""
    lines: list[Any] = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-For", "7.7.7.7")]
    for trust_proxy, status in ((True, 422), (False, 200)):
        settings = settings_for(servers, database, trust_proxy=trust_proxy)
        async with house_of(settings) as house, ClientSession(house.url) as http:
            async with http.post("/api/guest/session", json={}, headers=lines) as response:
                assert response.status == status
            async with http.get("/socket.io/?EIO=4&transport=websocket", headers=lines) as response:
                assert response.status == (422 if trust_proxy else 400)
