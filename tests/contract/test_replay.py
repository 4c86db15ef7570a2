"""Every example of the documents, said to a running server: the right ones are answered, the wrong ones refused."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import pytest
from aiohttp import ClientSession

from bot.identity import Audience
from bot.schemas.commands import COMMANDS
from bot.schemas.render import TYPES_SHOWN
from bot.store.api_keys import SCOPES
from tests.clients import PATIENCE_S, guest, therapist
from tests.contract.scenes import scene
from tests.contract.ways import Say, bearer, by_http, by_socket_io, by_websocket
from tests.house import METRICS_TOKEN, House

SIGNED = {"stripe", "standard_webhooks", "twilio"}
AUDIENCES: tuple[Audience, ...] = ("guest", "therapist")
Document = dict[str, Any]


@pytest.fixture
async def http(house: House) -> AsyncIterator[ClientSession]:
    async with ClientSession(house.url) as session:
        yield session


async def document(http: ClientSession, name: str) -> Document:
    async with http.get(f"/{name}.json") as response:
        assert response.status == 200
        found: Document = await response.json()
        return found


# --- commands, on three transports ------------------------------------------------------------------------------------


def examples_in_openapi(openapi: Document) -> Iterator[tuple[str, str, Document, Document]]:
    """Audience, command, the right examples by name, and the operation."""
    for audience in AUDIENCES:
        for command in COMMANDS[audience]:
            operation = openapi["paths"][f"/api/{audience}/{command}"]["post"]
            right = operation["requestBody"]["content"]["application/json"]["examples"]
            yield audience, command, {name: each["value"] for name, each in right.items()}, operation


def examples_in_asyncapi(asyncapi: Document) -> Iterator[tuple[str, str, Document, Document]]:
    for audience in AUDIENCES:
        for command in COMMANDS[audience]:
            message = asyncapi["components"]["messages"][f"{audience}_{command}"]
            yield audience, command, {each["name"]: each["payload"] for each in message["examples"]}, message


async def replay_right(
    house: House, say: Say, told: Iterator[tuple[str, str, Document, Document]], *, at_most: int | None = None
) -> int:
    """Each right example in a scene of its own; they are answered with `ok`, and the watch looks at the rest."""
    count = 0
    for audience, command, examples, where in told:
        for name, payload in list(examples.items())[:at_most]:
            async with scene(house, where["x-scenes"][name]) as sender:
                assert sender.audience == audience
                status, ack = await say(sender, command, sender.present(payload))
                assert (status or 200, ack["ok"]) == (200, True), f"{command} {name}: {ack}"
                count += 1
    return count


async def replay_refused(house: House, ways: Sequence[Say], told: Iterator[tuple[str, str, Document, Document]]) -> int:
    """The wrong examples of a scene one after the other: none of them changes anything for the next."""
    by_scene: dict[str, list[tuple[str, Document]]] = {}
    for _, command, _, where in told:
        for refused in where["x-refused"]:
            by_scene.setdefault(refused["scene"], []).append((command, refused))
    for name, examples in by_scene.items():
        async with scene(house, name) as sender:
            for say, (command, refused) in itertools.product(ways, examples):
                status, ack = await say(sender, command, sender.present(refused["payload"]))
                told_error = (ack["error"]["code"], sorted(ack["error"]["fields"]))
                assert told_error == (refused["code"], sorted(refused["fields"])), f"{command} {refused['name']}: {ack}"
                assert status in (None, refused["status"]), f"{command} {refused['name']}"
    return sum(map(len, by_scene.values()))


async def test_every_command_over_http_is_answered_as_its_examples_say(house: House, http: ClientSession) -> None:
    openapi = await document(http, "openapi")
    assert await replay_right(house, by_http(http), examples_in_openapi(openapi)) > 15


async def test_every_command_on_socket_io_is_answered_as_its_examples_say(house: House, http: ClientSession) -> None:
    asyncapi = await document(http, "asyncapi")
    assert await replay_right(house, by_socket_io, examples_in_asyncapi(asyncapi)) > 15


async def test_every_command_on_a_plain_websocket_is_answered_as_its_examples_say(
    house: House, http: ClientSession
) -> None:
    asyncapi = await document(http, "asyncapi")
    assert await replay_right(house, by_websocket(http), examples_in_asyncapi(asyncapi), at_most=1) > 10


async def test_every_wrong_command_is_refused_as_its_examples_say(house: House, http: ClientSession) -> None:
    """Both documents tell the same of it, and every transport answers alike."""
    openapi, asyncapi = await document(http, "openapi"), await document(http, "asyncapi")
    for (*_, in_openapi), (*_, in_asyncapi) in zip(
        examples_in_openapi(openapi), examples_in_asyncapi(asyncapi), strict=True
    ):
        assert in_openapi["x-refused"] == in_asyncapi["x-refused"]
    ways = (by_http(http), by_socket_io, by_websocket(http))
    assert await replay_refused(house, ways, examples_in_openapi(openapi)) > 50


async def test_every_type_of_entry_in_the_documents_is_really_sent(house: House, http: ClientSession) -> None:
    sent: set[str] = set()
    async with scene(house, "active") as sender, guest(house.url, token=sender.token, since=0) as budi:
        await budi.do("message", text="Halo")
        await budi.until(lambda: bool(budi.of_type("message")), "the message")
        read_by = house.tokens.sign("therapist", budi.session["booking"]["therapist"]["id"])
        async with therapist(house.url, read_by) as console:
            seq = console.session["feeds"][budi.session["feed"]]
            await console.signal("read", booking_id=budi.session["booking"]["id"], seq=seq)
        await budi.until(lambda: bool(budi.of_type("read")), "the receipt")
        sent.update(entry["type"] for entry in budi.entries)
    async with scene(house, "visiting") as sender:
        await sender.client.do("availability", available=True)
        await sender.client.until(lambda: bool(sender.client.of_type("notification")), "a notification")
        sent.update(entry["type"] for entry in sender.client.entries)
    assert sent == set(TYPES_SHOWN)


# --- the other routes -------------------------------------------------------------------------------------------------


async def tokens_of(house: House) -> tuple[dict[str, str], str]:
    """What opens each kind of route, and the phone of the therapist."""
    record = await house.add_therapist()
    tokens = {
        "guest": house.tokens.sign("guest", "c_of_an_example"),
        "therapist": house.token_of(record),
        "collector": METRICS_TOKEN,
        "integrator": (await house.services.api_keys.issue("shop", SCOPES, house.services.clock.now()))[1],
    }
    return tokens, record.phone


def other_operations(openapi: Document) -> Iterator[tuple[str, str, Document]]:
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            # What is signed for each body is told in tests/stories/test_webhooks.py.
            is_signed = any(SIGNED & set(scheme) for scheme in operation["security"])
            if "x-scenes" not in operation and not path.startswith("/socket.io/") and not is_signed:
                yield method, path, operation


def token_for(operation: Document, tokens: Mapping[str, str]) -> dict[str, str]:
    schemes = [name for scheme in operation["security"] for name in scheme]
    return bearer(tokens[schemes[0]]) if schemes else {}


async def test_every_other_route_answers_what_its_example_asks(house: House, http: ClientSession) -> None:
    tokens, phone = await tokens_of(house)
    code = notification_id = ""
    order = sorted(other_operations(await document(http, "openapi")), key=lambda each: each[1])
    for method, path, operation in order:
        [(status, response)] = [each for each in operation["responses"].items() if each[0] in ("101", "200")]
        address = path.replace("{locale}", "id").replace("/vendor/{name}", "/vendor/socket.io.min.js")
        address = address.replace("{name}", "parts/style.css")
        address = address.replace("{id}", notification_id)
        if path.endswith("/retry"):
            stored = house.services.database["notifications"]
            await stored.update_one({"_id": notification_id}, {"$set": {"status": "dead"}})
        options: dict[str, Any] = {"headers": token_for(operation, tokens)}
        if "requestBody" in operation:
            body = dict(operation["requestBody"]["content"]["application/json"]["examples"]["example"]["value"])
            body |= {"phone": phone} if "phone" in body else {}
            body |= {"code": code} if "code" in body else {}
            body |= {"token": tokens["therapist"]} if "token" in body else {}
            options["json"] = body
        if status == "101":
            async with http.ws_connect(address, **options) as socket:
                assert (await socket.receive_json(timeout=PATIENCE_S))["start"] is True
            continue
        params = {"wait": "0"} if path.startswith("/api/poll") else {}
        params |= {"t": house.services.unsubscribing.token("budi@example.com")} if path == "/unsubscribe" else {}
        async with http.request(method, address, params=params, **options) as response_:
            assert response_.status == 200, f"{method} {path}: {await response_.text()}"
            assert response_.content_type in response["content"] or "*/*" in response["content"], path
            if path.endswith("/sign-in"):
                code = (await response_.json())["demo_code"]
            if path.endswith("/booking-confirmed"):
                notification_id = (await response_.json())["notifications"][0]["id"]


async def test_every_other_route_refuses_what_its_document_does_not_know(house: House, http: ClientSession) -> None:
    tokens, _ = await tokens_of(house)
    refused: list[tuple[str, str]] = []
    for method, path, operation in other_operations(await document(http, "openapi")):
        responses = operation["responses"]
        if operation["security"]:
            assert await error_of(http, method, path.replace("{id}", "n_1")) == (401, "unauthorized", [])
            refused.append((path, "unauthorized"))
        if "requestBody" in operation:
            assert "422" in responses
            body = operation["requestBody"]["content"]["application/json"]["examples"]["example"]["value"]
            asked = {**body, "surprise": 1}
            options = {"headers": token_for(operation, tokens), "json": asked}
            assert await error_of(http, method, path, **options) == (422, "invalid", ["surprise"])
            refused.append((path, "invalid"))
        if any(each.get("in") == "query" for each in operation["parameters"]):
            options = {"headers": token_for(operation, tokens), "params": {"surprise": "1"}}
            assert await error_of(http, method, path, **options) == (422, "invalid", ["surprise"])
            refused.append((path, "invalid"))
    assert len(refused) > 10


async def error_of(http: ClientSession, method: str, path: str, **options: Any) -> tuple[int, str, list[str]]:
    async with http.request(method, path, **options) as response:
        error = (await response.json())["error"]
        return response.status, error["code"], sorted(error["fields"])


# --- coming in --------------------------------------------------------------------------------------------------------


async def test_connects_are_answered_as_their_examples_say(house: House, http: ClientSession) -> None:
    asyncapi = await document(http, "asyncapi")
    tokens, _ = await tokens_of(house)
    connects = {audience: asyncapi["components"]["messages"][f"connect_of_{audience}"] for audience in AUDIENCES}
    for example in connects["guest"]["examples"]:
        async with guest(house.url, **example["payload"]) as budi:
            assert budi.session["locale"] == example["payload"]["locale"]
    for example in connects["therapist"]["examples"]:
        auth = {**example["payload"], "token": tokens["therapist"]}
        async with therapist(house.url, **auth) as console:
            assert console.session["locale"] == "id"
