"""What one side of a visit sees of the other: who is there, who types, what has arrived and what was read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from aiohttp import ClientSession

from bot.runtime.embedded import Servers
from bot.settings.settings import Settings
from bot.store.entries import Entries
from tests.agreement import eventually, until_agreed
from tests.clients import PATIENCE_S, Guest, Therapist, guest, therapist
from tests.fakes.tcp_proxy import TcpProxy
from tests.house import House, house_of, settings_for
from tests.processes import site
from tests.rhythms import SWIFT, paced
from tests.stories.test_transports import bearer, http, post, sse

pytestmark = pytest.mark.slow

__all__ = ["http"]

# Faster than people's, and far enough apart for a busy machine.
QUICK: dict[str, Any] = {"typing_s": 0.6, "presence_grace_s": 2.0, "presence_beat_s": 0.2}


@pytest.fixture
def settings(servers: Servers, database: str) -> Settings:
    # By its heartbeats a stream finds out that nobody reads it any more.
    return settings_for(servers, database, rhythms=paced(SWIFT, streams={"heartbeat_s": 0.1}), **QUICK)


@pytest.fixture
async def one(settings: Settings) -> AsyncIterator[House]:
    async with house_of(settings) as running:
        yield running


@pytest.fixture
async def other(settings: Settings) -> AsyncIterator[House]:
    async with house_of(settings) as running:
        yield running


async def book(budi: Guest, console: Therapist) -> str:
    """From idle to an active visit, and the booking's id."""
    await budi.search()
    offer = await console.until_offer()
    await console.do("accept_offer", offer_id=offer["offer_id"])
    await budi.accept()
    booking = await console.until_booking("active")
    await budi.until_state("active")
    return str(booking["id"])


@asynccontextmanager
async def visit(guests_house: House, therapists_house: House) -> AsyncIterator[tuple[Guest, Therapist, str]]:
    sari = await guests_house.add_therapist()
    token = therapists_house.token_of(sari)
    async with therapist(therapists_house.url, token) as console, guest(guests_house.url) as budi:
        booking_id = await book(budi, console)
        await console.until_told("presence", booking_id=booking_id, guest="online")
        await budi.until_told("presence", therapist="online")
        await until_read(guests_house, budi)
        yield budi, console, booking_id


async def until_read(house: House, budi: Guest) -> None:
    """Until everything that was wanted so far stands on the guest's feed, and the guest has heard the last of it.

    Who asks for what comes after what they have heard would otherwise get a late line before any signal.
    """
    await until_agreed(house.services)
    feed = budi.session["feed"]
    head = (await Entries(house.services.database["entries"]).heads([feed]))[feed]

    async def heard() -> None:
        assert budi.entries[-1]["seq"] == head

    await eventually(heard)


def token_of(house: House, console: Therapist) -> str:
    return house.tokens.sign("therapist", console.session["therapist"]["id"])


# --- typing -----------------------------------------------------------------------------------------------------------


async def test_typing_is_seen_by_the_other_side_in_another_process_and_by_nobody_else(one: House, other: House) -> None:
    async with visit(one, other) as (budi, console, booking_id), guest(other.url) as eve:
        assert await budi.signal("typing", on=True) == {"ok": True}
        await console.until_told("typing", booking_id=booking_id, by="guest", on=True)
        await budi.signal("typing", on=False)
        await console.until_told("typing", booking_id=booking_id, by="guest", on=False)
        await console.signal("typing", booking_id=booking_id, on=True)
        await budi.until_told("typing", by="therapist", on=True)
        assert budi.told("typing") == [{"by": "therapist", "on": True}]
        assert eve.signals == []


