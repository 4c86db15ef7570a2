"""Who has gone leaves nothing: what a connection was made of is freed with it, and does not wait for the collector."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from socket import SHUT_RDWR

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, web

from bot.feeds.feed import Following
from bot.runtime.embedded import Servers
from bot.web.sessions.attendance import Attendance
from bot.web.sessions.guest import GuestCommands
from bot.web.socketio.connection import Connection
from bot.web.socketio.gate import Client, Session
from bot.web.socketio.readers import Reader
from tests.agreement import eventually
from tests.clients import PATIENCE_S, guest, therapist
from tests.house import House, house_of, settings_for
from tests.rhythms import SWIFT, paced

pytestmark = pytest.mark.slow

MADE_FOR_ONE = (
    *(Attendance, Client, Connection, Following, GuestCommands, Reader, Session),
    *(web.Request, web.StreamResponse),
)
TIMES = 3
SOCKET_IO = "/socket.io/?EIO=4&transport=websocket"

Visitor = Callable[[House, ClientSession], Awaitable[None]]


def there_are() -> Counter[str]:
    """How many there are of what is made for one connection or one request."""
    return Counter(type(each).__name__ for each in gc.get_objects() if issubclass(type(each), MADE_FOR_ONE))


# Who has gone is noticed soon.
PROMPT = paced(SWIFT, streams={"heartbeat_s": 0.1, "between_polls_s": 0.1})


@pytest.fixture
async def house(servers: Servers, database: str) -> AsyncIterator[House]:
    async with house_of(settings_for(servers, database, rhythms=PROMPT)) as running:
        yield running


@pytest.fixture
def no_collector() -> Iterator[None]:
    """What there is already counts no more, and the collector does nothing until the end."""
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.enable()
    gc.unfreeze()


async def token_of_a_guest(http: ClientSession) -> dict[str, str]:
    async with http.post("/api/guest/session", json={}) as response:
        session = await response.json()
    return {"Authorization": f"Bearer {session['token']}"}


async def a_guest_who_books_and_leaves(house: House, http: ClientSession) -> None:
    sari = await house.add_therapist()
    async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
        await budi.search()
        await console.accept()
        await budi.accept()
        await console.until_booking("active")
        await budi.do("message", text="Halo")
        await budi.do("cancel")
        await console.until_booking("cancelled")


async def die(socket: ClientWebSocketResponse) -> None:
    """Without a goodbye."""
    socket.get_extra_info("socket").shutdown(SHUT_RDWR)
    await socket.close()


async def a_guest_whose_phone_dies(house: House, http: ClientSession) -> None:
    socket = await http.ws_connect(SOCKET_IO)
    await socket.send_str("40/guest,")
    while "session" not in await socket.receive_str(timeout=PATIENCE_S):
        pass
    await die(socket)


async def somebody_who_is_refused(house: House, http: ClientSession) -> None:
    async with http.ws_connect(SOCKET_IO) as socket:
        await socket.send_str('40/therapist,{"token":"mine"}')
        while not (await socket.receive(timeout=PATIENCE_S)).type.name.startswith("CLOS"):
            pass


async def a_reader_of_a_stream(house: House, http: ClientSession) -> None:
    async with http.get("/api/sse/bookings", headers=await token_of_a_guest(http)) as response:
        await response.content.readline()


async def a_reader_who_polls(house: House, http: ClientSession) -> None:
    headers = await token_of_a_guest(http)
    async with http.get("/api/poll/bookings", params={"wait": "1"}, headers=headers) as response:
        await response.read()


async def a_plain_websocket(house: House, http: ClientSession) -> None:
    async with http.ws_connect("/ws/bookings", headers=await token_of_a_guest(http)) as socket:
        await socket.receive(timeout=PATIENCE_S)


async def a_plain_websocket_that_breaks(house: House, http: ClientSession) -> None:
    socket = await http.ws_connect("/ws/bookings", headers=await token_of_a_guest(http))
    await socket.receive(timeout=PATIENCE_S)
    await die(socket)


async def somebody_who_writes_by_http(house: House, http: ClientSession) -> None:
    headers = await token_of_a_guest(http)
    for command in ("book", "cancel", "message"):
        async with http.post(f"/api/guest/{command}", json={"client_id": command}, headers=headers) as response:
            await response.read()


@pytest.mark.parametrize(
    "visitor",
    [
        a_guest_who_books_and_leaves,
        a_guest_whose_phone_dies,
        somebody_who_is_refused,
        a_reader_of_a_stream,
        a_reader_who_polls,
        a_plain_websocket,
        a_plain_websocket_that_breaks,
        somebody_who_writes_by_http,
    ],
)
async def test_who_has_gone_is_freed_at_once(visitor: Visitor, house: House, no_collector: None) -> None:
    async def nothing_is_left() -> None:
        assert there_are() == {}

    for _ in range(TIMES):
        async with ClientSession(house.url) as http:
            await visitor(house, http)
    await eventually(nothing_is_left)
