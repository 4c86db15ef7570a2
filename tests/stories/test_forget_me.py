"""A guest who asks to be forgotten is: in every collection, in Redis, in every memory and log; the facts stay."""

from __future__ import annotations

import asyncio
import gc
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from aiohttp import ClientSession

from bot.runtime.embedded import Servers
from bot.services import Services
from bot.store.entries import Entry
from conversations.booking import Booking
from conversations.conversation import State
from conversations.moves.always import ERASE_AGAIN_S
from conversations.values import Rating
from tests.agreement import assert_gap_free, eventually, until_agreed
from tests.clients import Guest, Therapist, client_id, guest, therapist
from tests.house import House, add_therapist, house_of, settings_for
from tests.processes import site
from tests.stories.test_crashes import watching
from tests.stories.test_transports import bearer

pytestmark = pytest.mark.slow

# Everything personal that is told in the stories below, by what it is.
CANARIES: Mapping[str, str] = {
    "the name": "Kusumawardhani",
    "the phone": "81377788899",
    "the street": "Jalan Teratai Putih",
    "the house": "Gang Nangka 77",
    "the latitude": "6.212345",
    "the longitude": "106.843219",
    "the e-mail address": "kusuma77@example.com",
    "the notes": "anjing galak di depan",
    "a message": "gerbang hijau di ujung",
    "another message": "kode pintu 4711",
    "what the client called a form": "kusumas-form-88",
    "what the client called a message": "kusumas-phone-77",
    "what the therapist repeated": "Baik Ibu Kusuma",
    "the rating's comment": "tangannya tenang sekali",
    "the next name": "Wijayakusuma",
    "the next phone": "81344455566",
    "the next address": "Hotel Melati kamar 1207",
    "the next notes": "jangan telepon suami",
    "why somebody declined": "tamu itu pernah kasar",
    "the time zone": "Pacific/Chatham",
    "where the phone is reached": "kusumas-phone:APA91b",
}
FIRST: Mapping[str, Any] = {
    "name": f"Ibu {CANARIES['the name']}",
    "phone": f"0{CANARIES['the phone']}",
    "location": {
        "address": f"{CANARIES['the street']}, {CANARIES['the house']}",
        "latitude": -float(CANARIES["the latitude"]),
        "longitude": float(CANARIES["the longitude"]),
    },
    "email": CANARIES["the e-mail address"],
    "notes": CANARIES["the notes"],
    "client_id": CANARIES["what the client called a form"],
}
SECOND: Mapping[str, Any] = {
    **FIRST,
    "name": CANARIES["the next name"],
    "phone": f"0{CANARIES['the next phone']}",
    "location": {**FIRST["location"], "address": CANARIES["the next address"]},
    "notes": CANARIES["the next notes"],
    "client_id": "another-form",
}


@pytest.fixture
async def courier(servers: Servers) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(servers.redis_url or "") as client:
        yield client


# --- the story --------------------------------------------------------------------------------------------------------


async def visit(budi: Guest, console: Therapist, **form: Any) -> str:
    """From the first press to a therapist on the way; gives the booking's id."""
    await budi.book()
    await budi.confirm(**form)
    await console.accept()
    await budi.accept()
    await budi.until_state("active")
    return str(budi.standing["booking"]["id"])


async def tell_everything(budi: Guest, sari: Therapist, ayu: Therapist) -> tuple[str, str]:
    """A visit that was completed and rated, and another that is on its way; gives their bookings' ids."""
    await ayu.do("availability", available=False)
    first = await visit(budi, sari, **FIRST)
    await budi.do("message", text=CANARIES["a message"], client_id=CANARIES["what the client called a message"])
    await budi.do("message", text=CANARIES["another message"])
    await sari.do("message", booking_id=first, text=CANARIES["what the therapist repeated"])
    await sari.do("progress", booking_id=first, step="completed")
    await budi.until_state("completed")
    await budi.do("rate", stars=4, comment=CANARIES["the rating's comment"])
    await budi.book()
    await budi.confirm(**SECOND)
    declined = await sari.until_offer()
    await sari.do("decline_offer", offer_id=declined["offer_id"], reason=CANARIES["why somebody declined"])
    await ayu.do("availability", available=True)
    await ayu.accept()
    await budi.accept()
    await budi.until_state("active")
    return first, str(budi.standing["booking"]["id"])


