"""The event catalogue, `docs/events.md`: the AsyncAPI document as a page for people."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bot.contract.asyncapi import asyncapi_document
from bot.words import Words

Document = Mapping[str, Any]
PAGE = Path(__file__).parent.parent.parent / "docs" / "events.md"
HEAD = """# What is said on the wire

This page is written by `make contracts` from `/asyncapi.json`, which is made of the models in use; a test fails when it
differs. Commands over HTTP and the other routes stand in `/openapi.json`.

Every fact stands in a *feed* before anybody hears of it: an ordered log whose entries have a gap-free `seq`. A reader
who says `since` gets everything after it, on whichever transport. Text in entries is in the reader's language. Entries
of a type that a client does not know are to be passed over, and their `seq` counted.
"""
# The sections, each with the keys of its messages by how they begin.
ENVELOPE = ("feed", "seq", "id", "at")
WIDTH = 110
# The sections, each with what its messages' keys begin with.
SECTIONS = (
    (
        "Entries of the feeds",
        "The same on every transport: `entry` on Socket.IO, a frame of a plain WebSocket, an event without a name of "
        "server-sent events, one of `entries` in a page of long poll. Besides what is told below, each has its `feed`, "
        "its number `seq` there, an `id` that is the same everywhere, and the moment `at`.",
        ("entry_",),
    ),
    (
        "Live signals",
        "While a visit is on. They have no `seq`, are never stored, and say how it is now. On Socket.IO and "
        "server-sent events each is an event of its name.",
        ("signal_",),
    ),
    ("Coming and going on Socket.IO", "", ("connect", "session_", "going_away")),
    (
        "Commands of a guest",
        "Each is acked. `client_id` is chosen by the sender: the same one again gets the first answer again.",
        ("guest_",),
    ),
    ("Commands of a therapist", "Each is acked.", ("therapist_",)),
    ("Answers to commands", "", ("ack_",)),
    ("Streams without Socket.IO", "", ("start", "resync", "end", "query_", "page_", "command_", "frame_")),
)


def page() -> str:
    return "\n".join(_lines(asyncapi_document(Words())))


def write() -> str:
    """Put the page into the documents, and say what was done."""
    PAGE.write_text(page(), encoding="utf-8")
    return "docs/events.md is current\n"


def _lines(document: Document) -> Iterator[str]:
    yield HEAD
    messages: Document = document["components"]["messages"]
    placed: set[str] = set()
    for title, text, beginnings in SECTIONS:
        keys = [key for key in messages if key.startswith(beginnings) and key not in placed]
        placed.update(keys)
        yield f"## {title}\n"
        yield from (f"{text}\n",) if text else ()
        for key in keys:
            yield from _message(document, key, messages[key])
    assert placed == messages.keys(), f"these messages belong to no section: {messages.keys() - placed}"
    yield from _shapes(document)
    yield from _codes(document["x-error-codes"])


def _message(document: Document, key: str, message: Document) -> Iterator[str]:
    yield f"### {message['title']}\n"
    facts = [message["summary"]] if message["summary"] else []
    named = f" as `{message['name']}`" if "name" in message else ""
    facts.append(f"**From** the {message['x-sender']}{named}, **on** {', '.join(_channels(document, key))}.")
    if "x-when" in message:
        facts.append(f"**When**: {message['x-when']}")
    if "x-scenes" in message:
        facts.append(f"**When** they are, for example, {_list(sorted(set(message['x-scenes'].values())))}.")
    if answers := _answers(document, key):
        facts.append(f"**Answered** with {_list(answers)}.")
    yield "  \n".join(facts) + "\n"
    yield from _fields(document, message["payload"])
    for example in message["examples"][:1]:
        yield f"```json\n{_pretty(example['payload'])}\n```\n"
    yield from _refusals(message.get("x-refused", ()))


def _channels(document: Document, key: str) -> list[str]:
    return [f"`{each['address']}`" for each in document["channels"].values() if key in each["messages"]]


def _answers(document: Document, key: str) -> list[str]:
    for operation in document["operations"].values():
        if "reply" in operation and operation["messages"][0]["$ref"].endswith(f"/{key}"):
            replies = [each["$ref"].rpartition("/")[2] for each in operation["reply"]["messages"]]
            return [document["components"]["messages"][each]["title"] for each in replies]
    return []


# --- fields and shapes ------------------------------------------------------------------------------------------------


def _fields(document: Document, schema: Document, prefix: str = "") -> Iterator[str]:
    """A table for each form that a payload may have; of an entry what stands in its `data`."""
    for form in _forms(document, schema):
        properties = form.get("properties", {})
        if _is_entry(form):
            yield from _fields(document, properties["data"], "data.")
        elif properties:
            rows = [_row(document, f"{prefix}{name}", each, form) for name, each in properties.items()]
            yield "| field | type | |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _is_entry(form: Document) -> bool:
    return {*ENVELOPE, "data"} <= set(form.get("properties", ()))


def _row(document: Document, name: str, schema: Document, form: Document) -> str:
    optional = "" if name.rpartition(".")[2] in form.get("required", ()) else ", may be left out"
    about = schema.get("description") or _resolved(document, schema).get("description", "")
    about = " ".join(about.split()).replace("|", "\\|")
    return f"| `{name}` | {_type(document, schema)}{optional} | {about} |"


def _forms(document: Document, schema: Document) -> list[Document]:
    resolved = _resolved(document, schema)
    return [_resolved(document, each) for each in resolved.get("oneOf") or resolved.get("anyOf") or (resolved,)]


def _shapes(document: Document) -> Iterator[str]:
    """What the tables refer to."""
    told = [_resolved(document, message["payload"]) for message in document["components"]["messages"].values()]
    told += [form for each in told if _is_entry(each) for form in _forms(document, each["properties"]["data"])]
    yield "## Shapes\n"
    for name, schema in document["components"]["schemas"].items():
        if schema.get("properties") and not any(schema is each for each in told):
            yield f"### {name}\n"
            yield from (f"{schema['description']}\n",) if "description" in schema else ()
            yield from _fields(document, schema)


def _resolved(document: Document, schema: Document) -> Document:
    reference = schema.get("$ref")
    found: Document = document["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema
    return found


def _type(document: Document, schema: Document) -> str:
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    resolved = _resolved(document, schema)
    if "enum" in resolved:
        return ", ".join(f"`{json.dumps(value)}`" for value in resolved["enum"])
    if "$ref" in schema:
        name = str(schema["$ref"]).rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if resolved.get("properties") else "anything"
    if alternatives := schema.get("oneOf") or schema.get("anyOf"):
        return " or ".join(_type(document, each) for each in alternatives)
    if schema.get("type") == "array":
        return f"list of {_type(document, schema.get('items', {}))}"
    return str(schema.get("type", "anything"))


def _refusals(refused: Iterable[Document]) -> Iterator[str]:
    by_code: dict[str, list[str]] = {}
    for each in refused:
        by_code.setdefault(each["code"], []).append(each["name"].replace("_", " "))
    if by_code:
        told = "; ".join(f"`{code}` ({', '.join(names)})" for code, names in by_code.items())
        yield f"Refused, for example, with {told}.\n"


def _codes(codes: Iterable[Document]) -> Iterator[str]:
    rows = [f"| `{each['code']}` | {each['status']} | {each['message']} |" for each in codes]
    yield "## Codes of errors\n"
    yield "| code | status of HTTP | what people are told |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _list(names: Iterable[str]) -> str:
    return ", ".join(f"*{name}*" for name in names)


def _pretty(value: Any, indent: str = "") -> str:
    """JSON with everything on one line that fits there."""
    flat = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(flat) <= WIDTH or not isinstance(value, dict | list):
        return flat
    inner = indent + "  "
    if isinstance(value, list):
        lines = [inner + _pretty(each, inner) for each in value]
        return "[\n" + ",\n".join(lines) + f"\n{indent}]"
    lines = [f"{inner}{json.dumps(name)}: {_pretty(each, inner)}" for name, each in value.items()]
    return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
