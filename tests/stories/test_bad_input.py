"""Whatever comes in that should not: it is refused with a reason, changes nothing, and the next good command works."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import jwt
import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType
from socketio.exceptions import ConnectionError as NotLetIn
from yarl import URL

from bot.access.tokens import LIVES, Tokens
from bot.identity import Audience
from bot.runtime.embedded import Servers
from bot.schemas.guest import GUEST_COMMANDS
from bot.schemas.texts import MESSAGE_LENGTH
from bot.schemas.therapist import THERAPIST_COMMANDS
from bot.services import Services
from bot.store.kinds import KINDS
from bot.words import LOCALES, Words
from conversations.conversation import Conversation
from conversations.values import Locale
from tests.clients import JAKARTA, PATIENCE_S, Client, Guest, Therapist, client_id, guest, therapist
from tests.house import SECRET, House, house_of, settings_for

pytestmark = pytest.mark.slow

Dump = dict[str, list[dict[str, Any]]]


async def at_rest(services: Services) -> None:
    """Until everything that the commands so far have caused has been performed."""
    while busy := [
        (kind.name, document["_id"])
        for kind in KINDS
        async for document in services.database[kind.collection].find({"outbox.0": {"$exists": True}}, {"_id": 1})
    ]:
        for name, record_id in busy:
            await services.outboxes.settled(name, record_id, PATIENCE_S)


async def dump(services: Services) -> Dump:
    """Every document of every collection."""
    await at_rest(services)
    names = sorted(await services.database.list_collection_names())
    return {name: [document async for document in services.database[name].find().sort("_id", 1)] for name in names}


@asynccontextmanager
async def nothing_changes(services: Services, *, but: Collection[str] = ()) -> AsyncIterator[None]:
    """Holds the database before against the one after; `but` names collections that may be different."""
    before = await dump(services)
    yield
    after = await dump(services)
    assert {name: found for name, found in after.items() if name not in but} == {
        name: found for name, found in before.items() if name not in but
    }


# --- every field of every command and request -------------------------------------------------------------------------


def nested(depth: int) -> Any:
    value: Any = "$token"
    for _ in range(depth):
        value = [value]
    return value


NO_TEXT = ({"$gt": ""}, {"$ne": None}, ["$token"], 7, True, 2**70, nested(100), {"a.b": {"$where": "1"}})
NO_WORD = (*NO_TEXT, "$token", "$$ROOT", "a b", "", "ü", "x\x00", "../x", "x\n")
NO_NUMBER = ({"$gt": 0}, [1], "1.5", "NaN", True, 2**70, -(2**70), 1e308, nested(100))
# What is sent instead of a good value, by the kind of its field; in JSON, since NaN and lone halves are no JSON at all.
BAD: Mapping[str, tuple[Any, ...]] = {
    "word": NO_WORD,
    "text": (*NO_TEXT, "", " \x00\u200b\n"),
    "optional text": NO_TEXT,
    "email": (*NO_TEXT, "$token", "a\x00@b.co", "a@b.co\r\nBcc: c@d.ef"),
    "phone": (*NO_TEXT, "$token", "0812", "\x00\x00\x00\x00", "021 555 1234"),
    "code": (*NO_TEXT, "12345", "$token", "١٢٣٤٥٦"),
    "choice": (*NO_TEXT, "", "$token", "NOW", "\x00"),
    "switch": ({"$ne": False}, "true", 1, 0, None, nested(100)),
    "revision": ({"$gt": 0}, "1", True, 1.5, -1, 2**53 + 1, 2**70, None, nested(100)),
    "optional revision": ({"$gt": 0}, "1", True, 1.5, -1, 2**53 + 1, 2**70, nested(100)),
    "stars": ({"$gt": 0}, "1", True, 1.5, 0, 6, 2**70, nested(100)),
    "minutes": ({"$gt": 0}, "5", True, 1.5, 0, 241, 2**70, nested(100)),
    "duration": ({"$in": [60]}, "60", True, 61, 2**70, None, nested(100)),
    "latitude": (*NO_NUMBER, 90.5),
    "longitude": (*NO_NUMBER, 180.5),
    "object": ({}, {"$gt": ""}, [], "x", 7, nested(100)),
}
# How long a text of a kind may be.
LONGEST = {"text": MESSAGE_LENGTH, "word": 64, "optional text": 1000, "email": 254, "phone": 32}

PLACE = {"address": "Jl. Sudirman 1", "latitude": JAKARTA[0], "longitude": JAKARTA[1]}
FORM = {"revision": 0, "duration": 60, "location": PLACE, "name": "Budi", "phone": "0812-3456-7890"}
# What people's screens say by themselves; said twice it is said once, so it carries no `client_id`.
SIGNALS: Mapping[str, tuple[dict[str, Any], dict[str, str]]] = {
    "typing": ({"on": True}, {"on": "switch"}),
    "delivered": ({"seq": 0}, {"seq": "revision"}),
    "read": ({"seq": 0}, {"seq": "revision"}),
    "presence": ({"away": True}, {"away": "switch"}),
}
CHOICE = {"revision": 0, "offer_id": "o_1"}
CHOICE_FIELDS = {"revision": "revision", "offer_id": "word"}
# For each command a payload that is good, and what is expected in its fields; a `?` marks those that may be left out.
GUEST: Mapping[str, tuple[dict[str, Any], dict[str, str]]] = {
    "book": (
        {"kind": "now", "source": "menu"},
        {"kind": "choice", "source": "choice", "service?": "word", "therapist_id?": "word"},
    ),
    "confirm_service": (
        FORM,
        {
            "revision": "revision",
            "duration": "duration",
            "location": "object",
            "location.address": "text",
            "location.latitude": "latitude",
            "location.longitude": "longitude",
            "name": "text",
            "phone": "phone",
            "email?": "email",
            "gender_preference?": "choice",
            "notes?": "optional text",
        },
    ),
    "accept_therapist": (CHOICE, CHOICE_FIELDS),
    "find_another": (CHOICE, CHOICE_FIELDS),
    "search_again": ({"revision": 0}, {"revision": "revision"}),
    "cancel": ({}, {"reason?": "optional text"}),
    "message": ({"text": "Halo"}, {"text": "text"}),
    "rate": ({"stars": 5}, {"stars": "stars", "comment?": "optional text", "revision?": "optional revision"}),
    "forget_me": ({}, {}),
    **SIGNALS,
}
THERAPIST: Mapping[str, tuple[dict[str, Any], dict[str, str]]] = {
    "availability": (
        {"available": True, "latitude": 1.5, "longitude": 2.5},
        {"available": "switch", "latitude?": "latitude", "longitude?": "longitude"},
    ),
    "accept_offer": ({"offer_id": "o_1"}, {"offer_id": "word"}),
    "decline_offer": ({"offer_id": "o_1"}, {"offer_id": "word", "reason?": "optional text"}),
    "progress": (
        {"booking_id": "b_1", "step": "delayed", "minutes": 5},
        {"booking_id": "word", "step": "choice", "minutes": "minutes"},
    ),
    "cancel_booking": ({"booking_id": "b_1", "reason": "Ill"}, {"booking_id": "word", "reason": "text"}),
    "message": ({"booking_id": "b_1", "text": "Halo"}, {"booking_id": "word", "text": "text"}),
    **{
        name: ({"booking_id": "b_1", **good}, {"booking_id": "word", **fields})
        for name, (good, fields) in SIGNALS.items()
        if name != "presence"
    },
    "presence": SIGNALS["presence"],
}
REQUESTS: Mapping[str, tuple[dict[str, Any], dict[str, str]]] = {
    "/api/therapist/sign-in": ({"phone": "0812-3456-7890"}, {"phone": "phone"}),
    "/api/therapist/sign-in/confirm": (
        {"phone": "0812-3456-7890", "code": "123456"},
        {"phone": "phone", "code": "code"},
    ),
}


def test_every_command_stands_in_the_tables_with_every_field() -> None:
    for commands, table in ((GUEST_COMMANDS, GUEST), (THERAPIST_COMMANDS, THERAPIST)):
        assert commands.keys() == table.keys()
        for name, row in commands.items():
            named = {field.rstrip("?") for field in table[name][1] if "." not in field}
            assert named | set(by_itself(name)) == row.payload.model_fields.keys(), name


def by_itself(command: str) -> dict[str, str]:
    """The `client_id` of a command that has one."""
    return {} if command in SIGNALS else {"client_id": client_id()}


def changed(payload: Mapping[str, Any], field: str, value: Any) -> dict[str, Any]:
    outer, _, inner = field.partition(".")
    return {**payload, outer: {**payload[outer], inner: value} if inner else value}


def without(payload: Mapping[str, Any], field: str) -> dict[str, Any]:
    outer, _, inner = field.partition(".")
    if inner:
        return {**payload, outer: without(payload[outer], inner)}
    return {name: value for name, value in payload.items() if name != outer}


def bad_payloads(payload: Mapping[str, Any], field: str, kind: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Payloads that are wrong in this field alone, with the code of their refusal."""
    name = field.rstrip("?")
    for value in BAD[kind]:
        yield changed(payload, name, value), "invalid"
    if kind in LONGEST:
        yield changed(payload, name, "1" * (LONGEST[kind] + 1)), "too_large"
    if not field.endswith("?") and kind != "minutes":
        yield changed(payload, name, None), "invalid"
        yield without(payload, name), "invalid"


