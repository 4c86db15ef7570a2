"""Holds every answer that a test sees against the models of the contract, whichever transport it came on."""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import orjson
import pytest
from aiohttp import web
from pydantic import TypeAdapter, ValidationError

import bot.app
from bot.contract import answers, streams
from bot.contract.entries import GuestEntry, TherapistEntry
from bot.contract.operations import COMMAND_ROUTES, OPERATIONS
from bot.identity import Audience
from bot.schemas.command import CODES_OF_ALL, Command
from bot.schemas.commands import COMMANDS


def any_of(models: Iterable[Any]) -> Any:
    """The union of the models."""
    return functools.reduce(operator.or_, models)


ANY_ENTRY = GuestEntry | TherapistEntry
ANY_ACK_FRAME = any_of(
    streams.frame_of(model)
    for model in {answers.RefusedAck, *(row.ack for rows in COMMANDS.values() for row in rows.values())}
)
NAMED_EVENTS = {
    "start": streams.StreamStart,
    "resync": streams.StreamStart,
    "end": streams.Nothing,
    "going_away": streams.GoingAway,
    **{name: streams.GUEST_SIGNALS[name] | streams.THERAPIST_SIGNALS[name] for name in streams.GUEST_SIGNALS},
}
SOCKETS = ("/ws/bookings", "/api/bookings/realtime")


# What any route may be answered, whatever it is for.
OF_ANY_ROUTE = ("too_large", "too_many_requests", "unavailable")


class Watch:
    """What was sent that the contract does not say; a test that has seen any fails at its end."""

    def __init__(self) -> None:
        self.breaches: list[str] = []
        self.seen = 0

    def check(self, where: str, model: Any, body: bytes | str | dict[str, Any]) -> None:
        self.seen += 1
        adapter = _adapter(model)
        try:
            adapter.validate_python(body) if isinstance(body, dict) else adapter.validate_json(body)
        except ValidationError as error:
            self.breaches.append(f"{where}: {error}\nin {body!r:.2000}")

    # --- Socket.IO, as its client hears it ----------------------------------------------------------------------------

    def event(self, namespace: str, name: str, data: Any) -> None:
        model = _event_model("guest" if namespace == "/guest" else "therapist", name)
        if model is None:
            self.breaches.append(f"{namespace}: an event {name!r} that is in no document")
        else:
            self.check(f"{namespace} {name}", model, data)

    def ack(self, namespace: str, command: str, ack: Any) -> None:
        audience: Audience = "guest" if namespace == "/guest" else "therapist"
        row = COMMANDS[audience].get(command)
        self.check(f"{namespace} {command}", row.ack if row and ack.get("ok") else answers.RefusedAck, ack)
        self._check_code(f"{namespace} {command}", row, ack)

    def _check_code(self, where: str, row: Command | None, body: dict[str, Any]) -> None:
        """A command is refused only with what its row says, and with what any command may be refused with."""
        code = None if body.get("ok") else (body.get("error") or {}).get("code")
        if row is not None and code is not None and code not in (*row.codes, *CODES_OF_ALL, *OF_ANY_ROUTE):
            self.breaches.append(f"{where}: the row of the command does not name the code {code!r}")

    # --- HTTP, as the server sends it ---------------------------------------------------------------------------------

    async def response(self, request: web.Request, response: web.StreamResponse) -> None:
        resource = request.match_info.route.resource
        if not isinstance(response, web.Response) or resource is None or not isinstance(response.body, bytes):
            return
        key = ("GET" if request.method == "HEAD" else request.method, resource.canonical)
        model = self._model_of(key, request.match_info.get("command", ""), response.status)
        if model is not None and response.body:
            self.check(f"{key} {response.status}", model, response.body)
        command = request.match_info.get("command", "")
        if key in COMMAND_ROUTES and (row := COMMANDS[COMMAND_ROUTES[key]].get(command)):
            self._check_code(f"{key} {command}", row, orjson.loads(response.body))

    def _model_of(self, key: tuple[str, str], command: str, status: int) -> Any:
        if key in COMMAND_ROUTES and status == 200:
            return COMMANDS[COMMAND_ROUTES[key]][command].ack
        row = OPERATIONS.get(key)
        if row is not None and status == row.status:
            return row.answer
        if row is not None and status in row.also:
            return row.also[status]
        return answers.Refused if key[1].startswith("/api/") else None

    # --- frames and events of the streams -----------------------------------------------------------------------------

    def frame(self, text: str | bytes) -> None:
        frame = orjson.loads(text)
        if "start" in frame:
            self.check("WebSocket", streams.SocketStart, text)
        elif "signal" in frame:
            self.check("WebSocket", streams.SignalFrame, text)
        elif "ack" in frame:
            self.check("WebSocket", ANY_ACK_FRAME, text)
        else:
            self.check("WebSocket", ANY_ENTRY, text)

    def sent_events(self, text: str) -> None:
        for event in text.split("\n\n"):
            lines = dict(line.split(": ", 1) for line in event.splitlines() if not line.startswith(":"))
            if "data" in lines:
                self._sent_event(lines.get("event"), lines["data"])

    def _sent_event(self, name: str | None, data: str) -> None:
        model = ANY_ENTRY if name is None else NAMED_EVENTS.get(name)
        if model is None:
            self.breaches.append(f"server-sent events: an event {name!r} that is in no document")
        else:
            self.check(f"server-sent event {name}", model, data)


