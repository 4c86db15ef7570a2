"""The documents of the contract: valid by their specifications, whole, and made of what is really there."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web
from jsonschema import Draft7Validator, Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from bot import __version__
from bot.access.connections import OpenConnections
from bot.app import build
from bot.contract import catalogue
from bot.contract.asyncapi import asyncapi_document
from bot.contract.examples import examples_of
from bot.contract.openapi import openapi_document
from bot.contract.operation import Key
from bot.contract.operations import COMMAND_ROUTES, OPERATIONS
from bot.errors import STATUS_BY_CODE
from bot.identity import Audience
from bot.schemas.command import Command
from bot.schemas.commands import COMMANDS
from bot.schemas.guest import GUEST_COMMANDS, Cancel
from bot.schemas.render import CARDS_SHOWN, TYPES_SHOWN
from bot.schemas.therapist import THERAPIST_COMMANDS
from bot.services import Services
from bot.settings.settings import Settings
from bot.web.http.contracts import routes_of
from bot.words import Words
from tests.house import SECRET

HOUSE = Path(__file__).parent.parent.parent
SCHEMA_OF_ASYNCAPI = HOUSE / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"
AUDIENCES: tuple[Audience, ...] = ("guest", "therapist")
Document = Mapping[str, Any]


@cache
def routes() -> frozenset[Key]:
    """The routes of the application that really serves."""
    settings = Settings(secret=SECRET)
    app, _ = build(
        cast(
            Services,
            SimpleNamespace(settings=settings, words=Words(), connections=OpenConnections(per_address=1, per_token=1)),
        )
    )
    return frozenset(routes_of(app))


@cache
def openapi() -> Document:
    return openapi_document(routes(), Words())


@cache
def asyncapi() -> Document:
    return asyncapi_document(Words())


def operations() -> Iterator[tuple[str, Document]]:
    for path, methods in openapi()["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def messages() -> Document:
    found: Document = asyncapi()["components"]["messages"]
    return found


def objection(document: Document, schema: Document, value: Any) -> str | None:
    """Why a value is not of this schema of the document, or None."""
    rooted = {**schema, "components": document["components"]}
    validator = Draft202012Validator(rooted, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return next((error.message for error in validator.iter_errors(value)), None)


# --- the specifications -----------------------------------------------------------------------------------------------


def test_the_openapi_document_is_valid() -> None:
    assert openapi()["openapi"] == "3.1.0"
    assert [error.message for error in OpenAPIV31SpecValidator(dict(openapi())).iter_errors()] == []


def test_the_asyncapi_document_is_valid() -> None:
    assert asyncapi()["asyncapi"] == "3.0.0"
    validator = Draft7Validator(json.loads(SCHEMA_OF_ASYNCAPI.read_text(encoding="utf-8")))
    assert [(list(error.absolute_path), error.message) for error in validator.iter_errors(asyncapi())] == []


@pytest.mark.parametrize("document", [openapi, asyncapi], ids=["openapi", "asyncapi"])
def test_every_reference_leads_somewhere_and_every_component_is_referred_to(document: Any) -> None:
    referred = set(references(document()))
    for reference in referred:
        place = document()
        for part in reference.removeprefix("#/").split("/"):
            assert part in place, reference
            place = place[part]
    defined = {f"#/components/schemas/{name}" for name in document()["components"]["schemas"]}
    assert defined <= referred


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_the_messages_of_an_operation_are_those_of_its_channel() -> None:
    for name, operation in asyncapi()["operations"].items():
        channel = operation["channel"]["$ref"].removeprefix("#/channels/")
        known = asyncapi()["channels"][channel]["messages"]
        for reference in [*operation["messages"], *operation.get("reply", {}).get("messages", ())]:
            assert reference["$ref"].startswith(f"#/channels/{channel}/messages/"), name
            assert reference["$ref"].rpartition("/")[2] in known, name


# --- nothing is left out ----------------------------------------------------------------------------------------------


def test_every_route_is_documented_and_every_documented_route_is_there() -> None:
    assert {*OPERATIONS, *COMMAND_ROUTES} == routes()


def test_every_command_is_in_both_documents_by_its_name() -> None:
    for audience, commands in (("guest", GUEST_COMMANDS), ("therapist", THERAPIST_COMMANDS)):
        in_openapi = {path.rpartition("/")[2] for path in openapi()["paths"] if path.startswith(f"/api/{audience}/")}
        assert in_openapi - {"session", "sign-in", "confirm"} == set(commands)
        assert {name for name in commands if f"{audience}_{name}" in messages()} == set(commands)


def test_a_new_command_appears_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cast("dict[str, Any]", COMMANDS["guest"]), "wave", Command("wave", Cancel))
    written = openapi_document(routes(), Words())["paths"]["/api/guest/wave"]["post"]
    assert written["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/Cancel")
    assert asyncapi_document(Words())["components"]["messages"]["guest_wave"]["name"] == "wave"


@pytest.mark.parametrize("audience", AUDIENCES)
def test_every_command_has_a_right_and_a_wrong_example_and_says_what_it_is_for(audience: Audience) -> None:
    for command, row in COMMANDS[audience].items():
        codes = [example.code for example in examples_of(audience, command)]
        assert None in codes, f"write an example of {command} in bot/contract/examples.py"
        assert any(codes), command
        assert row.payload.__doc__, f"{command} does not say what it is for"


def test_every_type_of_entry_and_every_card_has_an_example() -> None:
    shown = [example["payload"] for key, each in messages().items() if "entry_" in key for example in each["examples"]]
    assert {entry["type"] for entry in shown} == set(TYPES_SHOWN)
    assert {entry["data"]["card"] for entry in shown if entry["type"] == "card"} == set(CARDS_SHOWN)


def test_every_event_that_the_doors_emit_is_documented() -> None:
    """By name, as the code itself says it: the second argument of `encode_event`."""
    emitted = {
        call.args[1].value
        for path in (HOUSE / "bot" / "web").rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "encode_event"
        if isinstance(call.args[1], ast.Constant)
    }
    assert emitted
    assert emitted <= {message.get("name") for message in messages().values()}


@pytest.mark.parametrize("document", [openapi, asyncapi], ids=["openapi", "asyncapi"])
def test_a_contract_has_the_version_of_the_program(document: Any) -> None:
    assert document()["info"]["version"] == __version__


@pytest.mark.parametrize("document", [openapi, asyncapi], ids=["openapi", "asyncapi"])
def test_every_code_of_an_error_stands_with_its_status(document: Any) -> None:
    assert {each["code"]: each["status"] for each in document()["x-error-codes"]} == STATUS_BY_CODE


# --- examples ---------------------------------------------------------------------------------------------------------


def test_every_operation_carries_examples_of_what_it_takes_and_gives() -> None:
    for name, operation in operations():
        body = operation.get("requestBody", {}).get("content", {}).get("application/json")
        assert body is None or body["examples"], name
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get("application/json")
            is_told_elsewhere = name == "get /health/ready" and status == "503"
            assert content is None or content.get("examples") or is_told_elsewhere, f"{name} {status}"


def test_every_example_of_the_openapi_document_is_of_its_schema() -> None:
    for name, operation in operations():
        contents = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in [each["content"].get("application/json") for each in contents if "content" in each]:
            for example in (content or {}).get("examples", {}).values():
                assert objection(openapi(), content["schema"], example["value"]) is None, name


def test_every_example_of_the_asyncapi_document_is_of_its_schema() -> None:
    for key, message in messages().items():
        assert message["examples"], key
        for example in message["examples"]:
            assert objection(asyncapi(), message["payload"], example["payload"]) is None, key


def test_what_is_refused_for_its_form_is_not_of_the_schema_either() -> None:
    """But for rules that no schema can tell: those are told in words."""
    for key, message in messages().items():
        for refused in message.get("x-refused", ()):
            if refused["name"].startswith(("with_an_unknown", "without_client_id", "with_a_list")):
                assert objection(asyncapi(), message["payload"], refused["payload"]), (key, refused["name"])


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_catalogue_of_events_is_current() -> None:
    assert catalogue.PAGE.read_text(encoding="utf-8") == catalogue.page(), "run: make contracts"


def test_the_catalogue_names_every_event_and_every_field_of_an_entry() -> None:
    page = catalogue.page()
    for message in messages().values():
        assert f"### {message['title']}\n" in page
    assert "`data.respond_by`" in page


def test_a_route_without_a_row_is_seen() -> None:
    async def nothing(request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_get("/api/new", nothing)
    assert not routes_of(app) <= {*OPERATIONS, *COMMAND_ROUTES}
