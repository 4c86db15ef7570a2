"""Cases, each by its number and a seed: made of the examples of the contract, then bent; the same again every time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal
from urllib.parse import quote

import orjson

from bot.contract.examples import examples_of
from bot.contract.operations import OPERATIONS
from bot.errors import Refusal
from bot.identity import Audience
from bot.schemas.commands import COMMANDS
from bot.schemas.fields import Payload
from bot.schemas.parsing import parse
from bot.schemas.requests import WebSocketFrame
from bot.web.socketio.packets import decode_packet
from tests.fuzz.nonsense import bend, noise, text_of, value

Way = Literal["http", "raw", "socket_io", "websocket"]
AUDIENCES: tuple[Audience, ...] = ("guest", "therapist")
STREAMS = ("/api/poll/bookings", "/api/sse/bookings", "/ws/bookings", "/api/bookings/realtime")
PAGES = ("/api/services", "/api/therapists", "/api/client-settings", "/words/en.json", "/chat", "/vendor/x", "/nowhere")
PARAMETERS = ("since", "feed", "epoch", "wait", "ticket", "locale", "latitude", "longitude", "duration", "x")
EVENT_NAMES = ("connect", "disconnect", "connect_error", "*", "", "__proto__", "session", "entry", "nobody_asked")
NAMESPACES = ("", "/", "/nowhere", "/GUEST", "/a?b=c", "/" + "x" * 300)
PACKETS = ("40", "41", "43", "44", "45", "451-", "46", "4", "2", "3", "5", "6", "b")
HANDSHAKE = (
    b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
    b"Sec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to send. `is_wrong`: it must change nothing, whatever it is answered; `is_shut`: it must be refused."""

    number: int
    way: Way
    is_wrong: bool
    sender: Audience = "guest"
    method: str = "POST"
    address: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_shut: bool = False

    def __str__(self) -> str:
        place = f"{self.method} {self.address[:120]}" if self.way == "http" else self.sender
        return f"case {self.number}, {self.way}, {place}, {dict(self.headers)}: {self.body[:300]!r}"


@dataclass(frozen=True, slots=True)
class Cast:
    """Who sends, and what is known of people who do not: their ids look right and open nothing."""

    tokens: Mapping[Audience, str]
    present: Mapping[str, Any]
    """The story's ids and what they are called here."""
    revision: int
    strange: Sequence[str]