_adapters: dict[int, TypeAdapter[Any]] = {}
_models: list[Any] = []


def _adapter(model: Any) -> TypeAdapter[Any]:
    """Kept by which object a type is: not all of them can be hashed, and what they are called takes long to say."""
    adapter = _adapters.get(id(model))
    if adapter is None:
        _models.append(model)  # or another type could come to have its id
        adapter = _adapters[id(model)] = TypeAdapter(model)
    return adapter


def _event_model(audience: Audience, name: str) -> Any:
    if name == "session":
        return answers.GuestSession if audience == "guest" else answers.TherapistSession
    if name == "entry":
        return GuestEntry if audience == "guest" else TherapistEntry
    signals = streams.GUEST_SIGNALS if audience == "guest" else streams.THERAPIST_SIGNALS
    return {**signals, "going_away": streams.GoingAway, "connect_error": streams.ConnectRefused}.get(name)


WATCH = Watch()


@pytest.fixture(scope="session", autouse=True)
def _watched() -> Iterator[None]:
    """Every application that is built in these tests is watched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bot.app, "build", _watching(bot.app.build))
        for way in ("send_str", "send_frame"):
            patch.setattr(web.WebSocketResponse, way, _sending(getattr(web.WebSocketResponse, way)))
        patch.setattr(web.StreamResponse, "write", _writing(web.StreamResponse.write))
        yield


def _watching(build: Callable[..., Any]) -> Callable[..., Any]:
    def watched(*arguments: Any) -> Any:
        built = build(*arguments)
        built[0].on_response_prepare.append(WATCH.response)
        return built

    return watched


def _sending(send: Callable[..., Any]) -> Callable[..., Any]:
    async def watched(self: Any, data: str | bytes, *more: Any, **named: Any) -> None:
        if self._req is not None and self._req.path in SOCKETS:
            WATCH.frame(data)
        await send(self, data, *more, **named)

    return watched


def _writing(write: Callable[..., Any]) -> Callable[..., Any]:
    async def watched(self: Any, data: bytes) -> None:
        if self.content_type == "text/event-stream":
            WATCH.sent_events(bytes(data).decode())
        await write(self, data)

    return watched


@pytest.fixture(autouse=True)
def _as_the_contract_says() -> Iterator[None]:
    """Whatever was sent in a test stands in the documents, field by field."""
    WATCH.breaches.clear()
    yield
    assert not WATCH.breaches, "\n\n".join(WATCH.breaches[:3])