async def test_a_client_that_dies_while_typing_is_seen_to_stop(one: House, other: House) -> None:
    address = urlsplit(one.url)
    sari = await one.add_therapist()
    async with TcpProxy(address.hostname or "", address.port or 0) as network:
        async with therapist(other.url, other.token_of(sari)) as console:
            budi = Guest(f"http://127.0.0.1:{network.port}")
            await budi.connect({"locale": "en"})
            booking_id = await book(budi, console)
            await budi.signal("typing", on=True)
            await console.until_told("typing", booking_id=booking_id, by="guest", on=True)
            network.freeze()  # nobody hangs up: the phone is simply gone
            await console.until_told("typing", booking_id=booking_id, by="guest", on=False)
        await network.cut()
        await budi.close()


# --- presence ---------------------------------------------------------------------------------------------------------


async def test_killed_and_restarted_web_processes_make_nobody_flicker(settings: Settings, tmp_path: Path) -> None:
    """Wayan does not come back, so her guest sees her go; by then Sari's guest would have seen Sari go, too."""
    async with site(settings, tmp_path) as place, house_of(settings) as house:
        sari, wayan = await house.add_therapist(), await house.add_therapist(km=0.7)
        killed = await place.web()
        async with guest(house.url) as budi, guest(house.url) as eve:
            await _booked(budi, await Therapist(killed.url).connect({"token": house.token_of(sari)}), sari.id)
            await _booked(eve, await Therapist(killed.url).connect({"token": house.token_of(wayan)}), wayan.id)
            async with AsyncExitStack() as stopped:
                another = await stopped.enter_async_context(house_of(settings))
                await killed.kill()
                moved = await Therapist(another.url).connect({"token": house.token_of(sari)})
            async with therapist(house.url, house.token_of(sari)) as moved_again:
                assert moved_again.session["bookings"][0]["presence"] == {"guest": "online"}
                await eve.until_told("presence", therapist="offline")
                assert budi.told("presence") == [{"therapist": "online"}]
                assert moved.told("presence") + moved_again.told("presence") == []


async def _booked(someone: Guest, console: Therapist, therapist_id: str) -> None:
    await someone.book(therapist_id=therapist_id)
    await someone.confirm()
    offer = await console.until_offer()
    await console.do("accept_offer", offer_id=offer["offer_id"])
    await someone.accept()
    await someone.until_told("presence", therapist="online")


async def test_a_phone_in_the_background_is_away_and_of_two_tabs_the_one_in_front_counts(
    one: House, other: House
) -> None:
    async with visit(one, other) as (budi, console, booking_id):
        await budi.signal("presence", away=True)
        await console.until_told("presence", booking_id=booking_id, guest="away")
        async with guest(other.url, token=budi.token) as second_tab:
            await console.until_told("presence", booking_id=booking_id, guest="online")
            await second_tab.signal("presence", away=True)
            await console.until_told("presence", booking_id=booking_id, guest="away")
            await budi.signal("presence", away=False)
            await console.until_told("presence", booking_id=booking_id, guest="online")
        await budi.close()
        await console.until_told("presence", booking_id=booking_id, guest="offline")
        assert [data["guest"] for data in console.told("presence")] == [
            *("online", "away", "online", "away", "online", "offline")
        ]


async def test_presence_is_seen_while_the_visit_is_on_and_not_a_moment_longer(one: House) -> None:
    async with visit(one, one) as (budi, console, booking_id):
        async with guest(one.url, token=budi.token) as back:
            assert (back.session["presence"], back.session["typing"]) == (
                {"therapist": "online"},
                {"by": "therapist", "on": False},
            )
        for step in ("arrived", "completed"):
            await console.do("progress", booking_id=booking_id, step=step)
        await budi.until_state("completed")
        budi.signals.clear()
        await console.signal("presence", away=True)
        assert await console.signal("typing", booking_id=booking_id, on=True) == {"ok": True}
        async with guest(one.url, token=budi.token) as back:
            assert (back.session["presence"], back.session["typing"]) == (None, None)
            await back.do("book", kind="now", source="menu")
            assert (back.signals, budi.signals) == ([], [])


