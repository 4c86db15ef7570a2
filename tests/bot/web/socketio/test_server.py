"""The Socket.IO gate under clients that are slow, rude, clumsy or gone: real server, real sockets."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import socket
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

import pytest
import socketio
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType, WSServerHandshakeError, web

from bot.errors import Refusal
from bot.web.http.client_address import client_address
from bot.web.socketio import connection, direct_frames, engine, server
from bot.web.socketio.connection import WRITTEN_AHEAD_BYTES, Connection
from bot.web.socketio.door import Post
from bot.web.socketio.gate import Client
from bot.web.socketio.limits import Limits
from bot.web.socketio.packets import decode_packet, encode_event
from bot.web.socketio.server import SocketIOServer
from tests.event_loop import Turns

PATIENCE_S = 8
# Small buffers, so that a client who does not read is felt after kilobytes and not after megabytes.
SMALL_BUFFER = 8192
BIG_FRAME = encode_event("/guest", "entry", {"text": "x" * 10_000})


@pytest.fixture(autouse=True)
def _nobody_writes_tracebacks_for_clients(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a client does, the only tracebacks are those of our own bugs, which these tests play on purpose."""
    yield
    for record in caplog.get_records("call"):
        if record.exc_info is not None:
            error = record.exc_info[1]
            assert isinstance(error, (KeyError, TypeError)), record.getMessage()
        assert record.name != "asyncio", record.getMessage()


class RecordingDoor:
    """Lets in who has a good token, and remembers every call."""

    def __init__(self) -> None:
        self.knocks: list[dict[str, Any]] = []
        self.environs: list[dict[str, Any]] = []
        self.sids: list[str] = []
        self.left: list[tuple[str, str]] = []
        self.calls: list[dict[str, Any]] = []
        self.release = asyncio.Event()
        self.began = asyncio.Event()
        self.server: SocketIOServer | None = None
        self.commands: dict[str, Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]] = {
            "echo": self.echo,
            "wait": self.wait,
            "fail": self.fail,
            "refuse": self.refuse,
            "post": self.echo,
        }
        self.posts = {"post": Post(self.post, lambda payload: {"ok": True, **payload})}
        self.posted: list[asyncio.Future[dict[str, Any]]] = []

    def post(self, sid: str, payload: dict[str, Any]) -> asyncio.Future[dict[str, Any]] | None:
        if payload.get("how") == "refused":
            raise Refusal("offer_taken", "Another therapist has accepted this booking.")
        if payload.get("how") == "as ever":
            return None
        future = asyncio.get_running_loop().create_future()
        self.posted.append(future)
        self.calls.append(payload)
        self.began.set()
        return future

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: dict[str, Any]) -> None:
        self.knocks.append(auth)
        self.environs.append(environ)
        assert self.server is not None
        self.server.emit_encoded([sid], encode_event("/guest", "session", {"hello": sid}))
        if auth.get("token", "good") != "good":
            raise Refusal("unauthorized", "This token is not valid.")
        self.sids.append(sid)

    async def on_disconnect(self, sid: str, reason: str) -> None:
        self.left.append((sid, reason))

    def on_error(self, sid: str, error: Exception) -> dict[str, Any]:
        if isinstance(error, Refusal):
            return error.as_error()
        return {"code": "unavailable", "message": type(error).__name__, "fields": {}, "retry_after_s": None}

    async def echo(self, sid: str, payload: dict[str, Any]) -> dict[str, Any]:
        self.calls.append(payload)
        return {"ok": True, **payload}

    async def wait(self, sid: str, payload: dict[str, Any]) -> dict[str, Any]:
        self.began.set()
        await self.release.wait()
        return await self.echo(sid, payload)

    async def fail(self, sid: str, payload: dict[str, Any]) -> dict[str, Any]:
        raise KeyError("a bug of ours")

    async def refuse(self, sid: str, payload: dict[str, Any]) -> dict[str, Any]:
        raise Refusal("offer_taken", "Another therapist has accepted this booking.")


class House:
    """A served app with one door, and the ways in."""

    def __init__(self, server: SocketIOServer, door: RecordingDoor, runner: web.AppRunner, http: ClientSession) -> None:
        self.server = server
        self.door = door
        self.runner = runner
        self.http = http
        self.port: int = runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.stalled: list[socket.socket] = []
        self.websockets: list[ClientWebSocketResponse] = []

    @property
    def counters(self) -> Any:
        return self.server.counters

    def open_lines(self) -> int:
        """TCP connections that the HTTP server still has."""
        assert self.runner.server is not None
        return len(self.runner.server.connections)

    def connections(self) -> list[Connection]:
        return list(self.server.engine.sockets.values())

    async def websocket(self, **options: Any) -> ClientWebSocketResponse:
        """A WebSocket that has not connected to any namespace yet."""
        url = f"{self.url}/socket.io/?EIO=4&transport=websocket"
        ws: ClientWebSocketResponse = await self.http.ws_connect(url, max_msg_size=0, **options)
        self.websockets.append(ws)
        assert (await ws.receive_str()).startswith('0{"sid":')
        return ws

    async def guest(self, **options: Any) -> ClientWebSocketResponse:
        ws = await self.websocket(**options)
        await ws.send_str("40/guest,")
        assert (await receive(ws, "40/guest,")).startswith('40/guest,{"sid":')
        assert (await receive(ws, "42/guest,")).startswith('42/guest,["session"')
        return ws

    async def official_client(self, **options: Any) -> socketio.AsyncClient:
        client = socketio.AsyncClient(reconnection=False)
        await client.connect(self.url, namespaces=["/guest"], **{"transports": ["websocket"], **options})
        return client

    async def stalled_guest(self) -> socket.socket:
        """A guest who came in and reads nothing of what follows."""
        known = len(self.door.sids)
        line = await raw_websocket(self.port)
        self.stalled.append(line)
        await send_masked(line, "40/guest,")
        await until(lambda: len(self.door.sids) > known)
        return line

    async def gone(self, connections: list[Connection]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*(connection.gone for connection in connections))

    async def close(self) -> None:
        for line in self.stalled:
            line.close()
        await asyncio.gather(*(ws.close() for ws in self.websockets))
        await self.http.close()
        await self.server.drain(0.2)
        await self.runner.cleanup()
        assert not self.server._sessions
        assert not self.server.engine.sockets
        assert (self.counters.connections, self.counters.sessions) == (0, 0)


