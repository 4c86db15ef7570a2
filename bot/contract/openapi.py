"""`/openapi.json`: the routes of the router with their models, examples and refusals, as OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bot import __version__
from bot.contract import answers
from bot.contract.examples import Example, ack_of, examples_of
from bot.contract.operation import JSON, Key, Operation
from bot.contract.operations import (
    CODES_EVERYWHERE,
    CODES_WITH_A_BODY,
    COMMAND_ROUTES,
    OPERATIONS,
)
from bot.contract.schemas import Schema, Schemas, summary_of
from bot.contract.story import Story
from bot.errors import STATUS_BY_CODE
from bot.identity import Audience
from bot.schemas.command import CODES_OF_ALL
from bot.schemas.commands import COMMANDS
from bot.words import LOCALES, Words
from conversations import replies

TITLE = "Janji"
ABOUT = (
    "A booking backend that lives in a chat. Everything that happens stands in feeds: ordered logs whose entries are "
    "durable before anybody hears of them, read by a cursor on whichever transport. What the realtime transports carry "
    "stands in `/asyncapi.json`; every command over HTTP is the same as there, with the same answers."
)
SECURITY: dict[str, list[dict[str, list[str]]]] = {
    "nobody": [],
    "guest": [{"guest": []}],
    "therapist": [{"therapist": []}],
    "anybody_known": [{"guest": []}, {"therapist": []}],
    "ticket": [{"guest": []}, {"therapist": []}, {"ticket": []}],
    "collector": [{"collector": []}],
    "integrator": [{"integrator": []}],
    "stripe": [{"stripe": []}],
    "standard_webhooks": [{"standard_webhooks": []}],
    "twilio": [{"twilio": []}],
}


def openapi_document(routes: Iterable[Key], words: Words, server_url: str | None = None) -> dict[str, Any]:
    """The document of these routes, each `(method, path)`; a route without a row is left out."""
    writer = _Writer(words)
    paths: dict[str, dict[str, Any]] = {}
    for path, method, operation in sorted(writer.operations(set(routes)), key=lambda each: each[:2]):
        paths.setdefault(path, {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": __version__, "summary": "Bookings in a chat.", "description": ABOUT},
        "servers": [{"url": server_url or "/"}],
        "paths": paths,
        "components": {
            "schemas": writer.schemas.components,
            "securitySchemes": _SECURITY_SCHEMES,
            "parameters": _PARAMETERS,
        },
        "x-error-codes": error_codes(),
    }


def error_codes() -> list[dict[str, Any]]:
    """Every code with its status and what it says when nothing more is known."""
    return [
        {"code": code, "status": status, "message": replies.REFUSALS[code]} for code, status in STATUS_BY_CODE.items()
    ]


_SECURITY_SCHEMES = {
    "guest": {"type": "http", "scheme": "bearer", "description": "The `token` of a guest's session."},
    "therapist": {"type": "http", "scheme": "bearer", "description": "The `token` of a therapist's signing in."},
    "collector": {"type": "http", "scheme": "bearer", "description": "The setting `JANJI_METRICS_TOKEN`."},
    "integrator": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, `jk_<id>_<secret>`, that `python -m bot apikey add` has made.",
    },
    "stripe": {
        "type": "apiKey",
        "in": "header",
        "name": "Stripe-Signature",
        "description": "`t=<seconds>,v1=<hex>`: HMAC-SHA256 of `<t>.<body>` with the secret, 5 minutes old at most.",
    },
    "standard_webhooks": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": (
            "`v1,<base64>`: HMAC-SHA256 of `<webhook-id>.<webhook-timestamp>.<body>` with the bytes of the secret. The "
            "two headers named there come with it; the timestamp is 5 minutes old at most. See standardwebhooks.com."
        ),
    },
    "twilio": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Twilio-Signature",
        "description": "As Twilio signs its requests, over the public address and the fields of the form.",
    },
    "ticket": {
        "type": "apiKey",
        "in": "query",
        "name": "ticket",
        "description": "From `POST /api/ticket`: tokens never stand in an address.",
    },
}
_PARAMETERS = {
    "idempotency_key": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": (
            "The same key and body get the first answer again for 24 hours; another body is `invalid`, and one that is "
            "still under way `not_now` with `Retry-After`."
        ),
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
    },
    "locale": {
        "name": "locale",
        "in": "query",
        "description": "The language of texts; without it, what `Accept-Language` prefers.",
        "schema": {"type": "string", "examples": list(LOCALES)},
    },
    "last_event_id": {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "What a browser says when it comes back by itself.",
        "schema": {"type": "string", "pattern": "^[0-9]{1,15}$"},
    },
}


class _Writer:
    def __init__(self, words: Words) -> None:
        self._story = Story(words)
        rows = OPERATIONS.values()
        types: list[Any] = [each.answer for each in rows if each.answer is not None]
        types += [model for each in rows for model in (each.body, *each.also.values()) if model is not None]
        commands = [row for rows in COMMANDS.values() for row in rows.values()]
        types += [row.payload for row in commands]
        types += [answers.Refused, *dict.fromkeys(row.ack for row in commands)]
        self.schemas = Schemas(types)
        # Of these each field is a parameter, and the whole is referred to by nobody.
        self._queries = Schemas(each.query for each in rows if each.query is not None)

    def operations(self, routes: set[Key]) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Path, method and operation of every row that has a route, and of every command."""
        for (method, path), row in OPERATIONS.items():
            if (method, path) in routes:
                yield path, method, self._operation(method, path, row)
        for (method, path), audience in COMMAND_ROUTES.items():
            if (method, path) in routes:
                for command in COMMANDS[audience]:
                    yield path.replace("{command}", command), method, self._command(audience, command)

    def _operation(self, method: str, path: str, row: Operation) -> dict[str, Any]:
        codes = (*row.codes, *(CODES_WITH_A_BODY if row.body else ()), *(CODES_EVERYWHERE if row.is_api else ()))
        operation: dict[str, Any] = {
            "operationId": row.name,
            "summary": row.summary,
            "tags": [row.tag],
            "security": SECURITY[row.security],
            "parameters": [*_path_parameters(path), *self._query(row), *_shared_parameters(method, path, row)],
            "responses": {str(row.status): self._success(row), **self._others(row), **self._refusals(codes)},
        }
        if row.body is not None:
            examples = {"example": {"value": row.request}} if row.request else {}
            operation["requestBody"] = self._body(row.body, examples)
        return operation

    def _command(self, audience: Audience, command: str) -> dict[str, Any]:
        row, examples = COMMANDS[audience][command], examples_of(audience, command)
        ack = self.schemas.of(row.ack)
        content = {"schema": ack, "examples": {"done": {"value": ack_of(audience, command)}}}
        codes = (*CODES_OF_ALL, *row.codes, *CODES_WITH_A_BODY, "too_many_requests", *CODES_EVERYWHERE)
        right = {each.name: {"value": each.payload} for each in examples if each.code is None}
        return {
            "operationId": f"{audience}_{command}",
            "summary": summary_of(row.payload),
            "tags": [f"commands of a {audience}"],
            "security": SECURITY[audience],
            "parameters": [{"$ref": "#/components/parameters/locale"}],
            "requestBody": self._body(row.payload, right),
            "responses": {"200": {"description": "Done.", "content": {JSON: content}}, **self._refusals(codes)},
            "x-scenes": {each.name: each.scene for each in examples if each.code is None},
            "x-refused": [refused_example(each) for each in examples if each.code is not None],
        }

    def _body(self, model: Any, examples: dict[str, Any]) -> dict[str, Any]:
        content = {"schema": self.schemas.of(model), **({"examples": examples} if examples else {})}
        return {"required": True, "content": {JSON: content}}

    def _success(self, row: Operation) -> dict[str, Any]:
        if not row.media:
            return {"description": "The connection becomes a WebSocket."}
        if row.answer is None:
            return {"description": row.summary, "content": {row.media: {"schema": {"type": "string"}}}}
        example = row.example(self._story) if callable(row.example) else row.example
        content = {"schema": self.schemas.of(row.answer), "examples": {"example": {"value": example}}}
        return {"description": row.summary, "content": {row.media: content}}

    def _others(self, row: Operation) -> dict[str, Any]:
        return {
            str(status): {"description": row.summary, "content": {JSON: {"schema": self.schemas.of(model)}}}
            for status, model in row.also.items()
        }

    def _refusals(self, codes: Iterable[str]) -> dict[str, Any]:
        """One response for each status, with an example of every code that has it."""
        by_status: dict[int, list[str]] = {}
        for code in dict.fromkeys(codes):
            by_status.setdefault(STATUS_BY_CODE[code], []).append(code)
        return {str(status): self._refusal(together) for status, together in sorted(by_status.items())}

    def _refusal(self, codes: list[str]) -> dict[str, Any]:
        examples = {code: {"value": {"error": self._story.error(code)}} for code in codes}
        content = {"schema": self.schemas.of(answers.Refused), "examples": examples}
        return {"description": " ".join(replies.REFUSALS[code] for code in codes), "content": {JSON: content}}

    def _query(self, row: Operation) -> list[dict[str, Any]]:
        if row.query is None:
            return []
        schema: Schema = self._queries.resolved(self._queries.of(row.query))
        return [
            {"name": name, "in": "query", "required": name in schema.get("required", ()), "schema": each}
            for name, each in schema["properties"].items()
        ]


def refused_example(example: Example) -> dict[str, Any]:
    """A command that is sent wrongly or at the wrong time, and what it is answered."""
    return {
        "name": example.name,
        "scene": example.scene,
        "payload": example.payload,
        "status": example.status,
        "code": example.code,
        "fields": list(example.fields),
    }


def _path_parameters(path: str) -> list[dict[str, Any]]:
    names = [part.partition("}")[0] for part in path.split("{")[1:]]
    return [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]


def _shared_parameters(method: str, path: str, row: Operation) -> list[dict[str, Any]]:
    names = ["locale"] if row.is_api else []
    names += ["last_event_id"] if "sse" in path else []
    names += ["idempotency_key"] if method == "POST" and row.security == "integrator" else []
    return [{"$ref": f"#/components/parameters/{name}"} for name in names]