# --- receipts ---------------------------------------------------------------------------------------------------------


async def test_receipts_only_go_forward_also_from_two_tabs_in_two_processes_at_once(one: House, other: House) -> None:
    async with visit(one, other) as (budi, console, booking_id), guest(other.url, token=budi.token) as second_tab:
        said = [await console.do("message", booking_id=booking_id, text=f"line {n}") for n in range(6)]
        numbers = [ack["seq"] for ack in said]
        await asyncio.gather(
            *(tab.signal("delivered", seq=seq) for seq in reversed(numbers) for tab in (budi, second_tab)),
            *(tab.signal("read", seq=seq) for seq in (numbers[3], *numbers) for tab in (second_tab, budi)),
        )
        await console.until(lambda: console.of_type("read")[-1:] == [{"by": "guest", "seq": numbers[-1]}], "receipts")
        await console.until_told("delivered", booking_id=booking_id, by="guest", seq=numbers[-1])
        read, delivered = (
            [data["seq"] for data in each] for each in (console.of_type("read"), console.told("delivered"))
        )
        assert read == sorted(set(read))
        assert delivered == sorted(set(delivered))
        for seq in (*numbers, numbers[-1] + len(read)):
            assert await budi.signal("read", seq=seq) == {"ok": True}
        async with therapist(other.url, token_of(other, console)) as back:
            assert back.session["bookings"][0]["receipts"]["guest"] == {"delivered": numbers[-1], "read": numbers[-1]}
            assert [entry["data"]["seq"] for entry in back.entries if entry["type"] == "read"] == read


async def test_what_was_not_read_is_counted_for_each_side_in_its_snapshot(one: House) -> None:
    async with visit(one, one) as (budi, console, booking_id):
        for text in ("one", "two", "three"):
            last = await console.do("message", booking_id=booking_id, text=text)
        await budi.do("message", text="hello")
        await budi.signal("read", seq=last["seq"] - 1)
        async with guest(one.url, token=budi.token) as back:
            assert back.session["unread"] == 1
            assert back.session["receipts"] == {
                "guest": {"delivered": last["seq"] - 1, "read": last["seq"] - 1},
                "therapist": {"delivered": 0, "read": 0},
            }
        async with therapist(one.url, token_of(one, console)) as back:
            assert back.session["bookings"][0]["unread"] == 1
            await back.signal("read", booking_id=booking_id, seq=back.session["feeds"][budi.session["feed"]])
        async with therapist(one.url, token_of(one, console)) as back:
            assert back.session["bookings"][0]["unread"] == 0
        await budi.signal("read", seq=last["seq"])
        async with guest(one.url, token=budi.token) as back:
            assert back.session["unread"] == 0


async def test_nobody_has_what_is_not_there_yet(one: House) -> None:
    async with visit(one, one) as (budi, console, booking_id):
        await console.do("message", booking_id=booking_id, text="the last line")
        for name in ("delivered", "read"):
            ack = await budi.signal(name, seq=2**53)
            assert (ack["error"]["code"], list(ack["error"]["fields"])) == ("invalid", ["seq"])
        async with guest(one.url, token=budi.token) as back:
            assert (back.session["unread"], back.session["receipts"]["guest"]) == (1, {"delivered": 0, "read": 0})


# --- whose signals ----------------------------------------------------------------------------------------------------