class Reader:
    """Reads refusals as somebody with one language does."""

    def __init__(self, words: Words, locale: Locale) -> None:
        self._sayings = set(words.catalog(locale).values())

    def check(self, error: Mapping[str, Any], code: str, field: str, sent: Any) -> None:
        """The refusal has this code, names this field or one inside it, and every word of it is in the language."""
        told = f"{str(sent)[:200]} was answered {error}"
        assert error["code"] == code, told
        assert error["fields"], told
        assert all(name == field or name.startswith(f"{field}.") for name in error["fields"]), told
        assert {error["message"], *error["fields"].values()} <= self._sayings, told


@asynccontextmanager
async def somebody(house: House, namespace: str, locale: Locale) -> AsyncIterator[Client]:
    """A guest, or a therapist who is added for it."""
    if namespace == "guest":
        async with guest(house.url, locale=locale) as visitor:
            yield visitor
    else:
        sari = await house.services.therapists.get("t_sari") or await house.add_therapist(id="t_sari")
        async with therapist(house.url, house.token_of(sari), locale=locale) as console:
            yield console


@pytest.mark.parametrize(
    ("namespace", "command"), [*(("guest", name) for name in GUEST), *(("therapist", name) for name in THERAPIST)]
)
async def test_a_command_with_a_wrong_field_is_refused_by_name_and_changes_nothing(
    house: House, namespace: str, command: str
) -> None:
    good, fields = (GUEST if namespace == "guest" else THERAPIST)[command]
    fields = {**fields, **{name + "?" * (command == "availability"): "word" for name in by_itself(command)}}
    words = house.services.words
    await house.add_therapist(id="t_sari")
    async with nothing_changes(house.services):
        for number, (field, kind) in enumerate(fields.items()):
            locale = LOCALES[number % len(LOCALES)]
            reader = Reader(words, locale)
            whole = {**good, **by_itself(command)}
            # A new connection for each field: one alone would soon be told that it is too fast.
            async with somebody(house, namespace, locale) as sender:
                for payload, code in bad_payloads(whole, field, kind):
                    ack = await call(sender, command, payload)
                    assert ack["ok"] is False, payload
                    reader.check(ack["error"], code, field.rstrip("?"), payload)
                for unknown in ("$where", "a.b", "conversation_id", "__proto__", "\x00", "é"):
                    ack = await call(sender, command, {**whole, unknown: {"$gt": ""}})
                    reader.check(ack["error"], "invalid", unknown, unknown)
    await next_good_command_works(house)