@asynccontextmanager
async def house(door: RecordingDoor | None = None, **options: Any) -> AsyncIterator[House]:
    door = door or RecordingDoor()
    server = door.server = SocketIOServer(**options)
    server.register("/guest", door)
    app = web.Application()
    server.attach(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
    line.bind(("127.0.0.1", 0))
    await web.SockSite(runner, line).start()
    opened = House(server, door, runner, ClientSession())
    try:
        yield opened
    finally:
        await opened.close()


async def raw_websocket(port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    line.setblocking(False)
    await loop.sock_connect(line, ("127.0.0.1", port))
    key = base64.b64encode(os.urandom(16)).decode()
    await loop.sock_sendall(
        line,
        f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode(),
    )
    assert b" 101 " in await loop.sock_recv(line, 100)
    return line


async def send_masked(line: socket.socket, text: str) -> None:
    """One short text frame, masked with zeros."""
    frame = bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text.encode()
    await asyncio.get_running_loop().sock_sendall(line, frame)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110  # what aiohttp and the kernel do has no event of ours
            await asyncio.sleep(0.005)


async def receive(ws: ClientWebSocketResponse, start: str) -> str:
    """The next frame that begins so; pings and other events before it are passed over."""
    async with asyncio.timeout(PATIENCE_S):
        while not (frame := await ws.receive_str()).startswith(start):
            pass
        return frame


async def ask(ws: ClientWebSocketResponse, event: Any, *arguments: Any, ack_id: int = 7) -> Any:
    await ws.send_str(f"42/guest,{ack_id}{json.dumps([event, *arguments])}")
    return await answer(ws, ack_id)


async def answer(ws: ClientWebSocketResponse, ack_id: int = 7) -> Any:
    start = f"43/guest,{ack_id}["
    return json.loads((await receive(ws, start))[len(start) - 1 :])[0]


async def read_to_the_end(ws: ClientWebSocketResponse) -> list[str]:
    """Every text frame until the server closes; `ws.close_code` says how."""
    frames = []
    async with asyncio.timeout(PATIENCE_S):
        async for message in ws:
            assert message.type is WSMsgType.TEXT
            frames.append(message.data)
    return frames


def test_the_servers_we_override_are_the_ones_we_read() -> None:
    installed = {"python-socketio": version("python-socketio"), "python-engineio": version("python-engineio")}
    read = {"python-socketio": server.PINNED, "python-engineio": engine.PINNED}
    assert installed == read, (
        "bot/web/socketio/engine.py and bot/web/socketio/server.py override the internals of these very versions: "
        "go through the reasons at their heads against the new ones, then move PINNED"
    )


def test_the_short_way_of_frames_fits_the_aiohttp_we_read() -> None:
    assert direct_frames.FITS, (
        "bot/web/socketio/direct_frames.py stands between aiohttp's parser and its queue: read aiohttp/web_ws.py again "
        f"(how a response starts) and move PINNED from {direct_frames.PINNED} to {version('aiohttp')}"
    )


@pytest.fixture(params=["the short way", "aiohttp's own way"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames that are heard and written directly, and as they are where another aiohttp is installed."""
    monkeypatch.setattr(connection, "FITS", request.param == "the short way")


# Honest clients


@pytest.mark.usefixtures("either_way")
async def test_an_official_client_is_let_in_hears_and_is_answered() -> None:
    async with house() as h:
        heard: asyncio.Queue[Any] = asyncio.Queue()
        client = socketio.AsyncClient(reconnection=False)
        client.on("session", heard.put, namespace="/guest")
        client.on("entry", heard.put, namespace="/guest")
        await client.connect(h.url, namespaces=["/guest"], auth={"token": "good"}, transports=["websocket"])
        sid = client.get_sid("/guest")
        assert await heard.get() == {"hello": sid}
        assert await client.call("echo", {"text": "halo"}, namespace="/guest") == {"ok": True, "text": "halo"}
        await h.server.emit("entry", {"seq": 1}, to=sid)
        assert await heard.get() == {"seq": 1}
        connections = h.connections()
        await client.disconnect()
        await h.gone(connections)
        assert h.door.knocks == [{"token": "good"}]
        assert [one for one, _ in h.door.left] == [sid]
        assert (h.counters.connections, h.counters.sessions) == (0, 0)


async def test_an_official_client_is_told_why_it_was_refused() -> None:
    async with house() as h:
        reasons: asyncio.Queue[Any] = asyncio.Queue()
        client = socketio.AsyncClient(reconnection=False)
        client.on("connect_error", reasons.put, namespace="/guest")
        with pytest.raises(socketio.exceptions.ConnectionError):
            await client.connect(h.url, namespaces=["/guest"], auth={"token": "bad"}, transports=["websocket"])
        reason = await reasons.get()
        await client.shutdown()
        assert reason["data"]["code"] == "unauthorized"
        assert reason["message"] == reason["data"]["message"] == "This token is not valid."


async def test_what_a_door_emits_while_it_decides_follows_the_confirmation_and_never_reaches_the_refused() -> None:
    async with house() as h:
        ws = await h.websocket()
        await ws.send_str("40/guest,")
        assert [(await ws.receive_str())[:2] for _ in range(2)] == ["40", "42"]
        refused = await h.websocket()
        await refused.send_str('40/guest,{"token":"bad"}')
        assert [frame[:2] for frame in await read_to_the_end(refused)] == ["44"]


async def test_one_encoded_frame_reaches_all_who_are_still_here() -> None:
    async with house() as h:
        guests = [await h.guest() for _ in range(3)]
        connections = h.connections()
        await guests[0].close()
        await h.gone(connections[:1])
        frame = encode_event("/guest", "entry", {"text": "sudah tiba — 到了"})
        h.server.emit_encoded(h.door.sids, frame)
        for ws in guests[1:]:
            assert await ws.receive_str() == frame.decode()


async def test_the_commands_of_one_client_run_in_order_and_those_of_another_do_not_wait() -> None:
    async with house() as h:
        ws, other = await h.guest(), await h.guest()
        await ws.send_str('42/guest,1["wait",{"n":1}]')
        await h.door.began.wait()
        for n in (2, 3):
            await ws.send_str(f'42/guest,{n}["echo",{{"n":{n}}}]')
        assert (await ask(other, "echo", {"n": 9}))["n"] == 9
        h.door.release.set()
        assert [(await answer(ws, n))["n"] for n in (1, 2, 3)] == [1, 2, 3]
        assert [call["n"] for call in h.door.calls] == [9, 1, 2, 3]


async def test_a_command_in_flight_is_finished_when_its_client_goes_and_the_goodbye_comes_last() -> None:
    async with house() as h:
        ws = await h.guest()
        connections = h.connections()
        await ws.send_str('42/guest,1["wait",{"n":1}]')
        await ws.send_str('42/guest,2["echo",{"n":2}]')
        await h.door.began.wait()
        await ws.close()
        await until(lambda: connections[0].closed)
        assert h.door.left == []
        h.door.release.set()
        await h.gone(connections)
        assert [call["n"] for call in h.door.calls] == [1, 2]
        assert [reason for _, reason in h.door.left] == ["transport close"]


async def test_a_client_may_leave_a_namespace_and_come_back_on_the_same_socket() -> None:
    async with house() as h:
        ws = await h.guest()
        await ws.send_str("41/guest,")
        await ws.send_str("40/guest,")
        await receive(ws, "40/guest,")
        assert await ask(ws, "echo", {}) == {"ok": True}
        assert [reason for _, reason in h.door.left] == ["client disconnect"]
        assert h.counters.sessions == 1


async def test_a_client_that_is_put_out_is_told_and_closed() -> None:
    async with house() as h:
        ws = await h.guest()
        await h.server.disconnect(h.door.sids[0])
        assert (await read_to_the_end(ws))[-1] == "41/guest,"
        await until(lambda: h.door.left == [(h.door.sids[0], "server disconnect")])


# Answers


@pytest.mark.parametrize(
    ("event", "arguments", "code"),
    [
        ("refuse", [{}], "offer_taken"),
        ("fail", [{}], "unavailable"),
        ("no_such_command", [{}], "invalid"),
        ("echo", [], "invalid"),
        ("echo", [{}, {}], "invalid"),
        ("echo", ["text"], "invalid"),
        ("connect", [{}], "invalid"),
        ("disconnect", [{}], "invalid"),
    ],
)
async def test_what_does_not_work_is_answered_with_a_code(event: str, arguments: list[Any], code: str) -> None:
    async with house() as h:
        ws = await h.guest()
        refused = await ask(ws, event, *arguments)
        assert refused["ok"] is False
        assert refused["error"]["code"] == code
        assert await ask(ws, "echo", {"still": "here"}, ack_id=8) == {"ok": True, "still": "here"}


async def test_a_command_that_takes_too_long_is_stopped_and_answered() -> None:
    async with house(limits=Limits(handler_timeout_s=0.05)) as h:
        ws = await h.guest()
        assert (await ask(ws, "wait", {}))["error"]["message"] == "Outage"
        assert await ask(ws, "echo", {}, ack_id=8) == {"ok": True}


async def test_a_command_whose_work_was_cancelled_beneath_it_is_answered() -> None:
    door = RecordingDoor()

    async def await_something_cancelled(sid: str, payload: dict[str, Any]) -> dict[str, Any]:
        work: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        work.cancel()
        return await work

    door.commands["lost"] = await_something_cancelled
    async with house(door) as h:
        ws = await h.guest()
        assert (await ask(ws, "lost", {}))["error"]["message"] == "Outage"
        assert await ask(ws, "echo", {}, ack_id=8) == {"ok": True}


async def test_an_answer_that_is_no_json_is_our_bug_and_still_an_answer() -> None:
    door = RecordingDoor()

    async def answer_with_a_set(sid: str, payload: dict[str, Any]) -> dict[str, Any]:
        return {"ok": True, "bad": {1, 2}}

    door.commands["set"] = answer_with_a_set
    async with house(door) as h:
        assert (await ask(await h.guest(), "set", {}))["ok"] is False


async def test_a_door_that_cannot_explain_an_error_does_not_cost_the_client_its_answer() -> None:
    door = RecordingDoor()
    async with house(door) as h:
        ws = await h.guest()
        door.on_error = lambda sid, error: vars(error)["no such"]  # type: ignore[method-assign]
        assert (await ask(ws, "refuse", {}))["error"]["code"] == "unavailable"


async def test_a_goodbye_that_fails_is_said_once_and_frees_its_client() -> None:
    door = RecordingDoor()
    goodbyes = []

    async def fail(sid: str, reason: str) -> None:
        goodbyes.append(sid)
        raise TypeError("a bug of ours")

    door.on_disconnect = fail  # type: ignore[method-assign]
    async with house(door) as h:
        ws = await h.guest()
        connections = h.connections()
        await ws.close()
        await h.gone(connections)
        assert goodbyes == h.door.sids
        assert (h.counters.connections, h.counters.sessions) == (0, 0)


async def test_a_socket_in_two_namespaces_says_goodbye_in_both_even_when_one_fails() -> None:
    async with house() as h:
        other = RecordingDoor()
        other.server = h.server
        h.server.register("/therapist", other)
        goodbyes = []

        async def fail(sid: str, reason: str) -> None:
            goodbyes.append(sid)
            raise TypeError("a bug of ours")

        h.door.on_disconnect = other.on_disconnect = fail  # type: ignore[method-assign]
        ws = await h.guest()
        await ws.send_str("40/therapist,")
        await receive(ws, "40/therapist,")
        connections = h.connections()
        await ws.close()
        await h.gone(connections)
        assert sorted(goodbyes) == sorted(h.door.sids + other.sids)
        assert len(goodbyes) == 2


# Rude clients


async def test_forged_connects_and_disconnects_reach_no_handler() -> None:
    async with house() as h:
        ws = await h.guest()
        for forged in ('["connect",{"REMOTE_ADDR":"1.1.1.1"},{"token":"good"}]', '["disconnect","x"]', '1["*",{}]'):
            await ws.send_str(f"42/guest,{forged}")
        assert await ask(ws, "echo", {}) == {"ok": True}
        assert (len(h.door.knocks), h.door.left, len(h.door.calls)) == (1, [], 1)
        assert h.counters.malformed_frames == 3


def test_no_command_can_have_a_reserved_name() -> None:
    class Forged:
        commands = {"disconnect": None}  # noqa: RUF012

    with pytest.raises(ValueError, match="disconnect"):
        SocketIOServer().register("/guest", Forged())  # type: ignore[arg-type]


async def test_a_command_before_the_door_has_decided_is_not_run() -> None:
    door = RecordingDoor()
    let_in = door.on_connect

    async def decide_later(sid: str, environ: dict[str, Any], auth: dict[str, Any]) -> None:
        await door.release.wait()
        await let_in(sid, environ, auth)

    door.on_connect = decide_later  # type: ignore[method-assign]
    async with house(door) as h:
        ws = await h.websocket()
        await ws.send_str('40/guest,{"token":"bad"}')
        await ws.send_str('42/guest,1["echo",{}]')
        await until(lambda: h.counters.malformed_frames == 1)
        door.release.set()
        assert [frame[:2] for frame in await read_to_the_end(ws)] == ["44"]
        assert door.calls == []


async def test_a_token_can_be_guessed_once_per_socket() -> None:
    async with house() as h:
        ws = await h.websocket()
        for n in range(50):
            await ws.send_str(f'40/guest,{{"token":"{n}"}}')
        frames = await read_to_the_end(ws)
        assert len(h.door.knocks) <= 1
        assert [json.loads(frame[9:])["data"]["code"] for frame in frames] in ([], ["unauthorized"])


async def test_a_refused_guest_reads_the_reason_before_the_socket_closes() -> None:
    async with house() as h:
        ws = await h.websocket()
        await ws.send_str('40/guest,{"token":"bad"}')
        assert [json.loads(frame[9:])["data"]["code"] for frame in await read_to_the_end(ws)] == ["unauthorized"]
        assert ws.close_code == 1008
        await until(lambda: h.counters.connections == 0)
        assert (h.counters.connects_refused, h.door.left) == (1, [])


@pytest.mark.parametrize(("knock", "code"), [("40/nowhere,", "not_found"), ('40/guest,["x"]', "invalid")])
async def test_a_connect_that_makes_no_sense_is_refused(knock: str, code: str) -> None:
    async with house() as h:
        ws = await h.websocket()
        await ws.send_str(knock)
        (frame,) = await read_to_the_end(ws)
        assert json.loads(frame[frame.index(",") + 1 :])["data"]["code"] == code
        assert h.door.knocks == []


async def test_a_socket_that_never_connects_is_closed() -> None:
    assert Limits().connect_timeout_s + Limits().close_grace_s <= 12
    async with house(limits=Limits(connect_timeout_s=1.0)) as h:
        assert await read_to_the_end(await h.websocket()) == []
        assert h.counters.connect_timeouts == 1
        ws = await h.guest()
        await asyncio.sleep(1.1)
        assert await ask(ws, "echo", {}) == {"ok": True}


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "x",
        "9",
        "4",
        "42",
        "42/guest,",
        "42/guest,[]",
        "42/guest,[1]",
        "42/guest,{}",
        '42/guest,["echo",{"n":NaN}]',
        '42/guest,["echo",{"n":"\\ud800"}]',
        '42/guest,["nobody asked"]',
        '42/elsewhere,["echo",{}]',
        '42["echo",{}]',
        '4²/guest,["echo",{}]',
        "43/guest,1[]",
        "44/guest,{}",
        "40/guest,",
        "41/elsewhere,",
        "4" + "[" * 5000,
        '451-/guest,["echo",{"_placeholder":true,"num":0}]',
        '42/guest,1111111111111111["echo",{}]',
        "bAAAA",
    ],
)
async def test_two_thousand_bad_frames_cost_one_line_and_the_connection(
    frame: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with house(limits=Limits(commands_per_s=1000, command_burst=1000)) as h:
        ws = await h.guest()
        connections = h.connections()
        try:
            for _ in range(2000):
                await ws.send_str(frame)
        except ConnectionError:
            pass
        await h.gone(connections)
        assert h.counters.malformed_frames == 10
        assert (len(h.door.knocks), h.door.calls) == (1, [])
        (line,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert line.exc_info is None
        assert len(line.getMessage()) < 200


async def test_a_hoard_of_binary_attachments_is_not_kept() -> None:
    async with house(limits=Limits(max_frame_bytes=1_000_000)) as h:
        ws = await h.guest()
        connections = h.connections()
        await ws.send_str('45999999999-/guest,["echo",{"_placeholder":true,"num":0}]')
        try:
            for _ in range(200):
                await ws.send_bytes(b"x" * 100_000)
        except ConnectionError:
            pass
        await h.gone(connections)
        assert h.counters.malformed_frames == 10
        assert h.door.calls == []


async def test_a_frame_may_be_as_long_as_the_limit_and_no_longer() -> None:
    async with house(limits=Limits(max_frame_bytes=1000)) as h:
        ws = await h.guest()
        start, end = '42/guest,7["echo",{"text":"', '"}]'
        await ws.send_str(start + "x" * (1000 - len(start) - len(end)) + end)
        assert (await answer(ws))["ok"] is True
        await ws.send_str(start + "x" * (1001 - len(start) - len(end)) + end)
        assert await read_to_the_end(ws) == []
        assert ws.close_code == 1009
        await until(lambda: len(h.door.left) == 1)


async def test_who_is_too_fast_is_told_when_to_come_again() -> None:
    async with house(limits=Limits(commands_per_s=0.5, command_burst=3)) as h:
        ws = await h.guest()  # coming in counts as one
        answers = [await ask(ws, "echo", {}, ack_id=n) for n in range(3)]
        assert [one["ok"] for one in answers] == [True, True, False]
        assert answers[2]["error"]["code"] == "too_many_requests"
        assert 1.5 <= answers[2]["error"]["retry_after_s"] <= 2.1
        await ws.send_str('42/guest,["echo",{}]')
        assert (await ask(ws, "echo", {}, ack_id=4))["ok"] is False
        assert (h.counters.commands_over_rate, h.counters.malformed_frames) == (3, 0)


async def test_who_goes_on_far_beyond_the_rate_is_closed() -> None:
    async with house(limits=Limits(commands_per_s=0.1, command_burst=2)) as h:
        ws = await h.guest()
        connections = h.connections()
        for n in range(30):
            await ws.send_str(f'42/guest,{n}["echo",{{}}]')
        await h.gone(connections)
        assert len(h.door.calls) <= 2
        assert h.counters.strike_outs == 1


async def test_posts_are_under_way_side_by_side_and_a_command_waits_for_those_before_it() -> None:
    async with house() as h:
        ws = await h.guest()
        for n in (1, 2):
            await ws.send_str(f'42/guest,{n}["post",{{"n":{n}}}]')
        await ws.send_str('42/guest,3["echo",{"n":3}]')
        await until(lambda: len(h.door.posted) == 2)
        for n in (2, 1):
            h.door.posted[n - 1].set_result({"n": n})
        assert [(await answer(ws, n))["n"] for n in (2, 1, 3)] == [2, 1, 3]
        assert [call["n"] for call in h.door.calls] == [1, 2, 3]


async def test_a_post_behind_a_command_waits_its_turn() -> None:
    async with house(limits=Limits(max_waiting_commands=1)) as h:
        ws = await h.guest()
        [client] = [each.listener for each in h.connections()]
        assert isinstance(client, Client)
        await ws.send_str('42/guest,1["wait",{"n":1}]')
        await h.door.began.wait()
        await ws.send_str('42/guest,2["post",{"n":2}]')
        await until(lambda: client.lane.is_full)
        h.door.release.set()
        assert [(await answer(ws, n))["n"] for n in (1, 2)] == [1, 2]
        assert h.door.posted == []


async def test_a_post_is_refused_fails_and_goes_the_ordinary_way_like_a_command() -> None:
    async with house() as h:
        ws = await h.guest()
        assert (await ask(ws, "post", {"how": "refused"}))["error"]["code"] == "offer_taken"
        assert (await ask(ws, "post", {"how": "as ever"}, ack_id=2))["ok"] is True
        await ws.send_str('42/guest,3["post",{"n":3}]')
        await h.door.began.wait()
        h.door.posted[0].set_exception(KeyError("a bug of ours"))
        assert (await answer(ws, 3))["error"]["code"] == "unavailable"
        assert (h.counters.commands, h.counters.commands_refused, h.counters.commands_failed) == (3, 1, 1)


async def test_a_drain_waits_for_the_posts_that_are_under_way() -> None:
    async with house() as h:
        ws = await h.guest()
        await ws.send_str('42/guest,1["post",{}]')
        await h.door.began.wait()
        draining = asyncio.create_task(h.server.drain(3))
        await until(lambda: h.server.is_draining)
        h.door.posted[0].set_result({})
        assert '43/guest,1[{"ok":true}]' in await read_to_the_end(ws)
        await draining


async def test_no_more_commands_wait_than_the_lane_holds() -> None:
    async with house(limits=Limits(max_waiting_commands=2)) as h:
        ws = await h.guest()
        await ws.send_str('42/guest,1["wait",{}]')
        await h.door.began.wait()
        for n in (2, 3):
            await ws.send_str(f'42/guest,{n}["echo",{{}}]')
        assert (await ask(ws, "echo", {}, ack_id=4))["error"]["code"] == "too_many_requests"
        h.door.release.set()
        assert (await answer(ws, 3))["ok"] is True


async def test_coming_and_going_without_end_is_not_free() -> None:
    async with house(limits=Limits(commands_per_s=1, command_burst=5)) as h:
        ws = await h.guest()
        connections = h.connections()
        for _ in range(30):
            await ws.send_str("41/guest,")
            await ws.send_str("40/guest,")
        await h.gone(connections)
        assert len(h.door.knocks) <= 5
        assert len(h.door.left) == len(h.door.sids)


# Slow clients


async def test_clients_that_never_read_are_freed_and_nobody_else_notices() -> None:
    async with house() as h:
        healthy = await h.guest()
        reading = asyncio.create_task(read_until(healthy, "the end"))
        idle = len(asyncio.all_tasks())
        for _ in range(20):
            await h.stalled_guest()
        slow = h.connections()[1:]
        for _ in range(1500):
            h.server.emit_encoded(h.door.sids, BIG_FRAME)
            await asyncio.sleep(0)
        await h.gone(slow)
        h.server.emit_encoded(h.door.sids, encode_event("/guest", "entry", {"text": "the end"}))
        assert await reading == 1500
        await until(lambda: len(asyncio.all_tasks()) <= idle)
        await until(lambda: h.open_lines() == 1)
        assert h.counters.slow_readers_aborted == len(h.door.left) == 20
        assert {reason for _, reason in h.door.left} == {"slow reader"}
        assert all(connection.queue.size == 0 for connection in slow)


async def read_until(ws: ClientWebSocketResponse, text: str) -> int:
    """How many frames came before the one with this text."""
    frames = 0
    while text not in await ws.receive_str():
        frames += 1
    return frames


async def test_a_client_that_answers_pings_and_reads_nothing_is_aborted_at_the_bound() -> None:
    async with house(limits=Limits(ping_interval_s=0.02, ping_timeout_s=5)) as h:
        line = await h.stalled_guest()
        (connection,) = h.connections()
        while not connection.gone.done():
            await send_masked(line, "3")
            h.server.emit_encoded(h.door.sids, BIG_FRAME)
            assert connection.queue.size <= 512_000
            await asyncio.sleep(0)
        assert h.door.left == [(h.door.sids[0], "slow reader")]
        assert h.counters.ping_timeouts == 0


@pytest.mark.usefixtures("either_way")
async def test_many_small_frames_that_wait_are_bounded_by_their_number() -> None:
    async with house() as h:
        await h.stalled_guest()
        connections = h.connections()
        for _ in range(3 * WRITTEN_AHEAD_BYTES // len(BIG_FRAME)):
            h.server.emit_encoded(h.door.sids, BIG_FRAME)
        assert h.counters.slow_readers_aborted == 0
        small = encode_event("/guest", "entry", {})
        for _ in range(257):
            h.server.emit_encoded(h.door.sids, small)
        await h.gone(connections)
        assert h.counters.slow_readers_aborted == 1


async def test_a_crowd_that_vanishes_at_once_ends_a_few_in_each_turn_of_the_loop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What they read from ends, too, and not only what their door does about it."""
    ended_in: Counter[int] = Counter()
    turns = Turns()

    class Noted(direct_frames.DirectWebSocket):
        async def receive(self, *arguments: Any) -> Any:
            message = await super().receive(*arguments)
            ended_in[turns.now] += 1
            return message

    monkeypatch.setattr(connection, "DirectWebSocket", Noted)
    async with house(limits=Limits(departures_in_a_turn=2)) as h:
        lines = [await h.stalled_guest() for _ in range(20)]
        connections = h.connections()
        for line in lines:
            line.close()
        await h.gone(connections)
        assert sum(ended_in.values()) == 20
        assert max(ended_in.values()) <= 2


async def test_a_silent_client_is_freed_with_everything_it_held() -> None:
    async with house(limits=Limits(ping_interval_s=0.05, ping_timeout_s=0.05)) as h:
        idle = len(asyncio.all_tasks())
        await h.stalled_guest()
        connections = h.connections()
        for _ in range(20):
            h.server.emit_encoded(h.door.sids, BIG_FRAME)
        await h.gone(connections)
        await until(lambda: len(asyncio.all_tasks()) <= idle)
        await until(lambda: h.open_lines() == 0)
        assert [reason for _, reason in h.door.left] == ["ping timeout"]


async def test_a_stalled_client_that_is_put_out_is_cut_after_the_grace() -> None:
    async with house(limits=Limits(close_grace_s=0.1)) as h:
        await h.stalled_guest()
        connections = h.connections()
        for _ in range(20):
            h.server.emit_encoded(h.door.sids, BIG_FRAME)
        await h.server.disconnect(h.door.sids[0])
        await h.gone(connections)
        await until(lambda: h.open_lines() == 0)
        assert [reason for _, reason in h.door.left] == ["server disconnect"]


async def test_a_client_that_answers_pings_stays() -> None:
    async with house(limits=Limits(ping_interval_s=0.02, ping_timeout_s=2)) as h:
        ws = await h.guest()
        for _ in range(5):
            await receive(ws, "2")
            await ws.send_str("3")
        assert await ask(ws, "echo", {}) == {"ok": True}


@pytest.mark.usefixtures("either_way")
async def test_a_thousand_entries_of_one_burst_reach_a_reader_when_the_loop_may_breathe() -> None:
    async with house() as h:
        ws = await h.guest()
        for n in range(1000):
            h.server.emit_encoded(h.door.sids, encode_event("/guest", "entry", {"seq": n}))
            if n % 200 == 199:
                await asyncio.sleep(0)
        await receive(ws, encode_event("/guest", "entry", {"seq": 999}).decode())


# The end of a process


@pytest.mark.usefixtures("either_way")
async def test_frames_arrive_in_the_order_in_which_they_were_said_whether_written_or_queued() -> None:
    async with house() as h:
        ws = await h.guest()
        sizes = [10, 40_000, 10, 40_000, 10, 10]
        for n, size in enumerate(sizes):
            h.server.emit_encoded(h.door.sids, encode_event("/guest", "entry", {"seq": n, "text": "x" * size}))
        for n in range(len(sizes)):
            assert json.loads((await ws.receive_str())[9:])[1]["seq"] == n


@pytest.mark.usefixtures("either_way")
async def test_a_whole_app_with_stalled_clients_drains_and_exits() -> None:
    limits = Limits(close_grace_s=0.5)
    async with house(limits=limits) as h:
        guests = [await h.guest() for _ in range(25)]
        for _ in range(5):
            await h.stalled_guest()
        for _ in range(20):
            h.server.emit_encoded(h.door.sids[25:], BIG_FRAME)
        await guests[0].send_str('42/guest,1["wait",{}]')
        await h.door.began.wait()
        readers = [asyncio.create_task(read_to_the_end(ws)) for ws in guests]

        async def shut_down() -> None:
            async with asyncio.timeout(PATIENCE_S):
                await h.server.drain(3)
                await h.runner.cleanup()

        closing = asyncio.create_task(shut_down())
        await until(lambda: h.server.is_draining)
        late = await h.http.get(f"{h.url}/socket.io/?EIO=4&transport=websocket", headers={"Upgrade": "websocket"})
        h.door.release.set()
        await closing
        assert late.status == 503
        heard = [await reader for reader in readers]
        for frames, ws in zip(heard, guests, strict=True):
            notice = next(frame for frame in frames if "going_away" in frame)
            assert 0 <= json.loads(notice[9:])[1]["retry_in_ms"] <= 4000
            assert not any(frame.startswith("41") for frame in frames), "an official client would not come back"
            assert ws.close_code == 1001
        assert '43/guest,1[{"ok":true}]' in heard[0]
        assert len(h.door.left) == 30
        assert (h.counters.connections, h.counters.sessions) == (0, 0)


async def test_stalled_clients_are_aborted_at_the_end_of_the_drain() -> None:
    async with house(limits=Limits(close_grace_s=60)) as h:
        await h.stalled_guest()
        connections = h.connections()
        for _ in range(20):
            h.server.emit_encoded(h.door.sids, BIG_FRAME)
        await h.server.drain(0.1)
        assert all(connection.gone.done() for connection in connections)
        assert [reason for _, reason in h.door.left] == ["server disconnect"]


async def test_a_drain_waits_for_the_goodbyes_of_those_who_went_just_before() -> None:
    door = RecordingDoor()
    note = door.on_disconnect

    async def say_goodbye_slowly(sid: str, reason: str) -> None:
        door.began.set()
        await door.release.wait()
        await note(sid, reason)

    door.on_disconnect = say_goodbye_slowly  # type: ignore[method-assign]
    async with house(door) as h:
        ws = await h.guest()
        await ws.close()
        await door.began.wait()
        draining = asyncio.create_task(h.server.drain(5))
        await until(lambda: h.server.is_draining)
        door.release.set()
        await draining
        assert len(door.left) == 1


async def test_a_command_that_does_not_end_is_cut_by_the_drain() -> None:
    async with house() as h:
        ws = await h.guest()
        connections = h.connections()
        await ws.send_str('42/guest,1["wait",{}]')
        await h.door.began.wait()
        await h.server.drain(0.1)
        assert all(connection.gone.done() for connection in connections)
        assert len(h.door.left) == 1


# Handshakes


async def test_compression_is_not_negotiated_unless_it_is_wanted() -> None:
    async with house() as h:
        assert (await h.guest(compress=15)).compress == 0
    async with house(compression=True) as h:
        ws = await h.guest(compress=15)
        assert ws.compress == 15
        assert (await ask(ws, "echo", {"text": "x" * 1000}))["text"] == "x" * 1000


@pytest.mark.parametrize(
    ("origins", "origin", "is_welcome"),
    [
        ((), None, True),
        ((), "http://{host}", True),
        ((), "https://{host}", True),
        ((), "https://evil.example", False),
        ((), "null", False),
        (("https://shop.example",), "https://shop.example", True),
        (("https://shop.example",), "http://{host}", True),
        (("https://shop.example",), "https://evil.example", False),
        (("*",), "https://evil.example", True),
    ],
)
async def test_only_our_own_pages_and_the_listed_ones_may_connect(
    origins: tuple[str, ...], origin: str | None, is_welcome: bool
) -> None:
    async with house(origins=origins) as h:
        headers = {} if origin is None else {"Origin": origin.format(host=f"127.0.0.1:{h.port}")}
        if is_welcome:
            await h.guest(headers=headers)
        else:
            with pytest.raises(WSServerHandshakeError):
                await h.websocket(headers=headers)
            assert h.counters.connections_opened == 0


@pytest.mark.parametrize(
    ("trust_proxy", "lines", "address"),
    [
        (False, [], "127.0.0.1"),
        (False, ["9.9.9.9"], "127.0.0.1"),
        (True, [], "127.0.0.1"),
        (True, ["9.9.9.9"], "9.9.9.9"),
        (True, ["6.6.6.6, 9.9.9.9"], "9.9.9.9"),
        (True, ["6.6.6.6, 2001:db8::1"], "2001:db8::1"),
        (True, ["6.6.6.6, 9.9.9.9", "7.7.7.7"], "127.0.0.1"),
        (True, ["6.6.6.6, nonsense"], "127.0.0.1"),
        (True, ["6.6.6.6,"], "127.0.0.1"),
    ],
)
async def test_a_door_sees_the_address_of_the_client(trust_proxy: bool, lines: list[str], address: str) -> None:
    async with house(trust_proxy=trust_proxy) as h:
        await h.guest(headers=[("X-Forwarded-For", line) for line in lines])
        assert h.door.environs[0]["REMOTE_ADDR"] == address
        assert client_address(h.door.environs[0]["aiohttp.request"], trust_proxy=trust_proxy) == address


@pytest.mark.parametrize("headers", [{"Upgrade": "websocket"}, {"Upgrade": "websocket", "Connection": "upgrade"}])
async def test_a_handshake_that_fails_leaves_nothing_behind(headers: dict[str, str]) -> None:
    async with house() as h:
        response = await h.http.get(f"{h.url}/socket.io/?EIO=4&transport=websocket", headers=headers)
        assert response.status == 400
        assert (h.counters.connections, h.counters.connections_opened) == (0, 1)
        assert h.connections() == []


async def test_polling_is_refused_unless_it_is_allowed() -> None:
    async with house() as h:
        response = await h.http.get(f"{h.url}/socket.io/?EIO=4&transport=polling")
        assert response.status == 400


async def test_where_polling_is_allowed_an_official_client_talks_upgrades_and_goes() -> None:
    async with house(transports=("polling", "websocket"), limits=Limits(close_grace_s=60)) as h:
        for transports in (["polling"], ["polling", "websocket"]):
            client = await h.official_client(transports=transports)
            assert client.transport() == transports[-1]
            connections = h.connections()
            assert await client.call("echo", {"n": 1}, namespace="/guest") == {"ok": True, "n": 1}
            await client.disconnect()
            await h.gone(connections)
        assert [sid for sid, _ in h.door.left] == h.door.sids
        assert h.counters.connections == 0


async def test_a_poll_may_carry_a_hundred_packets_and_not_a_thousand() -> None:
    async with house(transports=("polling",)) as h:
        address = f"{h.url}/socket.io/?EIO=4&transport=polling"
        opened = json.loads((await (await h.http.get(address)).text())[1:])
        session = f"{address}&sid={opened['sid']}"
        await h.http.post(session, data="40/guest,")
        await until(lambda: len(h.door.sids) == 1)
        event = '42/guest,["echo",{}]'
        await h.http.post(session, data="\x1e".join([event] * 50))
        await until(lambda: len(h.door.calls) == 50)
        assert (await h.http.post(session, data="\x1e".join(["3"] * 1000))).status == 400
        await until(lambda: len(h.door.left) == 1)


# Words of the wire


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0/guest,", (0, "/guest", None, None)),
        ('0/guest,{"token":"t"}', (0, "/guest", None, {"token": "t"})),
        ("0", (0, "/", None, None)),
        ("1/guest", (1, "/guest", None, None)),
        ('2/guest,12["book",{"a":1}]', (2, "/guest", 12, ["book", {"a": 1}])),
        ('2/guest?x=1,0["book"]', (2, "/guest", 0, ["book"])),
        ('21["a\\nb",{}]', (2, "/", 1, ["a\nb", {}])),
    ],
)
def test_packets_of_official_clients_are_understood(text: str, expected: tuple[Any, ...]) -> None:
    packet = decode_packet(text)
    assert (packet.kind, packet.namespace, packet.id, packet.data) == expected


# As Engine.IO's own suite of conformance asks: https://github.com/socketio/socket.io-protocol


async def test_a_poll_that_waits_while_its_client_says_goodbye_is_answered_with_a_noop() -> None:
    async with house(transports=("polling",)) as h:
        address = f"{h.url}/socket.io/?EIO=4&transport=polling"
        opened = json.loads((await (await h.http.get(address)).text())[1:])
        sid = opened["sid"]
        waiting = asyncio.create_task(h.http.get(f"{address}&sid={sid}"))
        await until(lambda: h.connections()[0].queue._waiter is not None)
        async with h.http.post(f"{address}&sid={sid}", data="1") as response:
            assert response.status == 200
        async with await waiting as response:
            assert (response.status, await response.text()) == (200, "6")


@pytest.mark.parametrize("query", ["EIO=4", "EIO=4&transport=", "EIO=4&transport=pigeon"])
async def test_a_handshake_names_its_transport(query: str) -> None:
    async with house(transports=("polling", "websocket")) as h:
        async with h.http.get(f"{h.url}/socket.io/?{query}") as response:
            assert response.status == 400
        assert not h.connections()
