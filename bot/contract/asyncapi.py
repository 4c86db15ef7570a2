"""`/asyncapi.json`: every message of every realtime transport with its model, examples and answers, as AsyncAPI 3.0."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from bot import __version__
from bot.contract import answers
from bot.contract.events import READERS, ChannelName, Spoken, entries_of, others_of
from bot.contract.examples import ack_of, examples_of
from bot.contract.openapi import ABOUT, TITLE, error_codes, refused_example
from bot.contract.schemas import Schema, Schemas, WithoutMapping, summary_of
from bot.contract.shapes import Sent
from bot.contract.story import TOKEN, Story
from bot.contract.streams import frame_of
from bot.identity import Audience
from bot.schemas.commands import COMMANDS
from bot.schemas.fields import Payload
from bot.schemas.guest import GuestConnect
from bot.schemas.requests import StreamQuery
from bot.schemas.therapist import TherapistConnect
from bot.words import Words

CONNECTS: Mapping[Audience, type[Payload]] = {
    "guest": GuestConnect,
    "therapist": TherapistConnect,
}
CHANNELS: Mapping[ChannelName, tuple[str, str]] = {
    "guest": ("/guest", "The namespace of guests on Socket.IO (Engine.IO 4, WebSocket, any official client v4)."),
    "therapist": ("/therapist", "The namespace of therapists on Socket.IO."),
    "websocket": (
        "/ws/bookings",
        "A plain WebSocket, also at `/api/bookings/realtime`: a text frame is one entry, an ack or a command. "
        "Frames are JSON.",
    ),
    "sse": (
        "/api/sse/bookings",
        "Server-sent events: an entry is an event without a name whose `id` is its `seq`; the others have names. "
        "A comment comes at least every 15 s.",
    ),
    "poll": ("/api/poll/bookings", "Long poll, for where nothing else comes through."),
}
CONNECT_EXAMPLES: Mapping[Audience, Mapping[str, Any]] = {
    "guest": {"for_the_first_time": {"locale": "en", "timezone": "Asia/Jakarta"}},
    "therapist": {"again": {"token": TOKEN, "locale": "id"}},
}


def asyncapi_document(words: Words, server_url: str | None = None) -> dict[str, Any]:
    return _Writer(words).document(server_url)


class _Writer:
    def __init__(self, words: Words) -> None:
        story = Story(words)
        self._spoken = [*entries_of(story), *others_of(story)]
        self._acks: dict[type, dict[str, Any]] = {
            **{model: ack_of(*command) for model, command in _acks().items()},
            answers.RefusedAck: {"ok": False, "error": story.error("not_now")},
        }
        types: list[Any] = [each.model for each in self._spoken]
        types += [StreamQuery, *CONNECTS.values()]
        types += [row.payload for rows in COMMANDS.values() for row in rows.values()]
        types += [each for model in self._acks for each in (model, frame_of(model))]
        self._schemas = Schemas(types, WithoutMapping)
        self._messages: dict[str, dict[str, Any]] = {}
        self._channels: dict[str, dict[str, Any]] = {}
        self._operations: dict[str, dict[str, Any]] = {}

    def document(self, server_url: str | None) -> dict[str, Any]:
        for name, (address, description) in CHANNELS.items():
            self._channels[name] = {"address": address, "description": description, "messages": {}}
        self._channels["websocket"]["bindings"] = {"ws": {"method": "GET", "query": self._query}}
        self._add_what_is_spoken()
        for reader in READERS:
            self._add_connect(reader)
            for command in COMMANDS[reader]:
                self._add_command(reader, command)
        self._add_frames()
        self._add_poll()
        return {
            "asyncapi": "3.0.0",
            "info": {"title": TITLE, "version": __version__, "description": ABOUT},
            "defaultContentType": "application/json",
            "servers": {"janji": _server(server_url)},
            "channels": self._channels,
            "operations": self._operations,
            "components": {"messages": self._messages, "schemas": self._schemas.components},
            "x-error-codes": error_codes(),
        }

    # --- what the server says -----------------------------------------------------------------------------------------

    def _add_what_is_spoken(self) -> None:
        by_channel: dict[ChannelName, list[str]] = {}
        for each in self._spoken:
            self._add_message(each.key, _message_of(each, self._schemas.of(each.model)))
            for channel in each.channels:
                self._put(channel, each.key)
                by_channel.setdefault(channel, []).append(each.key)
        for channel, keys in by_channel.items():
            if channel != "poll":  # it says nothing by itself
                self._operations[f"say_to_{channel}"] = {
                    "action": "send",
                    "channel": _ref(f"channels/{channel}"),
                    "summary": "What the server says by itself.",
                    "messages": [_ref(f"channels/{channel}/messages/{key}") for key in keys],
                }

    # --- what clients say ---------------------------------------------------------------------------------------------

    def _add_connect(self, reader: Audience) -> None:
        model = CONNECTS[reader]
        message = {
            "name": "connect",
            "title": f"connect of a {reader}",
            "summary": summary_of(model),
            "payload": self._schemas.of(model),
            "examples": _examples(CONNECT_EXAMPLES[reader]),
            "x-sender": reader,
            "x-when": "To come in, as the `auth` of the connect; answered with `session` or `connect_error`.",
        }
        key = f"connect_of_{reader}"
        self._add_message(key, message)
        self._add_exchange(reader, key, [f"session_of_{reader}", "connect_error"])

    def _add_command(self, reader: Audience, command: str) -> None:
        row, examples = COMMANDS[reader][command], examples_of(reader, command)
        right = [each for each in examples if each.code is None]
        message = {
            "name": command,
            "title": command,
            "summary": summary_of(row.payload),
            "payload": self._schemas.of(row.payload),
            "examples": _examples({each.name: each.payload for each in right}),
            "x-sender": reader,
            "x-scenes": {each.name: each.scene for each in right},
            "x-refused": [refused_example(each) for each in examples if each.code is not None],
        }
        key = f"{reader}_{command}"
        self._add_message(key, message)
        self._add_exchange(reader, key, [self._add_ack(row.ack), self._add_ack(answers.RefusedAck)])

    def _add_ack(self, model: type) -> str:
        key = f"ack_{model.__name__}"
        self._add_message(key, _answer(f"ack: {_spaced(model)}", model, self._schemas.of(model), self._acks[model]))
        return key

    # --- the transports besides Socket.IO -----------------------------------------------------------------------------

    def _add_frames(self) -> None:
        """Commands on a plain WebSocket: the same payloads and the same acks in frames of their own."""
        commands = [self._frame_of(reader, name) for reader in READERS for name in COMMANDS[reader]]
        example = examples_of("guest", "message")[0].payload
        message = {
            "name": "command",
            "title": "a command",
            "summary": "A command of the namespace of who has the token, with the same payload.",
            "payload": {"oneOf": commands},
            "examples": _examples({"a_message": {"event": "message", "data": example}}),
            "x-sender": "guest or therapist",
            "x-when": "As on Socket.IO.",
        }
        self._add_message("command_frame", message)
        acks = []
        for model, ack in self._acks.items():
            frame = frame_of(model)
            acks.append(f"frame_{model.__name__}")
            self._add_message(
                acks[-1], _answer(f"frame: {_spaced(model)}", frame, self._schemas.of(frame), {"ack": "4f1d-7", **ack})
            )
        self._add_exchange("websocket", "command_frame", acks)

    def _frame_of(self, reader: Audience, command: str) -> Schema:
        return {
            "type": "object",
            "title": f"{command} of a {reader}",
            "additionalProperties": False,
            "required": ["event", "data"],
            "properties": {"event": {"const": command}, "data": self._schemas.of(COMMANDS[reader][command].payload)},
        }

    def _add_poll(self) -> None:
        message = {
            "name": "query",
            "title": "the query",
            "summary": summary_of(StreamQuery),
            "payload": self._schemas.of(StreamQuery),
            "examples": _examples({"from_a_cursor": {"since": 12, "wait": 20.0}}),
            "x-sender": "guest or therapist",
            "x-when": "Again and again, each time with the `last_seq` of the answer before.",
        }
        self._add_message("query_of_poll", message)
        self._add_exchange("poll", "query_of_poll", [f"page_of_{reader}" for reader in READERS])
        self._operations["hear_query_of_poll"]["bindings"] = {"http": {"method": "GET", "query": self._query}}

    def _add_exchange(self, channel: ChannelName, asked: str, answered_by: list[str]) -> None:
        for key in (asked, *answered_by):
            self._put(channel, key)
        self._operations[f"hear_{asked}"] = {
            "action": "receive",
            "channel": _ref(f"channels/{channel}"),
            "summary": self._messages[asked]["summary"],
            "messages": [_ref(f"channels/{channel}/messages/{asked}")],
            "reply": {
                "channel": _ref(f"channels/{channel}"),
                "messages": [_ref(f"channels/{channel}/messages/{key}") for key in answered_by],
            },
        }

    @property
    def _query(self) -> Schema:
        return self._schemas.resolved(self._schemas.of(StreamQuery))

    def _add_message(self, key: str, message: dict[str, Any]) -> None:
        self._messages[key] = message

    def _put(self, channel: str, key: str) -> None:
        self._channels[channel]["messages"][key] = _ref(f"components/messages/{key}")


def _acks() -> dict[type, tuple[Audience, str]]:
    """For each kind of ack a command that has it."""
    found: dict[type, tuple[Audience, str]] = {}
    for reader in READERS:
        for command in COMMANDS[reader]:
            found.setdefault(COMMANDS[reader][command].ack, (reader, command))
    return found


def _message_of(spoken: Spoken, payload: Schema) -> dict[str, Any]:
    message = {
        "title": spoken.title,
        "summary": summary_of(spoken.model),
        "payload": payload,
        "examples": _examples(spoken.examples),
        "x-sender": "server",
        "x-when": spoken.when,
    }
    return {"name": spoken.name, **message} if spoken.name else message


def _answer(title: str, model: type[Sent], payload: Schema, example: Any) -> dict[str, Any]:
    return {
        "name": "ack",
        "title": title,
        "summary": summary_of(model),
        "payload": payload,
        "examples": _examples({"example": example}),
        "x-sender": "server",
        "x-when": "In answer to a command.",
    }


def _spaced(model: type[Sent]) -> str:
    return " ".join(re.findall("[A-Z][a-z]*", model.__name__)).lower()


def _examples(by_name: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"name": name, "payload": payload} for name, payload in by_name.items()]


def _server(url: str | None) -> dict[str, Any]:
    parts = urlsplit(url or "http://localhost:8000")
    return {"host": parts.netloc, "protocol": "wss" if parts.scheme == "https" else "ws"}


def _ref(path: str) -> dict[str, str]:
    return {"$ref": f"#/{path}"}