async def call(sender: Client, command: str, payload: Any) -> dict[str, Any]:
    """The ack of exactly this payload."""
    ack: dict[str, Any] = await sender.sio.call(command, payload, namespace=sender.namespace, timeout=PATIENCE_S)
    return ack


async def next_good_command_works(house: House) -> None:
    async with somebody(house, "guest", "en") as visitor, somebody(house, "therapist", "en") as console:
        assert isinstance(visitor, Guest)
        await visitor.book()
        await console.do("availability", available=True)


@pytest.mark.parametrize("route", sorted(REQUESTS))
async def test_a_request_with_a_wrong_field_is_refused_by_name_and_changes_nothing(house: House, route: str) -> None:
    good, fields = REQUESTS[route]
    async with ClientSession(house.url) as http, nothing_changes(house.services):
        for number, (field, kind) in enumerate(fields.items()):
            locale = LOCALES[number % len(LOCALES)]
            reader = Reader(house.services.words, locale)
            unknown = [({**good, name: {"$gt": ""}}, "invalid", name) for name in ("$where", "a.b", "token", "\x00")]
            wrong = [(payload, code, field) for payload, code in bad_payloads(good, field, kind)]
            for payload, code, named in [*wrong, *unknown]:
                async with http.post(f"{route}?locale={locale}", json=payload) as response:
                    reader.check((await response.json())["error"], code, named, payload)
                    assert response.status == (413 if code == "too_large" else 422)
            async with http.post(f"{route}?locale={locale}", data=b"[" * 1_000_000) as response:
                assert (response.status, (await response.json())["error"]["code"]) == (413, "too_large")
    async with ClientSession(house.url) as http, http.post("/api/therapist/sign-in", json=good | {}) as response:
        assert response.status == (200 if route.endswith("sign-in") else 422)


@pytest.mark.parametrize("namespace", ["guest", "therapist"])
async def test_commands_over_http_are_refused_by_name_too(house: House, namespace: str) -> None:
    sari = await house.add_therapist()
    token = house.tokens.sign("guest", "c_1") if namespace == "guest" else house.token_of(sari)
    reader = Reader(house.services.words, "id")
    headers = {"Authorization": f"Bearer {token}"}
    async with ClientSession(house.url, headers=headers) as http, nothing_changes(house.services):
        for command, (good, fields) in (GUEST if namespace == "guest" else THERAPIST).items():
            whole = {**good, **by_itself(command)}
            wrong = [(changed(whole, field.rstrip("?"), {"$gt": ""}), field.rstrip("?")) for field in fields]
            for payload, field in [*wrong, ({**whole, "conversation_id": "c_2"}, "conversation_id")]:
                async with http.post(f"/api/{namespace}/{command}?locale=id", json=payload) as response:
                    assert response.status == 422
                    reader.check((await response.json())["error"], "invalid", field, payload)
            async with http.post(f"/api/{namespace}/{command}", data=b'{"client_id": NaN}') as response:
                assert (response.status, (await response.json())["error"]["fields"].keys()) == (422, {""})
        async with http.post(f"/api/{namespace}/no_such_command", json={}) as response:
            assert (response.status, (await response.json())["error"]["code"]) == (422, "invalid")