async def test_signals_about_a_booking_of_somebody_else_are_answered_like_none(one: House, http: ClientSession) -> None:
    wayan = await one.add_therapist(km=3, is_available=False)
    async with visit(one, one) as (budi, console, booking_id), therapist(one.url, one.token_of(wayan)) as stranger:
        budi.signals.clear()
        for name, payload in (("typing", {"on": True}), ("delivered", {"seq": 1}), ("read", {"seq": 1})):
            answers = [await stranger.signal(name, booking_id=each, **payload) for each in (booking_id, "b_nobody")]
            assert [answer["error"]["code"] for answer in answers] == ["not_found", "not_found"]
            url = f"{one.url}/api/therapist/{name}"
            status, _ = await post(http, url, one.token_of(wayan), booking_id=booking_id, **payload)
            assert status == 404
            status, answer = await post(http, url, budi.token, booking_id=booking_id, **payload)
            assert (status, answer["error"]["code"]) == (401, "unauthorized")
        await stranger.signal("presence", away=True)
        await console.signal("typing", booking_id=booking_id, on=True)
        await budi.until_told("typing", by="therapist", on=True)
        assert budi.signals == [("typing", {"by": "therapist", "on": True})]
        assert stranger.signals == []


# --- every transport --------------------------------------------------------------------------------------------------


async def test_signals_are_sent_and_seen_on_every_transport(one: House, other: House, http: ClientSession) -> None:
    async with visit(one, other) as (budi, console, booking_id):
        query = f"feed={budi.session['feed']}&since={budi.entries[-1]['seq']}"
        token = token_of(one, console)
        async with (
            sse(http, f"{one.url}/api/sse/bookings?{query}", token) as stream,
            http.ws_connect(f"{other.url}/ws/bookings?{query}", headers=bearer(token)) as socket,
            http.ws_connect(f"{other.url}/ws/bookings", headers=bearer(budi.token)) as guests_socket,
        ):
            assert (await stream.event())[0] == "start"
            assert (await socket.receive_json(timeout=PATIENCE_S))["start"] is True
            is_there = {"booking_id": booking_id, "guest": "online"}
            assert await stream.event() == ("presence", "", is_there)
            assert await socket.receive_json(timeout=PATIENCE_S) == {"signal": "presence", "data": is_there}
            for on, send in (
                (True, budi.signal("typing", on=True)),
                (False, post(http, f"{other.url}/api/guest/typing", budi.token, on=False)),
                (True, guests_socket.send_json({"event": "typing", "data": {"on": True}})),
            ):
                await send
                data = {"booking_id": booking_id, "by": "guest", "on": on}
                assert await stream.event() == ("typing", "", data)
                assert await socket.receive_json(timeout=PATIENCE_S) == {"signal": "typing", "data": data}
                await console.until_told("typing", **data)


async def test_a_stream_makes_its_reader_present_and_the_background_is_said_over_http_to_any_process(
    one: House, other: House, http: ClientSession
) -> None:
    async with visit(one, other) as (budi, console, booking_id):
        token = budi.token
        async with sse(http, f"{one.url}/api/sse/bookings", token) as stream:
            assert (await stream.event())[0] == "start"
            await budi.close()
            assert await post(http, f"{other.url}/api/guest/presence", token, away=True) == (200, {"ok": True})
            await console.until_told("presence", booking_id=booking_id, guest="away")
            await post(http, f"{one.url}/api/guest/presence", token, away=False)
            await console.until_told("presence", booking_id=booking_id, guest="online")
        await console.until_told("presence", booking_id=booking_id, guest="offline")


