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
from bot.contract.examples import ACKS
from bot.contract.operations import COMMAND_ROUTES, OPERATIONS
from bot.identity import Audience


def any_of(models: Iterable[Any]) -> Any:
    """The union of the models."""
    return functools.reduce(operator.or_, models)


ANY_ENTRY = GuestEntry | TherapistEntry
ANY_ACK_FRAME = any_of(
    streams.frame_of(model)
    for model in {answers.Done, answers.RefusedAck, *(ack for acks in ACKS.values() for ack in acks.values())}
)
NAMED_EVENTS = {
    "start": streams.StreamStart,
    "resync": streams.StreamStart,
    "end": streams.Nothing,
    "going_away": streams.GoingAway,
    **{name: streams.GUEST_SIGNALS[name] | streams.THERAPIST_SIGNALS[name] for name in streams.GUEST_SIGNALS},
}
SOCKETS = ("/ws/bookings", "/api/bookings/realtime")


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
        model = ACKS[audience].get(command, answers.Done) if ack.get("ok") else answers.RefusedAck
        self.check(f"{namespace} {command}", model, ack)

    # --- HTTP, as the server sends it ---------------------------------------------------------------------------------

    async def response(self, request: web.Request, response: web.StreamResponse) -> None:
        resource = request.match_info.route.resource
        if not isinstance(response, web.Response) or resource is None or not isinstance(response.body, bytes):
            return
        key = ("GET" if request.method == "HEAD" else request.method, resource.canonical)
        model = self._model_of(key, request.match_info.get("command", ""), response.status)
        if model is not None and response.body:
            self.check(f"{key} {response.status}", model, response.body)

    def _model_of(self, key: tuple[str, str], command: str, status: int) -> Any:
        if key in COMMAND_ROUTES and status == 200:
            return ACKS[COMMAND_ROUTES[key]].get(command, answers.Done)
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