async def test_what_looks_like_a_query_is_only_text_all_the_way(house: House) -> None:
    sari = await house.add_therapist()
    async with guest(house.url) as budi, therapist(house.url, house.token_of(sari)) as console:
        await budi.book()
        place = {**PLACE, "address": "$token"}
        await budi.confirm(name="$$ROOT", location=place, notes='{"$gt": ""}', email="$ne@example.com")
        offer = await console.until_offer()
        assert (offer["guest"]["name"], offer["booking"]["address"]) == ("$$ROOT", "$token")
        await console.do("accept_offer", offer_id=offer["offer_id"])
        await budi.accept()
        active = await budi.until_state("active")
        assert (active["booking"]["name"], active["booking"]["location"]["address"]) == ("$$ROOT", "$token")
        booking = await console.until_booking("active")
        assert booking["notes"] == '{"$gt": ""}'
        said = [
            "$where",
            '{"$ne": null}',
            "$$NOW",
            "a.b",
            "{therapist}",
            "%s",
            "<script>alert(1)</script>",
            "\u202emoor",
        ]
        for text in said:
            await budi.do("message", text=text)
        await console.until(lambda: len(console.of_type("message")) == len(said), "the guest's messages")
        assert [message["text"] for message in console.of_type("message")] == said


# --- frames that are no commands --------------------------------------------------------------------------------------


class Wire:
    """A guest without a client library: frames as they are."""

    def __init__(self, socket: ClientWebSocketResponse) -> None:
        self.socket = socket

    async def answer(self, frame: str, ack: str) -> dict[str, Any]:
        """Send a command under the ack id 9 and wait for its answer."""
        await self.socket.send_str(frame)
        answer: dict[str, Any] = json.loads((await self.until(ack)).removeprefix(ack))[0]
        return answer

    async def until(self, start: str) -> str:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                message = await self.socket.receive()
                assert message.type is WSMsgType.TEXT, f"closed with {self.socket.close_code} instead of {start}"
                if message.data.startswith(start):
                    return str(message.data)

    async def until_closed(self) -> int | None:
        async with asyncio.timeout(PATIENCE_S):
            while (await self.socket.receive()).type is WSMsgType.TEXT:
                pass
        return self.socket.close_code


@asynccontextmanager
async def wire(house: House) -> AsyncIterator[Wire]:
    address = f"{house.url}/socket.io/?EIO=4&transport=websocket"
    async with ClientSession() as http, http.ws_connect(address, max_msg_size=0) as socket:
        opened = Wire(socket)
        await opened.until("0")
        await socket.send_str('40/guest,{"locale":"en"}')
        await opened.until("42/guest")
        yield opened


def book(source: str = '"menu"', more: str = "") -> str:
    return f'42/guest,9["book",{{"client_id":"{client_id()}","kind":"now","source":{source}{more}}}]'


MALFORMED = (
    book("NaN"),
    book("-Infinity"),
    book("1e999"),
    book('"\\ud800"'),
    book('"\x01"'),
    book("[" * 5000 + "]" * 5000),
    book('"menu"', ","),
    '42/guest,9["book"',
    "42/guest,9[]",
    '42/therapist,9["availability",{"available":true}]',
    '42/guest,8["disconnect",{}]',
    "9",
)


async def test_nine_malformed_frames_are_survived_and_change_nothing(house: House) -> None:
    for first in range(0, len(MALFORMED), 9):
        async with wire(house) as line:
            async with nothing_changes(house.services):
                for frame in MALFORMED[first : first + 9]:
                    await line.socket.send_str(frame)
                ack = await line.answer(book('{"$gt":""}'), "43/guest,9")
                assert ack["error"]["fields"] == {"source": "is not one of the choices"}
            assert (await line.answer(book(), "43/guest,9"))["ok"] is True


async def test_the_tenth_malformed_frame_closes_the_connection_and_the_process_lives(house: House) -> None:
    async with wire(house) as line, guest(house.url) as neighbour:
        async with nothing_changes(house.services):
            with suppress(ConnectionError):  # it may be closed before the last of these has left
                for frame in [MALFORMED[0]] * 10 + [book()]:
                    await line.socket.send_str(frame)
            await line.until_closed()
        await neighbour.book()
    await next_good_command_works(house)


async def test_a_frame_of_a_megabyte_closes_its_connection_and_nothing_else(house: House) -> None:
    async with wire(house) as line, guest(house.url) as neighbour:
        async with nothing_changes(house.services):
            with suppress(ConnectionError):  # the server does not wait for the end of it
                await line.socket.send_str(book('"menu"', f',"service":"{"x" * 1_000_000}"'))
            assert await line.until_closed() in (1006, 1009)
        await neighbour.book()


