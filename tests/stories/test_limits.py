"""What one person, one address and one token may take from us, on every transport, and what they are told beyond it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest
import redis.asyncio
import socketio
from aiohttp import ClientSession, WSServerHandshakeError

from bot.access.connections import RETURN_AFTER_S
from bot.runtime.embedded import Servers
from tests.clients import PATIENCE_S, Guest, client_id, guest
from tests.fakes.tcp_proxy import TcpProxy
from tests.house import House, house_of, settings_for
from tests.rhythms import SWIFT, paced
from tests.stories.test_transports import bearer, post, sse, visit

pytestmark = pytest.mark.slow

TOO_FAST = "That was a bit fast. Please try again in a moment."


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


@asynccontextmanager
async def narrow(servers: Servers, database: str, **limits: Any) -> AsyncIterator[House]:
    """A house with these limits; those that are not named nobody reaches."""
    async with house_of(settings_for(servers, database, **limits)) as house:
        yield house


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110  # a connection that has ended has no event of ours
            await asyncio.sleep(0.01)


async def session(http: ClientSession, house: House, token: str | None = None, **headers: str) -> int:
    body = {"token": token} if token else {}
    async with http.post(f"{house.url}/api/guest/session", json=body, headers=headers) as response:
        return response.status


# --- how often --------------------------------------------------------------------------------------------------------


async def test_who_sends_too_fast_is_told_so_and_when_to_go_on_by_every_transport(
    servers: Servers, database: str, http: ClientSession
) -> None:
    async with narrow(servers, database, limit_commands_per_token="1/m:3") as house, guest(house.url) as budi:
        ws_url = f"{house.url}/ws/bookings?locale=en"
        async with http.ws_connect(ws_url, headers=bearer(budi.token)) as socket:
            assert (await socket.receive_json(timeout=PATIENCE_S))["start"] is True
            for _ in range(3):
                await budi.send("cancel")
            by_socket_io = (await budi.send("cancel"))["error"]
            await socket.send_json({"event": "cancel", "data": {"client_id": "ws-1"}})
            by_websocket = await socket.receive_json(timeout=PATIENCE_S)
        url = f"{house.url}/api/guest/cancel?locale=en"
        async with http.post(url, json={"client_id": client_id()}, headers=bearer(budi.token)) as response:
            by_http = (await response.json())["error"]
            assert response.status == 429
            assert 55 <= int(response.headers["Retry-After"]) <= 60
        assert by_websocket["ack"] == "ws-1"
        for error in (by_socket_io, by_websocket["error"], by_http):
            assert (error["code"], error["message"]) == ("too_many_requests", TOO_FAST)
            assert 55 <= error["retry_after_s"] <= 60
        assert house.services.limits.refused == {"commands": 3}


async def test_messages_commands_and_signals_do_not_use_up_each_other(
    servers: Servers, database: str, http: ClientSession
) -> None:
    async with (
        narrow(servers, database, limit_messages_per_token="1/h:2") as house,
        visit(house) as (budi, console, booking_id),
    ):
        assert [(await budi.send("message", text="hello"))["ok"] for _ in range(3)] == [True, True, False]
        await console.do("message", booking_id=booking_id, text="not yours")
        assert (await budi.send("cancel"))["ok"]


async def test_people_of_one_address_share_its_limit_and_others_do_not(
    servers: Servers, database: str, http: ClientSession
) -> None:
    async with narrow(servers, database, limit_connects_per_address="1/h:2", trust_proxy=True) as house:
        assert [await session(http, house) for _ in range(3)] == [200, 200, 429]
        assert await session(http, house, **{"X-Forwarded-For": "203.0.113.9"}) == 200


@pytest.mark.parametrize("trust_proxy", [True, False])
async def test_a_made_up_address_does_not_change_whose_limit_counts(
    servers: Servers, database: str, http: ClientSession, trust_proxy: bool
) -> None:
    """AT6.6: what a client writes stands before the address that the router appends, or where no router is, alone."""
    limits = {"limit_connects_per_address": "1/h:2", "trust_proxy": trust_proxy}
    async with narrow(servers, database, **limits) as house:
        seen = ", 198.51.100.66" if trust_proxy else ""
        forged = [{"X-Forwarded-For": f"203.0.113.{number}{seen}"} for number in range(4)]
        assert [await session(http, house, **headers) for headers in forged] == [200, 200, 429, 429]


async def test_a_token_connects_so_often_on_all_transports_and_processes_together(
    servers: Servers, database: str, http: ClientSession
) -> None:
    # Redis is there, and is given the time that it needs on a busy machine.
    rhythms = paced(SWIFT, limits={"taken_within_s": PATIENCE_S})
    limits = {"limit_connects_per_token": "1/m:3", "rhythms": rhythms}
    async with narrow(servers, database, **limits) as one, narrow(servers, database, **limits) as other:
        async with guest(one.url) as budi:
            token = budi.token
        assert [await session(http, each, token) for each in (one, other, one, other)] == [200, 200, 200, 429]
        late = Guest(other.url)
        with pytest.raises(socketio.exceptions.ConnectionError):
            await late.sio.connect(
                late.url, namespaces=["/guest"], auth={"token": token, "locale": "en"}, transports=["websocket"]
            )
        assert late.refused is not None
        error = late.refused["data"]
        assert (error["code"], error["message"]) == ("too_many_requests", TOO_FAST)
        assert 50 <= error["retry_after_s"] <= 60
        await late.close()


async def test_streams_polls_and_tickets_are_limited_together(
    servers: Servers, database: str, http: ClientSession
) -> None:
    async with narrow(servers, database, limit_streams_per_token="1/h:4") as house:
        token = house.tokens.sign("guest", "c_somebody")
        status, answer = await post(http, f"{house.url}/api/ticket", token)
        assert status == 200
        await _poll_at_once(http, house, token)
        async with sse(http, f"{house.url}/api/sse/bookings", token):
            pass
        async with http.ws_connect(f"{house.url}/ws/bookings", headers=bearer(token)):
            pass
        for path in ("api/poll/bookings", "api/sse/bookings", "ws/bookings", "api/bookings/realtime"):
            async with http.get(f"{house.url}/{path}", headers=bearer(token)) as response:
                assert (response.status, (await response.json())["error"]["code"]) == (429, "too_many_requests")
                assert int(response.headers["Retry-After"]) > 3000
        assert (await post(http, f"{house.url}/api/ticket", token))[0] == 429
        # The ticket was counted when it was asked for.
        async with http.get(f"{house.url}/api/poll/bookings?wait=0&ticket={answer['ticket']}") as response:
            assert response.status == 200


async def test_who_makes_up_tickets_is_limited_by_address(servers: Servers, database: str, http: ClientSession) -> None:
    async with narrow(servers, database, limit_streams_per_address="1/h:2") as house:
        statuses = []
        for _ in range(3):
            async with http.get(f"{house.url}/api/poll/bookings?ticket=made-up") as response:
                statuses.append(response.status)
        assert statuses == [401, 401, 429]


async def test_frames_of_a_plain_websocket_have_their_own_pace(
    servers: Servers, database: str, http: ClientSession
) -> None:
    async with narrow(servers, database, limit_commands_per_connection="1/m:2") as house:
        token = house.tokens.sign("guest", "c_somebody")
        async with http.ws_connect(f"{house.url}/ws/bookings", headers=bearer(token)) as socket:
            assert (await socket.receive_json(timeout=PATIENCE_S))["start"] is True
            codes = []
            for number in range(3):
                await socket.send_json({"event": "cancel", "data": {"client_id": f"ws-{number}"}})
                codes.append((await socket.receive_json(timeout=PATIENCE_S))["error"]["code"])
        assert codes == ["not_now", "not_now", "too_many_requests"]


async def test_a_message_waits_for_nothing_in_redis(servers: Servers, database: str) -> None:
    """Fifty messages are settled in a few batches; each alone would be a round trip."""
    async with (
        narrow(servers, database) as house,
        visit(house) as (budi, _, _),
        redis.asyncio.from_url(servers.redis_url) as courier,
    ):

        async def asked() -> int:
            stats = await courier.info("commandstats")
            return int(stats.get("cmdstat_evalsha", {"calls": 0})["calls"])

        before, settled = await asked(), house.services.limits.settled
        await asyncio.gather(*(budi.do("message", text=f"hello {number}") for number in range(50)))
        await until(lambda: house.services.limits.settled > settled)
        assert await asked() - before < 25


async def test_without_redis_everything_goes_on_within_its_limits(
    servers: Servers, database: str, http: ClientSession
) -> None:
    host, port = str(servers.redis_url).removeprefix("redis://").partition("/")[0].split(":")
    async with TcpProxy(host, int(port)) as line:
        limits = {"redis_url": f"redis://127.0.0.1:{line.port}/0", "limit_connects_per_address": "1/h:5"}
        async with narrow(servers, database, **limits) as house:
            assert await session(http, house) == 200
            line.freeze()
            loop = asyncio.get_running_loop()
            for _ in range(4):
                started_at = loop.time()
                assert await session(http, house) == 200
                assert loop.time() - started_at < 1.0
            assert await session(http, house) == 429
            assert house.services.limits.decided_alone >= 4


# --- how many at once -------------------------------------------------------------------------------------------------


async def test_sockets_and_streams_of_one_address_are_counted_and_one_too_many_is_refused(
    servers: Servers, database: str, http: ClientSession
) -> None:
    async with narrow(servers, database, connections_per_address=3) as house, AsyncExitStack() as stack:
        token, silent = house.tokens.sign("guest", "c_somebody"), f"{house.url}/socket.io/?EIO=4&transport=websocket"
        nobody_yet = await http.ws_connect(silent)
        await stack.enter_async_context(sse(http, f"{house.url}/api/sse/bookings", token))
        await stack.enter_async_context(guest(house.url))
        with pytest.raises(WSServerHandshakeError) as refused:
            await http.ws_connect(silent)
        assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "30")  # type: ignore[index]
        for path in ("api/sse/bookings?locale=en", "ws/bookings?locale=en", "api/poll/bookings?locale=en"):
            async with http.get(f"{house.url}/{path}", headers=bearer(token)) as response:
                error = (await response.json())["error"]
            assert (response.status, error["code"], error["retry_after_s"]) == (429, "too_many_requests", 30)
            assert error["message"] == "Too many connections are open from your network. Please try again later."
        assert house.services.connections.refused == 4
        await nobody_yet.close()
        async with asyncio.timeout(PATIENCE_S):
            while await again(http, silent) == 429:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def again(http: ClientSession, url: str) -> int:
    try:
        async with http.ws_connect(url):
            return 101
    except WSServerHandshakeError as error:
        return error.status


async def test_the_oldest_connection_of_a_token_gives_way_to_the_newest(
    servers: Servers, database: str, http: ClientSession
) -> None:
    async with narrow(servers, database, connections_per_token=1) as house, AsyncExitStack() as stack:
        budi = await stack.enter_async_context(guest(house.url))
        stream = await stack.enter_async_context(sse(http, f"{house.url}/api/sse/bookings", budi.token))
        assert (await stream.event())[0] == "start"
        await budi.until_cut_off()
        assert budi.going_away == {"retry_in_ms": RETURN_AFTER_S * 1000}
        socket = await stack.enter_async_context(
            http.ws_connect(f"{house.url}/ws/bookings", headers=bearer(budi.token))
        )
        assert (await socket.receive_json(timeout=PATIENCE_S))["start"] is True
        assert (await stream.event())[::2] == ("going_away", {"retry_in_ms": RETURN_AFTER_S * 1000})
        poll = asyncio.create_task(_poll(http, house, budi.token))
        moving = await socket.receive_json(timeout=PATIENCE_S)
        assert moving == {"signal": "going_away", "data": {"retry_in_ms": RETURN_AFTER_S * 1000}}
        closed = await socket.receive(timeout=PATIENCE_S)
        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, aiohttp.WSCloseCode.TRY_AGAIN_LATER)
        async with guest(house.url, token=budi.token):
            assert await asyncio.wait_for(poll, PATIENCE_S) == []
        await guests_of_others_stay(house)
        assert house.services.connections.gave_way == 4


async def _poll(http: ClientSession, house: House, token: str) -> list[Any]:
    async with http.get(f"{house.url}/api/poll/bookings?since=0&wait=20", headers=bearer(token)) as response:
        entries: list[Any] = (await response.json())["entries"]
        return entries


async def guests_of_others_stay(house: House) -> None:
    async with guest(house.url) as ani, guest(house.url) as joko:
        assert (await ani.refusal("cancel"), await joko.refusal("cancel")) == ("not_now", "not_now")


async def test_connections_that_ended_count_no_more(servers: Servers, database: str, http: ClientSession) -> None:
    async with narrow(servers, database, connections_per_token=2) as house:
        async with guest(house.url) as budi:
            for _ in range(5):
                await _poll_at_once(http, house, budi.token)
                async with guest(house.url, token=budi.token):
                    pass
                await until(lambda: len(house.services.connections) == 1)
            assert not budi.is_cut_off
        await until(lambda: len(house.services.connections) == 0)
        assert house.services.connections.gave_way == 0


async def _poll_at_once(http: ClientSession, house: House, token: str) -> None:
    async with http.get(f"{house.url}/api/poll/bookings?wait=0", headers=bearer(token)) as response:
        assert response.status == 200


# --- settings of the sockets ------------------------------------------------------------------------------------------


async def test_the_sockets_are_what_the_settings_say(servers: Servers, database: str, http: ClientSession) -> None:
    settings = {"ping_interval_s": 3, "ping_timeout_s": 2, "largest_frame_bytes": 9000, "compression": True}
    async with narrow(servers, database, **settings) as house:
        url = f"{house.url}/socket.io/?EIO=4&transport=websocket"
        async with http.ws_connect(url, compress=15) as socket:
            opened = orjson.loads((await socket.receive_str(timeout=PATIENCE_S))[1:])
            assert (opened["pingInterval"], opened["pingTimeout"], opened["maxPayload"]) == (3000, 2000, 9000)
            assert socket.compress == 15
            await socket.send_str("4" + "x" * 9100)
            assert (await socket.receive(timeout=PATIENCE_S)).data == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
        token = house.tokens.sign("guest", "c_somebody")
        async with http.ws_connect(f"{house.url}/ws/bookings", headers=bearer(token)) as socket:
            await socket.receive_json(timeout=PATIENCE_S)
            await socket.send_str("x" * 9001)
            assert (await socket.receive(timeout=PATIENCE_S)).data == aiohttp.WSCloseCode.MESSAGE_TOO_BIG


async def test_polling_is_for_those_who_ask_for_it(servers: Servers, database: str, http: ClientSession) -> None:
    for transports, status in ((("websocket",), 400), (("websocket", "polling"), 200)):
        async with (
            narrow(servers, database, transports=transports) as house,
            http.get(f"{house.url}/socket.io/?EIO=4&transport=polling") as response,
        ):
            assert response.status == status