async def test_a_signal_ends_a_long_poll_and_what_happened_between_two_polls_is_told_at_once(
    one: House, other: House, http: ClientSession
) -> None:
    async with visit(one, other) as (budi, console, _):

        async def poll(house: House, **query: Any) -> dict[str, Any]:
            params = {"since": str(budi.entries[-1]["seq"]), **query}
            async with http.get(
                f"{house.url}/api/poll/bookings", params=params, headers=bearer(budi.token)
            ) as response:
                assert response.status == 200
                return dict(await response.json())

        def of(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
            return [each["data"] for each in answer["signals"] if each["signal"] == name]

        first = await poll(other, wait="0")
        assert of(first, "presence") == [{"therapist": "online"}]
        waiting = asyncio.create_task(poll(one, signals=first["signals_cursor"]))
        await console.signal("presence", away=True)
        second = await waiting
        assert (of(second, "presence"), second["entries"]) == ([{"therapist": "away"}], [])
        await console.signal("presence", away=False)
        await budi.until_told("presence", therapist="online")
        async with asyncio.timeout(PATIENCE_S / 2):  # half of what a poll waits that has nothing to tell
            third = await poll(one, signals=second["signals_cursor"])
        assert of(third, "presence") == [{"therapist": "online"}]


# --- without Redis ----------------------------------------------------------------------------------------------------


async def test_without_redis_signals_work_within_a_process_and_hold_nothing_up(
    servers: Servers, settings: Settings
) -> None:
    address = urlsplit(servers.redis_url or "")
    async with TcpProxy(address.hostname or "", address.port or 0) as network:
        lonely = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{network.port}"})
        async with house_of(lonely) as house, visit(house, house) as (budi, console, booking_id):
            network.freeze()
            for text in ("one", "two", "three"):
                async with asyncio.timeout(PATIENCE_S / 4):
                    await budi.do("message", text=text)
                    await budi.signal("typing", on=True)
                    await console.until_told("typing", booking_id=booking_id, by="guest", on=True)
                    await console.until_told("typing", booking_id=booking_id, by="guest", on=False)
            async with guest(house.url, token=budi.token) as back:
                assert (back.session["unread"], back.session["state"]) == (0, "active")
            await budi.signal("presence", away=True)
            await console.until_told("presence", booking_id=booking_id, guest="away")
            network.pass_on()


async def test_a_flushed_redis_is_filled_again_and_shows_nothing(servers: Servers, one: House, other: House) -> None:
    async with visit(one, other) as (budi, console, _):
        seen = (list(budi.signals), list(console.signals))
        courier = redis.Redis.from_url(servers.redis_url or "")
        courier.flushall()
        topic = f"janji:{one.services.epoch}:signals:conversation:{budi.session['conversation_id']}"
        async with asyncio.timeout(PATIENCE_S):
            while not courier.exists(topic):  # noqa: ASYNC110 - Redis announces nothing
                await asyncio.sleep(0.02)
        courier.close()
        async with guest(one.url, token=budi.token) as back:
            assert back.session["presence"] == {"therapist": "online"}
        assert (budi.signals, console.signals) == seen


async def test_nothing_ephemeral_stands_in_mongodb(one: House) -> None:
    async with visit(one, one) as (budi, console, booking_id):
        await console.do("message", booking_id=booking_id, text="hello")

        async def all_is_done() -> None:
            assert budi.of_type("notification")
            assert one.services.outboxes.busy == 0

        await eventually(all_is_done)
        before = await _everything(one)
        for name, payload in (("typing", {"on": True}), ("presence", {"away": True}), ("delivered", {"seq": 3})):
            await budi.signal(name, **payload)
            await console.until(lambda: bool(console.told(name)), name)  # noqa: B023 - it is awaited within the lap
        assert await _everything(one) == before


async def _everything(house: House) -> dict[str, list[Any]]:
    names = await house.services.database.list_collection_names()
    return {name: [each async for each in house.services.database[name].find()] for name in sorted(names)}


# --- who is asked first -----------------------------------------------------------------------------------------------


async def test_of_two_therapists_the_one_at_her_console_is_asked_first(settings: Settings) -> None:
    async with house_of(settings.model_copy(update={"wave_size": 1})) as house:
        gone = await house.add_therapist(km=1)
        there = await house.add_therapist(km=4)
        async with therapist(house.url, house.token_of(there)) as console, guest(house.url) as budi:
            async with asyncio.timeout(PATIENCE_S):
                while house.services.signals.is_at_work(gone.id) is not False:  # noqa: ASYNC110 - the beat tells nobody
                    await asyncio.sleep(0.02)
            await budi.search()
            assert (await console.until_offer())["distance_km"] == 4.0