async def test_depth_and_size_within_a_frame_are_refused_like_any_other_nonsense(house: House) -> None:
    async with wire(house) as line, nothing_changes(house.services):
        for value in ("[" * 1000 + "]" * 1000, '{"a":' * 500 + "1" + "}" * 500, "9" * 300, f'"{"x" * 30_000}"'):
            ack = await line.answer(book(value), "43/guest,9")
            assert ack["error"]["fields"] == {"source": "is not one of the choices"}
        many = "".join(f',"{number}{"x" * 20}":1' for number in range(1000))
        ack = await line.answer(book(more=many), "43/guest,9")
        assert ack["error"]["code"] == "invalid"
        assert len(json.dumps(ack)) < 2000


# --- moves that are not possible --------------------------------------------------------------------------------------

NOT_NOW = {name: "not_now" for name in GUEST if name not in ("forget_me", *SIGNALS)}
ENDED = {name: code for name, code in NOT_NOW.items() if name != "book"}
LIVE = {"book": "already_live", "confirm_service": "already_live"}
# What is refused in each state, and how.
REFUSED_IN: Mapping[str, Mapping[str, str]] = {
    "idle": ENDED,
    "confirming": dict.fromkeys(("accept_therapist", "find_another", "search_again", "message", "rate"), "not_now"),
    "searching": {**{name: "not_now" for name in NOT_NOW if name != "cancel"}, **LIVE},
    "choosing": {"search_again": "not_now", "message": "not_now", "rate": "not_now", **LIVE},
    "active": {name: "not_now" for name in NOT_NOW if name not in ("cancel", "message")},
    "no_therapist": {name: "not_now" for name in NOT_NOW if name not in ("search_again", "cancel")},
    "completed": {name: code for name, code in ENDED.items() if name != "rate"},
    "cancelled": ENDED,
    "expired": ENDED,
}


async def assert_refused_here(house: House, visitor: Guest) -> None:
    """Every command that the state has no room for is refused with its code, and nothing changes."""
    async with nothing_changes(house.services):
        codes = {}
        for name in REFUSED_IN[visitor.state]:
            payload = dict(GUEST[name][0])
            if "revision" in payload:
                payload["revision"] = visitor.revision
            error = (await visitor.send(name, **payload))["error"]
            assert error["message"] in house.services.words.catalog("en"), error
            codes[name] = error["code"]
        assert codes == REFUSED_IN[visitor.state], visitor.state


async def test_every_state_refuses_what_does_not_belong_to_it(house: House) -> None:
    # As many therapists as are asked at once: a search that misses somebody looks again while we compare.
    ayu, *others = [await house.add_therapist(km=1 + number) for number in range(3)]
    async with guest(house.url) as budi, therapist(house.url, house.token_of(ayu)) as console:
        assert budi.state == "idle"
        await assert_refused_here(house, budi)
        await budi.book()
        await assert_refused_here(house, budi)
        await budi.confirm()
        await budi.until_state("searching")
        offer = await console.until_offer()
        await until_asked(house, 1 + len(others))
        await assert_refused_here(house, budi)
        await console.do("accept_offer", offer_id=offer["offer_id"])
        await budi.until_card("therapist")
        await assert_refused_here(house, budi)
        booking_id = budi.standing["booking"]["id"]
        await assert_no_visit(house, console, booking_id, ("progress", "cancel_booking", "message"))
        await budi.accept()
        await console.until_booking("active")
        await assert_refused_here(house, budi)
        await console.do("progress", booking_id=booking_id, step="arrived")
        await assert_no_visit(house, console, booking_id, ("progress",))
        await console.do("progress", booking_id=booking_id, step="completed")
        await budi.until_state("completed")
        await console.until_booking("completed")
        await assert_refused_here(house, budi)
        await assert_no_visit(house, console, booking_id, ("progress", "cancel_booking", "message"))
        await budi.book()
        await budi.do("cancel")
        await budi.until_state("cancelled")
        await assert_refused_here(house, budi)
        await budi.book()


async def until_asked(house: House, count: int) -> None:
    await at_rest(house.services)
    search = await house.services.database["searches"].find_one({})
    assert len(search["offers"]) == count


async def assert_no_visit(house: House, console: Therapist, booking_id: str, commands: tuple[str, ...]) -> None:
    """A visit of theirs that has not begun, is over, or went on: its therapist is told that it is not the moment."""
    payloads: dict[str, dict[str, Any]] = {
        "progress": {"step": "on_the_way"},
        "cancel_booking": {"reason": "Ill"},
        "message": {"text": "Halo"},
    }
    async with nothing_changes(house.services):
        for command in commands:
            assert await console.refusal(command, booking_id=booking_id, **payloads[command]) == "not_now", command