async def test_of_twenty_things_told_none_is_left_anywhere_and_the_money_is(
    servers: Servers, database: str, tmp_path: Path, courier: redis.asyncio.Redis
) -> None:
    settings = settings_for(servers, database, log_level="debug", log_format="json", command_timeout_s=20.0)
    async with AsyncExitStack() as stack:
        services = await watching(stack, settings)
        place = await stack.enter_async_context(site(settings, tmp_path))
        webs = [await place.web(), await place.web()]
        people = [await add_therapist(services, km=1 + number) for number in range(2)]
        sari, ayu = [
            await stack.enter_async_context(therapist(web.url, services.tokens.sign("therapist", who.id)))
            for web, who in zip(webs, people, strict=True)
        ]
        budi = await stack.enter_async_context(guest(webs[0].url, timezone=CANARIES["the time zone"]))
        await keep_device(webs[0].url, budi.token)
        first, second = await tell_everything(budi, sari, ayu)
        await until_agreed(services)
        stored = await stored_in(services, courier)
        assert not {what for what, canary in CANARIES.items() if canary not in stored}, "the test would prove nothing"

        ack = await budi.do("forget_me")
        assert ack["state"] == "erased"
        await budi.until_cut_off()
        assert budi.lines()[-2:] == ["cancelled_by_guest", "erased"]
        await ayu.until_booking("cancelled")
        await until_agreed(services)
        await eventually(lambda: nothing_is_stored(services, courier))
        for web in webs:
            assert await web.stop() == 0
        for web in webs:
            assert_nothing_of_it_in(web.log.read_text(), str(web.log))

        await assert_gap_free(services)
        done, called_off = [await booking_of(services, booking_id) for booking_id in (first, second)]
        assert (done.state, done.rating) == ("completed", Rating(4))
        assert done.visit is not None
        assert done.earnings is not None
        assert done.commission is not None
        assert done.earnings.amount + done.commission.amount == done.visit.price.amount > 0
        assert (called_off.state, called_off.cancelled_by) == ("cancelled", "guest")
        assert [each.therapist.id for each in (done, called_off) if each.therapist] == [who.id for who in people]


async def keep_device(url: str, token: str) -> None:
    body = {"token": CANARIES["where the phone is reached"]}
    async with (
        ClientSession() as http,
        http.post(f"{url}/api/users/fcm-token", headers=bearer(token), json=body) as told,
    ):
        assert told.status == 200, await told.text()


async def booking_of(services: Services, booking_id: str) -> Booking:
    stored = await services.bookings.load(booking_id)
    assert stored is not None
    return stored.record


async def stored_in(services: Services, courier: redis.asyncio.Redis) -> str:
    """Everything in every collection and under every key of Redis, as one text."""
    names = await services.database.list_collection_names()
    documents = [str(document) for name in names async for document in services.database[name].find()]
    return "\n".join([*documents, *[text async for text in redis_texts(courier)]])


async def redis_texts(courier: redis.asyncio.Redis) -> AsyncIterator[str]:
    """Every key with its value; jobs are kept compressed."""
    async for key in courier.scan_iter():
        yield key.decode(errors="replace")
        match await courier.type(key):
            case b"string":
                values = [await courier.get(key)]
            case b"hash":
                values = [part for pair in (await courier.hgetall(key)).items() for part in pair]
            case b"list":
                values = await courier.lrange(key, 0, -1)
            case b"set":
                values = [*await courier.smembers(key)]
            case b"zset":
                values = await courier.zrange(key, 0, -1)
            case b"stream":
                values = [str(await courier.xrange(key)).encode()]
            case kind:
                raise AssertionError(f"{key!r} is a {kind!r}: nobody knows what stands in it")
        for value in filter(None, values):  # a key may end while it is looked at
            yield value.decode(errors="replace")
            with suppress(zlib.error):
                yield zlib.decompress(value).decode(errors="replace")


async def nothing_is_stored(services: Services, courier: redis.asyncio.Redis) -> None:
    assert_nothing_of_it_in(await stored_in(services, courier), "the stores")


def assert_nothing_of_it_in(text: str, where: str) -> None:
    assert not {what for what, canary in CANARIES.items() if canary in text}, f"left in {where}"


async def test_no_process_remembers_an_entry_and_every_reader_goes_on_from_their_cursor(
    servers: Servers, database: str
) -> None:
    settings = settings_for(servers, database)
    async with AsyncExitStack() as stack:
        one, two = [await stack.enter_async_context(house_of(settings)) for _ in range(2)]
        sari, ayu = [await one.add_therapist(km=1 + number) for number in range(2)]
        desk, phone = [await stack.enter_async_context(therapist(two.url, one.token_of(who))) for who in (sari, ayu)]
        budi = await stack.enter_async_context(guest(one.url, timezone=CANARIES["the time zone"]))
        await tell_everything(budi, desk, phone)
        http = await stack.enter_async_context(ClientSession())
        ours, room = f"therapist:{sari.id}", str(budi.session["feed"])
        cursor = next(each["seq"] for each in await whole_feed(http, two, sari.id, ours) if each["type"] == "booking")

        await budi.do("forget_me")
        await budi.until_cut_off()
        await until_agreed(one.services)

        async def nothing_is_remembered() -> None:
            remembered = [entry for entry in gc.get_objects() if type(entry) is Entry and entry.feed in (ours, room)]
            kept = [(entry.data, entry.frames) for entry in remembered]
            assert_nothing_of_it_in(str(kept), "memory")

        await eventually(nothing_is_remembered)
        for house in (one, two):
            for feed in (ours, room):
                entries = await whole_feed(http, house, sari.id, feed)
                assert_nothing_of_it_in(str(entries), feed)
                assert [entry["seq"] for entry in entries] == list(
                    range(entries[0]["seq"], entries[0]["seq"] + len(entries))
                )
                assert any(entry["data"].get("redacted") for entry in entries)
            later = await whole_feed(http, house, sari.id, ours, since=cursor)
            assert later[0]["seq"] == cursor + 1
        said = [entry["data"] for entry in await whole_feed(http, two, sari.id, room) if entry["type"] == "message"]
        assert [each["from"] for each in said] == ["guest", "guest", "therapist"]
        await desk.do("availability", available=True)
        assert (await whole_feed(http, two, sari.id, ours))[-1]["data"] == {"available": True}