class Cases:
    """`case(number)` of this seed."""

    def __init__(self, seed: int, cast: Cast) -> None:
        self._seed = seed
        self._cast = cast
        self._payloads = {
            (audience, command): [self._present(dict(each.payload)) for each in examples_of(audience, command)]
            for audience in AUDIENCES
            for command in COMMANDS[audience]
        }
        self._bodies: dict[str, tuple[type[Payload], Mapping[str, Any]]] = {
            path: (row.body, row.request or {})  # type: ignore[misc]  # the bodies of routes are payloads
            for (method, path), row in OPERATIONS.items()
            if method == "POST" and row.body is not None
        }
        self._ways: tuple[tuple[int, Callable[[int, Random], Case]], ...] = (
            (26, self._http_command),
            (30, self._socket_io),
            (18, self._websocket),
            (8, self._http_body),
            (8, self._stream),
            (5, self._page),
            (5, self._raw),
        )

    def case(self, number: int) -> Case:
        random = Random(f"{self._seed}:{number}")
        weights, makers = zip(*self._ways, strict=True)
        [make] = random.choices(makers, weights)
        made: Case = make(number, random)
        return made

    # --- commands -----------------------------------------------------------------------------------------------------

    def _command(self, random: Random) -> tuple[Audience, str, Any]:
        audience, command = random.choice(list(self._payloads))
        payload = random.choice(self._payloads[audience, command])
        if "client_id" in payload:
            # Each has one of its own, else the first answer would be all that is ever given.
            payload = {**payload, "client_id": f"z{random.getrandbits(60):x}"}
        if random.random() < 0.8:
            payload = bend(payload, random, self._cast.strange)
        return audience, command, payload

    def _http_command(self, number: int, random: Random) -> Case:
        audience, command, payload = self._command(random)
        body = text_of(payload).encode()
        if random.random() < 0.15:
            body = noise(body, random)
        headers, is_known = self._headers(random, audience)
        if random.random() < 0.05:
            command, is_known = random.choice(("nothing", "a" * 500, "__proto__", "session_")), False
        is_wrong = not (is_known and is_valid(audience, command, _json(body)))
        return Case(number, "http", is_wrong, audience, "POST", f"/api/{audience}/{command}", headers, body)

    def _socket_io(self, number: int, random: Random) -> Case:
        audience, command, payload = self._command(random)
        name = random.choice(EVENT_NAMES) if random.random() < 0.06 else command
        ack_id = random.choice(("", "0", "00", "999999999999999", "9999999999999999", "²", "-1"))
        ack_id = str(number) if random.random() < 0.8 else ack_id
        arguments = [payload] if random.random() < 0.92 else [payload, value(random)][: random.choice((0, 2))]
        namespace = (
            f"/{audience}" if random.random() < 0.95 else random.choice(("", "/", "/nowhere", "/GUEST", "/a?b=c"))
        )
        kind = "42" if random.random() < 0.93 else random.choice(("40", "41", "43", "44", "45", "451-", "46", "2", "4"))
        frame = f"{kind}{namespace},{ack_id}{text_of([name, *arguments])}".encode()
        if random.random() < 0.12:
            frame = noise(frame, random)
        return Case(number, "socket_io", not _is_good_packet(audience, frame), audience, body=frame)

    def _websocket(self, number: int, random: Random) -> Case:
        audience, command, payload = self._command(random)
        frame: Any = {"event": command, "data": payload}
        if random.random() < 0.2:
            frame = bend(frame, random, self._cast.strange)
        text = text_of(frame).encode()
        if random.random() < 0.12:
            text = noise(text, random)
        return Case(number, "websocket", not _is_good_frame(audience, text), audience, body=text)

    # --- the other ways in --------------------------------------------------------------------------------------------

    def _http_body(self, number: int, random: Random) -> Case:
        path = random.choice([*self._bodies, "/api/ticket", "/api/guest", "/health/live"])
        model, example = self._bodies.get(path, (None, {"token": "x"}))
        body = text_of(bend(dict(example), random, self._cast.strange)).encode()
        if random.random() < 0.15:
            body = noise(body, random)
        headers, _ = self._headers(random, random.choice(AUDIENCES))
        is_wrong = path != "/api/ticket" and (model is None or not _is_of(model, _json(body)))
        return Case(number, "http", is_wrong, "guest", "POST", path, headers, body)

    def _stream(self, number: int, random: Random) -> Case:
        headers, _ = self._headers(random, random.choice(AUDIENCES))
        if random.random() < 0.3:
            headers["Last-Event-ID"] = _line(value(random, self._cast.strange))
        path = random.choice(STREAMS)
        # A long poll that is right would wait: here it has nothing to wait for.
        query = "wait=0&" if path.startswith("/api/poll") and random.random() < 0.9 else ""
        if random.random() < 0.2:
            address = f"{path}?wait=0&since=0&feed={quote(random.choice(self._cast.strange))}"
            return Case(number, "http", True, "guest", "GET", address, headers, is_shut=True)
        return Case(number, "http", True, "guest", "GET", f"{path}?{query}{self._query(random)}", headers)

    def _page(self, number: int, random: Random) -> Case:
        path = random.choice(PAGES)
        if random.random() < 0.4:
            path += quote(noise(b"/../" + path.encode(), random), safe="/.")
        method = random.choice(("GET", "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH"))
        headers, _ = self._headers(random, "guest")
        return Case(number, "http", True, "guest", method, f"{path}?{self._query(random)}", headers)

    def _raw(self, number: int, random: Random) -> Case:
        """A request as bytes, with a token that opens nothing: it can be cut and bent anywhere."""
        audience, command, payload = self._command(random)
        body = text_of(payload).encode()[:20_000]
        head = f"POST /api/{audience}/{command} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x"
        request = f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        text = HANDSHAKE if random.random() < 0.3 else request
        return Case(number, "raw", True, audience, body=noise(text, random))

    # --- pieces -------------------------------------------------------------------------------------------------------

    def _headers(self, random: Random, audience: Audience) -> tuple[dict[str, str], bool]:
        """Headers, and whether the token among them is one that opens something."""
        headers = {"Authorization": f"Bearer {self._cast.tokens[audience]}", "Content-Type": "application/json"}
        if random.random() < 0.85:
            return headers, True
        name = random.choice(("Authorization", "Authorization", "Content-Type", "Accept-Language", "Origin", "Cookie"))
        token = self._cast.tokens[audience]
        bent = random.choice((_line(value(random)), f"Bearer {token[:-2]}", f"Basic {token}", "Bearer", "Bearer " * 9))
        return {**headers, name: bent}, name != "Authorization"

    def _query(self, random: Random) -> str:
        pairs = []
        for _ in range(random.randint(0, 3)):
            name = random.choice(PARAMETERS)
            pairs.append(f"{name}={quote(_bytes(value(random, self._cast.strange))[:3000])}")
        return "&".join(pairs)

    def _present(self, payload: Any) -> Any:
        if isinstance(payload, dict):
            present = {name: self._present(each) for name, each in payload.items()}
            return {**present, "revision": self._cast.revision} if payload.get("revision") else present
        return self._cast.present.get(payload, payload) if isinstance(payload, str) else payload


def is_valid(audience: Audience, command: str, payload: Any) -> bool:
    """Whether the form of a command is right: then it may change something."""
    row = COMMANDS[audience].get(command)
    model = row.payload if row else None
    return model is not None and _is_of(model, payload)


def _is_of(model: Any, payload: Any) -> bool:
    try:
        parse(model, payload)
    except Refusal:
        return False
    return True


def _json(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _is_good_packet(audience: Audience, frame: bytes) -> bool:
    text = frame.decode(errors="replace")
    try:
        packet = decode_packet(text[1:])
    except ValueError:
        return False
    # A connect is one too: it may bring somebody in whom nobody knows yet.
    is_event = packet.kind == 2 and isinstance(packet.data, list) and len(packet.data) == 2
    return is_event and is_valid(audience, packet.data[0], packet.data[1])


def _is_good_frame(audience: Audience, text: bytes) -> bool:
    frame = _json(text.decode(errors="replace").encode())
    return _is_of(WebSocketFrame, frame) and is_valid(audience, frame["event"], frame["data"])


def _bytes(strange: Any) -> bytes:
    text = strange if isinstance(strange, str) else text_of(strange)
    return text.encode(errors="surrogatepass")


def _line(strange: Any) -> str:
    """As much of a value as a header of HTTP can carry."""
    return "".join(char for char in _bytes(strange)[:3000].decode("latin-1") if char.isprintable())