@pytest.mark.parametrize(
    ("state", "hurried"),
    [("no_therapist", {"radii_km": (5.0,), "answer_s": 0.2}), ("expired", {"form_s": 0.2})],
)
async def test_states_that_time_brings_refuse_what_does_not_belong_to_them(
    servers: Servers, database: str, state: str, hurried: dict[str, Any]
) -> None:
    async with house_of(settings_for(servers, database, **hurried)) as house, guest(house.url) as budi:
        await budi.book()
        if state == "no_therapist":
            await budi.confirm()
        await budi.until_state(state)
        await assert_refused_here(house, budi)


async def test_an_old_card_is_stale_and_the_present_one_follows(house: House) -> None:
    sari = await house.add_therapist()
    async with guest(house.url) as budi, therapist(house.url, house.token_of(sari)) as console:
        await budi.book()
        old = budi.form()
        await budi.book(source="price")
        await assert_stale(house, budi, "confirm_service", old, "service")
        await budi.confirm()
        await console.do("accept_offer", offer_id=(await console.until_offer())["offer_id"])
        card = await budi.until_card("therapist")
        for command in ("accept_therapist", "find_another"):
            for revision in (0, old["revision"], card["revision"] + 1, 2**53):
                payload = {"revision": revision, "offer_id": card["offer_id"]}
                await assert_stale(house, budi, command, payload, "therapist")
        await budi.accept()
        await budi.until_state("active")
        payload = {"revision": card["revision"], "offer_id": card["offer_id"]}
        await assert_stale(house, budi, "accept_therapist", payload, None)
        await budi.do("message", text="Halo")


async def assert_stale(house: House, visitor: Guest, command: str, payload: dict[str, Any], card: str | None) -> None:
    """Refused, also when it is sent again, and answered once on the feed with what stands now: a card, or the state."""
    await at_rest(house.services)
    before = len(visitor.entries)
    stood = await standing(house.services)
    async with nothing_changes(house.services, but=("conversations", "entries")):
        repeated = {**payload, "client_id": client_id()}
        for _ in range(2):
            error = (await visitor.send(command, **repeated))["error"]
            assert (error["code"], error["fields"]) == ("stale", {})
        await visitor.until(lambda: len(visitor.entries) > before, "the present card")
    (present,) = visitor.entries[before:]
    assert await standing(house.services) == stood
    assert present["data"]["revision"] == visitor.revision
    assert (present["type"], present["data"].get("card")) == (("card", card) if card else ("state", None))


async def standing(services: Services) -> list[Conversation]:
    """Where all conversations stand, however many turns that took."""
    return [replace(each, version=0) for each in await services.conversations.find({}, limit=10)]


# --- what belongs to somebody else ------------------------------------------------------------------------------------


async def test_what_belongs_to_somebody_else_is_answered_like_what_does_not_exist(house: House) -> None:
    ayu, bagus = await house.add_therapist(km=1), await house.add_therapist(km=2)
    async with (
        guest(house.url) as budi,
        guest(house.url) as citra,
        therapist(house.url, house.token_of(ayu)) as ayus,
        therapist(house.url, house.token_of(bagus)) as baguss,
    ):
        await budi.search()
        budis_offer = (await ayus.until_offer())["offer_id"]
        await ayus.do("accept_offer", offer_id=budis_offer)
        await baguss.until(lambda: bool(baguss.of_type("offer_closed")), "the end of the offer to Bagus")
        await budi.until_card("therapist")
        await citra.search()
        await baguss.do("accept_offer", offer_id=(await baguss.until_offer())["offer_id"])
        citras_offer = (await citra.until_card("therapist"))["offer_id"]
        budis_booking, citras_booking = (each.standing["booking"]["id"] for each in (budi, citra))

        strange = [
            *((citra, name, {"revision": citra.revision}, "offer_id", budis_offer) for name in CHOOSE),
            *((budi, name, {"revision": budi.revision}, "offer_id", citras_offer) for name in CHOOSE),
            *((baguss, name, {}, "offer_id", budis_offer) for name in ("accept_offer", "decline_offer")),
            *((ayus, name, {}, "offer_id", citras_offer) for name in ("accept_offer", "decline_offer")),
            *((ayus, name, more, "booking_id", citras_booking) for name, more in VISIT.items()),
        ]
        await assert_indistinguishable(house, strange)
        await budi.accept()
        await ayus.until_booking("active")
        await assert_indistinguishable(
            house, [(baguss, name, more, "booking_id", budis_booking) for name, more in VISIT.items()]
        )
        await ayus.do("progress", booking_id=budis_booking, step="completed")
        await ayus.until_booking("completed")
        await assert_indistinguishable(
            house, [(baguss, name, more, "booking_id", budis_booking) for name, more in VISIT.items()]
        )
        assert not [entry for entry in [*citra.entries, *baguss.entries] if budis_booking in json.dumps(entry)]
        await citra.accept()