async def whole_feed(http: ClientSession, house: House, therapist_id: str, feed: str, since: int = 0) -> list[Any]:
    """What a therapist who comes with this cursor reads."""
    token = await house.services.access.sign_in(therapist_id)
    entries: list[Any] = []
    while True:
        query = {"feed": feed, "since": str(entries[-1]["seq"] if entries else since), "wait": "0"}
        async with http.get(f"{house.url}/api/poll/bookings", params=query, headers=bearer(token)) as response:
            page = (await response.json())["entries"]
        if not page:
            return entries
        entries += page


async def test_every_token_of_a_forgotten_guest_and_what_it_opened_is_gone(house: House) -> None:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession())
        budi = await stack.enter_async_context(guest(house.url))
        await budi.book()
        tab = await stack.enter_async_context(guest(house.url, token=budi.token))
        async with http.post(f"{house.url}/api/ticket", headers=bearer(budi.token)) as response:
            ticket = (await response.json())["ticket"]
        await tab.do("forget_me")
        await budi.until_cut_off()
        await tab.until_cut_off()
        for token in (budi.token, tab.token):
            async with guest(house.url, token=token) as stranger:
                assert stranger.session["conversation_id"] != budi.session["conversation_id"]
                assert stranger.entries == []
            async with http.post(f"{house.url}/api/guest/forget_me", headers=bearer(token), json={}) as response:
                assert response.status == 401
        async with http.get(f"{house.url}/api/poll/bookings", params={"ticket": ticket, "wait": "0"}) as response:
            assert response.status == 401


async def test_a_guest_is_not_forgotten_while_the_therapist_is_with_them(house: House) -> None:
    sari = await house.add_therapist()
    async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
        booking_id = await visit(budi, console, **FIRST)
        await console.do("progress", booking_id=booking_id, step="arrived")
        await budi.until_line("arrived")
        error = (await budi.send("forget_me"))["error"]
        assert error["code"] == "not_now"
        assert error["message"].startswith("Your therapist is with you.")
        await budi.do("message", text="still here")
        await budi.do("cancel")
        await budi.do("forget_me")
        await budi.until_cut_off()


async def test_what_was_under_way_while_a_guest_was_forgotten_is_erased_a_minute_later(house: House) -> None:
    async with guest(house.url) as budi:
        await budi.book()
        feed, conversation_id = str(budi.session["feed"]), str(budi.session["conversation_id"])
        await budi.do("forget_me")
        await budi.until_cut_off()
        await until_agreed(house.services)
        late = {"from": "guest", "text": CANARIES["a message"], "client_id": "c-1"}
        await house.services.feeds.append(feed, "e_late", "message", late)
        stored = await house.services.conversations.load(conversation_id)
        assert stored is not None
        assert stored.record.expires_at is not None
        long_ago = {"expires_at": stored.record.expires_at - timedelta(seconds=ERASE_AGAIN_S)}
        await house.services.database["conversations"].update_one({"_id": conversation_id}, {"$set": long_ago})

        async def is_redacted() -> None:
            entry = await house.services.database["entries"].find_one({"_id": "e_late"})
            assert entry["data"] == {"from": "guest", "redacted": True}

        await eventually(is_redacted)
        stored = await house.services.conversations.load(conversation_id)
        assert stored is not None
        assert (stored.record.state, stored.record.expires_at) == (State.ERASED, None)


# --- processes that die in the middle ---------------------------------------------------------------------------------


async def test_whatever_write_a_process_dies_at_the_next_one_finishes_forgetting(
    servers: Servers, database: str, tmp_path: Path, courier: redis.asyncio.Redis
) -> None:
    settings = settings_for(servers, database)
    async with AsyncExitStack() as stack:
        services = await watching(stack, settings)
        place = await stack.enter_async_context(site(settings, tmp_path))
        mortals = await place.mortals((2, 5, 8, 11, 14))
        house = await stack.enter_async_context(house_of(settings))
        for mortal in mortals:
            sari = await add_therapist(services)
            async with therapist(house.url, services.tokens.sign("therapist", sari.id)) as console:
                async with guest(house.url) as budi:
                    await visit(budi, console, **FIRST)
                    await budi.do("message", text=CANARIES["a message"])
                await services.therapists.set_available(sari.id, False)
            async with guest(mortal.url, token=budi.token) as back:
                with suppress(Exception):  # the answer may die with the process
                    await asyncio.wait_for(back.send("forget_me", client_id=client_id()), 5)
        await eventually(lambda: nothing_is_stored(services, courier))
        documents = await until_agreed(services)
        assert {each.record.state for each in documents.conversations.values()} == {State.ERASED}
