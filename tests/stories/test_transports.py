"""The same feed and the same commands on every transport: what one sends, all others read, by the same numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import ClientSession

from tests.agreement import eventually
from tests.clients import PATIENCE_S, Guest, Therapist, client_id, guest, therapist
from tests.house import House

pytestmark = pytest.mark.slow


class Stream:
    """Server-sent events or frames of a plain WebSocket, as they come."""

    def __init__(self, response: Any) -> None:
        self.response = response
        self.start: dict[str, Any] = {}
        self.name = ""

    async def event(self) -> tuple[str, str, dict[str, Any]]:
        """The next event: its name, its id and its data; comments are passed over."""
        name, number, data = "message", "", ""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                line = (await self.response.content.readline()).decode().rstrip("\n")
                if not line and data:
                    return name, number, orjson.loads(data)
                key, _, value = line.partition(": ")
                name = value if key == "event" else name
                number = value if key == "id" else number
                data = value if key == "data" else data

    async def entries(self, count: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while len(found) < count:
            name, number, data = await self.event()
            if name == "message":
                assert number == str(data["seq"])
                found.append(data)
        return found


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


async def post(http: ClientSession, url: str, token: str | None, **payload: Any) -> tuple[int, dict[str, Any]]:
    headers = bearer(token) if token else {}
    async with http.post(url, json=payload, headers=headers) as response:
        return response.status, await response.json()


@asynccontextmanager
async def sse(http: ClientSession, url: str, token: str, **headers: str) -> AsyncIterator[Stream]:
    async with http.get(url, headers={**bearer(token), **headers}) as response:
        assert response.status == 200, await response.text()
        yield Stream(response)


async def next_frame(socket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    """The next frame of a plain WebSocket that is no signal."""
    while "signal" in (frame := await socket.receive_json(timeout=PATIENCE_S)):
        pass
    return dict(frame)


@asynccontextmanager
async def visit(house: House) -> AsyncIterator[tuple[Guest, Therapist, str]]:
    """A guest and a therapist in an active booking, and its id."""
    sari = await house.add_therapist()
    async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
        await budi.search()
        offer = await console.until_offer()
        await console.do("accept_offer", offer_id=offer["offer_id"])
        await budi.accept()
        booking = await console.until_booking("active")
        await budi.until(lambda: bool(budi.of_type("notification")), "the confirmation")
        yield budi, console, booking["id"]


async def test_a_guest_without_socket_io_books_by_http_and_reads_by_long_poll(
    house: House, http: ClientSession
) -> None:
    status, session = await post(http, f"{house.url}/api/guest/session", None, locale="en")
    assert status == 200
    token, cursor = session["token"], session["last_seq"]
    status, ack = await post(
        http, f"{house.url}/api/guest/book", token, client_id=client_id(), kind="now", source="menu"
    )
    assert (status, ack["state"]) == (200, "confirming")
    seen: list[dict[str, Any]] = []
    while not any(entry["type"] == "card" for entry in seen):
        address = f"{house.url}/api/poll/bookings?since={cursor}&wait=20&locale=en"
        async with http.get(address, headers=bearer(token)) as response:
            page = await response.json()
        seen += page["entries"]
        cursor = page["last_seq"]
    assert [entry["seq"] for entry in seen] == list(range(1, len(seen) + 1))
    assert seen[-1]["data"]["title"] == "Confirm your massage"


async def test_every_transport_reads_the_same_entries_in_the_same_order(house: House, http: ClientSession) -> None:
    async with visit(house) as (budi, console, booking_id):
        start = budi.entries[-1]["seq"]
        sse_url = f"{house.url}/api/sse/bookings?since={start}&locale=en"
        ws_url = f"{house.url}/ws/bookings?since={start}&locale=en"
        async with (
            sse(http, sse_url, budi.token) as stream,
            http.ws_connect(ws_url, headers=bearer(budi.token)) as socket,
        ):
            assert (await stream.event())[0] == "start"
            assert (await socket.receive_json(timeout=PATIENCE_S))["start"] is True
            await console.do("message", booking_id=booking_id, text="by socket.io")
            await post(http, f"{house.url}/api/guest/message", budi.token, client_id=client_id(), text="by http")
            await socket.send_json({"event": "message", "data": {"client_id": "ws-1", "text": "by websocket"}})
            frames = [await next_frame(socket) for _ in range(4)]
            acks = [frame for frame in frames if "ack" in frame]
            read_by_socket = [frame for frame in frames if "ack" not in frame]
            assert (acks[0]["ack"], acks[0]["ok"]) == ("ws-1", True)
            read_by_events = await stream.entries(3)
            await budi.until(lambda: len(budi.of_type("message")) == 3, "three messages")
            read_by_client = [entry for entry in budi.entries if entry["seq"] > start]
            async with http.get(
                f"{house.url}/api/poll/bookings?since={start}&wait=0&locale=en", headers=bearer(budi.token)
            ) as response:
                read_by_poll = (await response.json())["entries"]
        assert read_by_events == read_by_socket == read_by_client == read_by_poll
        assert {entry["data"]["text"] for entry in read_by_poll} == {"by socket.io", "by http", "by websocket"}


async def test_a_command_repeated_on_another_transport_gets_its_first_answer_and_is_done_once(
    house: House, http: ClientSession
) -> None:
    async with visit(house) as (budi, _, _):
        first = await budi.do("message", client_id="same", text="once")
        status, again = await post(http, f"{house.url}/api/guest/message", budi.token, client_id="same", text="once")
        assert (status, again) == (200, first)
        status, other = await post(http, f"{house.url}/api/guest/message", budi.token, client_id="same", text="twice")
        assert (status, other["error"]["code"]) == (422, "invalid")
        assert [data["text"] for data in budi.of_type("message")] == ["once"]


async def test_who_comes_back_with_the_last_event_id_misses_nothing(house: House, http: ClientSession) -> None:
    async with visit(house) as (budi, console, booking_id):
        start = budi.entries[-1]["seq"]
        url = f"{house.url}/api/sse/bookings?since={start}"
        async with sse(http, url, budi.token) as stream:
            await console.do("message", booking_id=booking_id, text="one")
            [one] = await stream.entries(1)
        await console.do("message", booking_id=booking_id, text="two")
        async with sse(http, url, budi.token, **{"Last-Event-ID": str(one["seq"])}) as stream:
            [two] = await stream.entries(1)
        assert (two["seq"], two["data"]["text"]) == (one["seq"] + 1, "two")


async def test_a_cursor_beyond_the_feed_is_answered_with_resync_on_every_transport(
    house: House, http: ClientSession
) -> None:
    async with guest(house.url) as budi:
        await budi.book()
        async with http.get(f"{house.url}/api/poll/bookings?since=999", headers=bearer(budi.token)) as response:
            page = await response.json()
        assert page["resync"] is True
        assert [entry["seq"] for entry in page["entries"]] == [1, 2, 3]
        async with sse(http, f"{house.url}/api/sse/bookings?since=999", budi.token) as stream:
            assert (await stream.event())[0] == "resync"
            assert len(await stream.entries(3)) == 3
        async with http.ws_connect(f"{house.url}/ws/bookings?since=999", headers=bearer(budi.token)) as socket:
            assert (await socket.receive_json(timeout=PATIENCE_S))["resync"] is True


async def test_a_ticket_opens_one_stream_once_and_no_token_stands_in_an_address(
    house: House, http: ClientSession
) -> None:
    async with guest(house.url) as budi:
        await budi.book()
        status, answer = await post(http, f"{house.url}/api/ticket", budi.token)
        assert status == 200
        url = f"{house.url}/api/poll/bookings?since=0&ticket={answer['ticket']}"
        async with http.get(url) as response:
            assert [entry["seq"] for entry in (await response.json())["entries"]] == [1, 2, 3]
        async with http.get(url) as response:
            assert response.status == 401
        async with http.get(f"{house.url}/api/poll/bookings?since=0&token={budi.token}") as response:
            assert response.status == 422


async def test_a_feed_of_somebody_else_is_answered_like_one_that_does_not_exist(
    house: House, http: ClientSession
) -> None:
    async with visit(house) as (budi, _, _), guest(house.url) as eve:
        theirs = budi.session["feed"]
        for path in ("api/poll/bookings", "api/sse/bookings", "ws/bookings"):
            for feed in (theirs, "conversation:c_nobody", "therapist:t_nobody", "nonsense"):
                async with http.get(
                    f"{house.url}/{path}", params={"feed": feed, "since": "0"}, headers=bearer(eve.token)
                ) as response:
                    assert (response.status, (await response.json())["error"]["code"]) == (404, "not_found")


async def test_a_therapist_reads_the_room_of_a_visit_and_nothing_after_its_end(
    house: House, http: ClientSession
) -> None:
    async with visit(house) as (budi, console, booking_id):
        token = house.tokens.sign("therapist", console.session["therapist"]["id"])
        room = budi.session["feed"]
        url = f"{house.url}/api/sse/bookings?feed={room}&since=0&locale=en"
        async with sse(http, url, token) as stream:
            [opening] = await stream.entries(1)
            assert opening["data"]["state"] == "active"
            status, ack = await post(
                http,
                f"{house.url}/api/therapist/progress",
                token,
                client_id=client_id(),
                booking_id=booking_id,
                step="completed",
            )
            assert (status, ack["ok"]) == (200, True)
            await budi.until_state("completed")
            await budi.book()
            names = []
            while not names or names[-1] != "end":
                names.append((await stream.event())[0])
        async with http.get(
            f"{house.url}/api/poll/bookings", params={"feed": room, "since": "0"}, headers=bearer(token)
        ) as response:
            entries = (await response.json())["entries"]
        assert entries[0]["seq"] == opening["seq"]
        assert entries[-1]["data"]["state"] == "completed"


@pytest.mark.parametrize(
    ("query", "field"),
    [("since=-1", "since"), ("since=x", "since"), ("wait=21", "wait"), ("wait=nan", "wait"), ("since=1&x=1", "x")],
)
async def test_a_query_that_makes_no_sense_names_its_field(
    house: House, http: ClientSession, query: str, field: str
) -> None:
    token = house.tokens.sign("guest", "c_somebody")
    async with http.get(f"{house.url}/api/poll/bookings?{query}", headers=bearer(token)) as response:
        body = await response.json()
    assert (response.status, body["error"]["code"], list(body["error"]["fields"])) == (422, "invalid", [field])


async def test_a_frame_that_is_no_command_is_answered_and_the_socket_stays(house: House, http: ClientSession) -> None:
    token = house.tokens.sign("guest", "c_somebody")
    async with http.ws_connect(f"{house.url}/ws/bookings", headers=bearer(token)) as socket:
        await socket.receive_json(timeout=PATIENCE_S)
        for text in (
            "nonsense",
            "[]",
            '{"event": 1, "data": {}}',
            '{"event": "message"}',
            '{"event": "x", "data": {}}',
        ):
            await socket.send_str(text)
            answer = await socket.receive_json(timeout=PATIENCE_S)
            assert (answer["ok"], answer["error"]["code"]) == (False, "invalid")
        await socket.send_bytes(b"binary")
        assert (await socket.receive(timeout=PATIENCE_S)).type is aiohttp.WSMsgType.CLOSE


async def test_streams_say_when_to_come_back_when_the_process_is_told_to_stop(
    house: House, http: ClientSession
) -> None:
    token = house.tokens.sign("guest", "c_somebody")
    async with (
        sse(http, f"{house.url}/api/sse/bookings", token) as stream,
        http.ws_connect(f"{house.url}/ws/bookings", headers=bearer(token)) as socket,
    ):
        assert (await stream.event())[0] == "start"
        await socket.receive_json(timeout=PATIENCE_S)
        poll = asyncio.create_task(ask(http, f"{house.url}/api/poll/bookings?since=0&wait=20", token))
        await until_asked(house)
        house.services.stopping.set()
        name, _, notice = await stream.event()
        by_socket = await socket.receive_json(timeout=PATIENCE_S)
        message = await socket.receive(timeout=PATIENCE_S)
        (by_poll,) = (await poll)["signals"]
    assert (message.type, message.data) == (aiohttp.WSMsgType.CLOSE, aiohttp.WSCloseCode.GOING_AWAY)
    assert name == by_socket["signal"] == by_poll["signal"] == "going_away"
    waits_ms = [notice["retry_in_ms"], by_socket["data"]["retry_in_ms"], by_poll["data"]["retry_in_ms"]]
    assert all(0 <= wait_ms <= 4000 for wait_ms in waits_ms)
    assert len(set(waits_ms)) > 1, "everybody would come back at once"


async def ask(http: ClientSession, url: str, token: str) -> dict[str, Any]:
    async with http.get(url, headers=bearer(token)) as response:
        answer: dict[str, Any] = await response.json()
        return answer


async def until_asked(house: House) -> None:
    """Until three readers follow the feed: what a request does has no event that could be awaited."""

    async def is_asked() -> None:
        assert house.services.feeds.readers == 3

    await eventually(is_asked)


async def test_a_process_that_is_about_to_end_opens_no_stream(house: House, http: ClientSession) -> None:
    token = house.tokens.sign("guest", "c_somebody")
    house.services.stopping.set()
    for path in ("api/poll/bookings", "api/sse/bookings", "ws/bookings"):
        async with http.get(f"{house.url}/{path}", headers=bearer(token)) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (503, "unavailable")
            assert int(response.headers["Retry-After"]) > 0