CHOOSE = ("accept_therapist", "find_another")
VISIT: Mapping[str, dict[str, Any]] = {
    "progress": {"step": "arrived"},
    "cancel_booking": {"reason": "Ill"},
    "message": {"text": "Halo"},
}


async def assert_indistinguishable(house: House, strange: list[tuple[Client, str, dict[str, Any], str, str]]) -> None:
    async with nothing_changes(house.services):
        for sender, command, more, field, owned in strange:
            unknown = owned[:2] + owned[2:][::-1]
            acks = [await sender.send(command, **more, **{field: each}) for each in (owned, unknown)]
            assert acks[0] == acks[1], command
            assert acks[0]["error"]["code"] == "not_found", command


# --- tokens -----------------------------------------------------------------------------------------------------------

LONG_SECRET = SECRET * 2


def forged(house: House, audience: Audience, subject: str) -> dict[str, Any]:
    """Everything that is no valid token of this subject, by what is wrong with it."""
    now = house.services.clock.now
    claims = {"aud": audience, "sub": subject, "iat": now(), "exp": now() + timedelta(days=1)}
    other: Audience = "guest" if audience == "therapist" else "therapist"
    good = jwt.encode(claims, SECRET, algorithm="HS256")
    return {
        "another key": jwt.encode(claims, SECRET[::-1], algorithm="HS256"),
        "no signature": jwt.encode(claims, None, algorithm="none"),
        "another algorithm": jwt.encode(claims, LONG_SECRET, algorithm="HS512"),
        "the signature cut off": good.rpartition(".")[0] + ".",
        "expired": Tokens(SECRET, lambda: now() - LIVES[audience]).sign(audience, subject),
        "the other audience": house.tokens.sign(other, subject),
        "the bare id": subject,
        "a query": "$token",
        "nothing": "",
    }


async def test_a_forged_token_makes_a_new_guest_and_shows_nothing_of_another(house: House) -> None:
    async with guest(house.url) as budi:
        await budi.book()
        own = budi.session["conversation_id"]
        async with nothing_changes(house.services):
            for how, token in forged(house, "guest", own).items():
                async with guest(house.url, token=token, since=0) as stranger:
                    assert stranger.session["conversation_id"] != own, how
                    assert (stranger.state, stranger.entries) == ("idle", []), how
                    assert stranger.token != token, how
        async with guest(house.url, token=budi.token, since=0) as again:
            assert again.session["conversation_id"] == own
            assert again.state == "confirming"
            assert len(again.entries) == len(budi.entries)


async def test_a_token_that_we_did_not_sign_for_a_therapist_is_refused_at_their_door(house: House) -> None:
    sari = await house.add_therapist()
    async with nothing_changes(house.services):
        for how, token in forged(house, "therapist", sari.id).items():
            assert await refused_connect(Therapist(house.url), token=token) == "unauthorized", how
        for how, subject in (("nobody's id", "t_nobody"), ("a query", "$token")):
            token = house.tokens.sign("therapist", subject)
            assert await refused_connect(Therapist(house.url), token=token) == "unauthorized", how
    async with therapist(house.url, house.token_of(sari)) as console:
        await console.do("availability", available=False)


def routes_of(audience: Audience) -> tuple[tuple[str, str], ...]:
    """What can be asked with a token of this audience, and changes nothing that the test would miss."""
    command = "cancel" if audience == "guest" else "availability"
    return (
        ("POST", f"/api/{audience}/{command}"),
        ("POST", "/api/ticket"),
        ("GET", "/api/poll/bookings?wait=0"),
        ("GET", "/api/sse/bookings"),
        ("GET", "/ws/bookings"),
        ("GET", "/api/bookings/realtime"),
    )


@pytest.mark.parametrize("audience", ["guest", "therapist"])
async def test_no_route_opens_to_a_token_that_we_did_not_sign_for_it(house: House, audience: Audience) -> None:
    sari = await house.add_therapist()
    strange = {**forged(house, audience, sari.id), "no UTF-8": "\udcff\udcfe", "two words": "a b"}
    # A token of the other audience is good, where the route is for both.
    both_ways = strange.pop("the other audience")
    async with ClientSession(house.url) as http, nothing_changes(house.services):
        for method, path in routes_of(audience):
            attempts = {f"{how}, {scheme}": f"{scheme} {token}" for how, token in strange.items() for scheme in SCHEMES}
            if audience in path:
                attempts["the other audience"] = f"Bearer {both_ways}"
            for how, header in {**attempts, "nothing": "", "no scheme": house.token_of(sari)}.items():
                answer = await raw_request(house, method, path, header)
                assert answer.startswith(b"HTTP/1.1 401 "), (path, how, answer)
                assert b'"code":"unauthorized"' in answer, (path, how, answer)
            for ticket in ("x", "%24token", "%00", "%ff", "x" * 4000):
                address = URL(f"{path}{'&' if '?' in path else '?'}ticket={ticket}", encoded=True)
                async with http.request(method, address) as response:
                    assert response.status == 401, (path, ticket)


