"""An id is no key: what belongs to somebody else stays shut on every transport, and looks as if it were not there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession, WSServerHandshakeError

from bot.schemas.commands import COMMANDS
from bot.schemas.therapist import THERAPIST_COMMANDS
from tests.clients import client_id, guest, therapist
from tests.contract.scenes import Sender
from tests.contract.ways import Say, bearer, by_http, by_socket_io, by_websocket
from tests.house import House
from tests.stories.test_bad_input import nothing_changes
from tests.stories.test_transports import visit

pytestmark = pytest.mark.slow

STREAMS = ("/api/poll/bookings", "/api/sse/bookings", "/ws/bookings", "/api/bookings/realtime")
SOCKET_IO = "/socket.io/?EIO=4"


@pytest.fixture
async def http(house: House) -> AsyncIterator[ClientSession]:
    async with ClientSession(house.url) as session:
        yield session


def guest_attempts(offer: str) -> list[tuple[str, dict[str, Any]]]:
    choice = {"revision": 0, "offer_id": offer}
    return [("accept_therapist", choice), ("find_another", choice)]


def therapist_attempts(offer: str, booking: str) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("accept_offer", {"offer_id": offer}),
        ("decline_offer", {"offer_id": offer}),
        ("progress", {"booking_id": booking, "step": "arrived"}),
        ("cancel_booking", {"booking_id": booking, "reason": "Ill"}),
        ("message", {"booking_id": booking, "text": "Halo"}),
        ("typing", {"booking_id": booking, "on": True}),
        ("delivered", {"booking_id": booking, "seq": 1}),
        ("read", {"booking_id": booking, "seq": 1}),
    ]


async def test_no_command_reaches_what_belongs_to_somebody_else_on_any_transport(
    house: House, http: ClientSession
) -> None:
    stranger = await house.add_therapist(km=300)
    ways: tuple[Say, ...] = (by_http(http), by_socket_io, by_websocket(http))
    async with (
        visit(house) as (budi, console, booking_id),
        guest(house.url) as eve,
        therapist(house.url, house.token_of(stranger)) as evas,
    ):
        offer_id = console.of_type("offer")[-1]["offer_id"]
        as_guest = Sender("guest", eve, eve.token)
        as_therapist = Sender("therapist", evas, house.token_of(stranger))
        async with nothing_changes(house.services):
            for say in ways:
                for (command, owned), (_, unknown) in zip(
                    guest_attempts(offer_id), guest_attempts("o_unknown"), strict=True
                ):
                    await assert_alike(say, as_guest, command, owned, unknown, "not_now")
                for (command, owned), (_, unknown) in zip(
                    therapist_attempts(offer_id, booking_id), therapist_attempts("o_unknown", "b_unknown"), strict=True
                ):
                    if command in THERAPIST_COMMANDS:
                        await assert_alike(say, as_therapist, command, owned, unknown, "not_found")
        assert budi.state == "active"


async def assert_alike(
    say: Say, sender: Sender, command: str, owned: dict[str, Any], unknown: dict[str, Any], code: str
) -> None:
    """Refused with the code, and word for word as what does not exist."""
    model = COMMANDS[sender.audience][command].payload
    own_id = {"client_id": client_id()} if "client_id" in model.model_fields else {}
    told = [await say(sender, command, {**own_id, **payload}) for payload in (owned, unknown)]
    assert told[0] == told[1], command
    assert told[0][1]["error"]["code"] == code, command


async def test_no_stream_opens_the_feed_of_somebody_else(house: House, http: ClientSession) -> None:
    stranger = await house.add_therapist(km=300)
    async with visit(house) as (budi, console, booking_id), guest(house.url) as eve:
        theirs = (budi.session["feed"], f"therapist:{console.session['therapist']['id']}")
        for token in (eve.token, house.token_of(stranger)):
            for path in STREAMS:
                told = []
                for feed in (*theirs, budi.session["conversation_id"], booking_id, "conversation:c_unknown"):
                    params = {"feed": feed, "since": "0"}
                    async with http.get(path, params=params, headers=bearer(token)) as response:
                        told.append((response.status, await response.text()))
                assert {status for status, _ in told} == {404}, path
                assert len(set(told)) == 1, "the same words for what is somebody's and what is nobody's"


async def test_a_cursor_in_somebody_elses_feed_brings_nothing_of_it(house: House, http: ClientSession) -> None:
    stranger = await house.add_therapist(km=300)
    async with visit(house) as (budi, console, _):
        theirs = {budi.session["feed"]: 0, f"therapist:{console.session['therapist']['id']}": 0}
        async with therapist(house.url, house.token_of(stranger), since=theirs) as evas:
            assert set(evas.session["feeds"]) == {f"therapist:{stranger.id}"}
            assert (evas.session["entries"], evas.session["bookings"], evas.session["offers"]) == ([], [], [])
        body = {"token": house.token_of(stranger), "since": theirs}
        async with http.post("/api/therapist/session", json=body) as response:
            assert (await response.json())["entries"] == []


async def test_the_id_of_a_connection_is_no_way_into_it(house: House, http: ClientSession) -> None:
    """An Engine.IO id that was overheard neither hears nor speaks for its owner."""
    async with guest(house.url) as budi:
        await budi.book()
        sids = (budi.sio.eio.sid, budi.sio.get_sid("/guest"))
        for sid in sids:
            for method in ("GET", "POST"):
                address = f"{SOCKET_IO}&transport=polling&sid={sid}"
                async with http.request(method, address, data=b'42/guest,["cancel",{"client_id":"eve"}]') as response:
                    assert response.status == 400
            with pytest.raises(WSServerHandshakeError):
                await http.ws_connect(f"{SOCKET_IO}&transport=websocket&sid={sid}")
        await budi.do("cancel")
        await budi.until_state("cancelled")


@pytest.mark.parametrize("chosen", ["c_chosen_by_me", "conversation:c_chosen", "guest-1", "e" * 64])
async def test_an_id_that_a_client_chose_never_becomes_a_session(
    house: House, http: ClientSession, chosen: str
) -> None:
    async with http.post("/api/guest/session", json={"token": chosen}) as response:
        session = await response.json()
    assert session["token"] != chosen
    assert chosen not in (session["conversation_id"], session["feed"])
    for field in ("conversation_id", "id", "sid", "sub"):
        async with http.post("/api/guest/session", json={field: chosen}) as response:
            assert (response.status, list((await response.json())["error"]["fields"])) == (422, [field])
    async with guest(house.url, token=chosen) as eve:
        assert eve.session["conversation_id"] != chosen
        await eve.book()
    stored = [each["_id"] async for each in house.services.database["conversations"].find()]
    assert stored == [eve.session["conversation_id"]]