SCHEMES = ("Bearer", "bearer", "Basic")


async def raw_request(house: House, method: str, path: str, authorization: str) -> bytes:
    """The answer to a request whose header no client library would send."""
    lines = (
        *(f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", "Content-Length: 0"),
        *(f"Authorization: {authorization}", "", ""),
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(house.url).port)
    writer.write("\r\n".join(lines).encode(errors="surrogateescape"))
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_guests_token_opens_one_conversation_and_nothing_else(house: House) -> None:
    sari = await house.add_therapist()
    async with guest(house.url) as budi, guest(house.url) as citra:
        await budi.book()
        await citra.book()
        async with nothing_changes(house.services):
            for token in (budi.token, house.tokens.sign("guest", sari.id), house.token_of(sari)):
                async with guest(house.url, token=token, since=0) as screen:
                    feeds = {entry["feed"] for entry in screen.entries}
                    assert feeds <= {budi.session["feed"]}, "entries of one feed alone"
                    assert screen.session["booking"] is None
            for token in (budi.token, citra.token):
                assert await refused_connect(Therapist(house.url), token=token) == "unauthorized"
            for field in ("conversation_id", "feed", "booking_id", "from"):
                assert await budi.refusal("cancel", **{field: citra.session["conversation_id"]}) == "invalid"
        await budi.do("cancel")
        await budi.until_state("cancelled")
        assert citra.state == "confirming"


async def refused_connect(client: Client, **auth: Any) -> str:
    """The code of the refusal that a connect is expected to meet."""
    return str((await refusal_of(client, auth))["code"])


async def refusal_of(client: Client, auth: Any) -> dict[str, Any]:
    with pytest.raises(NotLetIn):
        await client.connect(auth)
    assert client.refused is not None
    error: dict[str, Any] = client.refused["data"]
    return error


NO_CURSOR = ({"$gt": ""}, "1", True, -1, 1.5, 2**70, nested(100))
WRONG_AUTH: Mapping[str, tuple[Any, ...]] = {
    "token": ({"$gt": ""}, ["x"], 7, True, "x" * 2049),
    "epoch": ({"$gt": ""}, 7, "x" * 65),
    "locale": ({"$gt": ""}, 7, "x" * 36),
    "$where": ("1",),
    "conversation_id": ("c_1",),
}


@pytest.mark.parametrize("namespace", ["guest", "therapist"])
async def test_a_connect_with_a_wrong_field_is_refused_by_name_and_changes_nothing(
    house: House, namespace: str
) -> None:
    sari = await house.add_therapist(id="t_sari")
    make: Callable[[str], Client] = Guest if namespace == "guest" else Therapist
    good = {"token": house.tokens.sign("guest", "c_1") if namespace == "guest" else house.token_of(sari)}
    # A guest has one feed and a cursor in it, a therapist several.
    cursors = NO_CURSOR if namespace == "guest" else tuple({"therapist:t_sari": each} for each in NO_CURSOR)
    reader = Reader(house.services.words, "id")
    async with nothing_changes(house.services):
        for field, values in {**WRONG_AUTH, "since": (*cursors, "x", [1])}.items():
            for value in values:
                error = await refusal_of(make(house.url), {**good, field: value})
                code = "too_large" if isinstance(value, str) and len(value) > 9 else "invalid"
                reader.check(error, code, field, value)
    await next_good_command_works(house)


async def test_a_message_repeated_after_the_visit_gets_its_first_answer_and_a_new_one_is_not_now(house: House) -> None:
    sari = await house.add_therapist()
    async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
        await budi.search()
        await console.do("accept_offer", offer_id=(await console.until_offer())["offer_id"])
        await budi.accept()
        booking = await console.until_booking("active")
        first = await budi.do("message", client_id="one", text="Terima kasih!")
        theirs = await console.do("message", client_id="two", booking_id=booking["id"], text="Sama-sama.")
        await console.do("progress", booking_id=booking["id"], step="completed")
        await budi.until_state("completed")
        assert await budi.do("message", client_id="one", text="Terima kasih!") == first
        assert await console.do("message", client_id="two", booking_id=booking["id"], text="Sama-sama.") == theirs
        assert await budi.refusal("message", client_id="one", text="Something else") == "invalid"
        assert await budi.refusal("message", text="Are you there?") == "not_now"


async def test_availability_repeated_under_one_id_is_done_once_and_never_means_its_opposite(house: House) -> None:
    sari = await house.add_therapist(is_available=False)
    async with therapist(house.url, house.token_of(sari)) as console:
        await console.do("availability", client_id="on", available=True)
        await console.do("availability", available=False)
        assert (await console.do("availability", client_id="on", available=True))["available"] is True
        assert await console.refusal("availability", client_id="on", available=False) == "invalid"
        known = await house.services.therapists.get(sari.id)
        assert known is not None
        assert known.is_available is False
