"""Says a case on its transport and judges the answer: an error of the contract, or what the contract promises."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from aiohttp import ClientError, ClientSession, ClientWebSocketResponse, WSMsgType
from pydantic import TypeAdapter, ValidationError
from yarl import URL

from bot.contract import answers, streams
from bot.errors import STATUS_BY_CODE
from tests.clients import PATIENCE_S
from tests.fuzz.cases import Case

PROBE = '["nobody_asked",{}]'
REFUSED: TypeAdapter[Any] = TypeAdapter(answers.Refused)
REFUSED_ACK: TypeAdapter[Any] = TypeAdapter(answers.RefusedAck)
REFUSED_FRAME: TypeAdapter[Any] = TypeAdapter(streams.frame_of(answers.RefusedAck))
CONNECT_REFUSED: TypeAdapter[Any] = TypeAdapter(streams.ConnectRefused)
# What HTTP itself may answer where no route of ours was met.
STATUSES_OF_PAGES = {200, 204, 206, 304, 400, 403, 404, 405, 413, 416, 426, 429, 431}


class Breach(Exception):
    """An answer that the contract does not know, or none."""


class Wires:
    """The connections of one worker, opened when they are needed and again when they were closed."""

    def __init__(self, http: ClientSession, tokens: Mapping[str, str], secrets: Sequence[str]) -> None:
        self._http = http
        self._tokens = tokens
        self._secrets = [secret.encode() for secret in secrets]
        self._sockets: dict[str, ClientWebSocketResponse] = {}
        self._probes = 0
        self.told: Counter[str] = Counter()
        """How often each code was answered; `ok`, and `closed` for connections that the server ended."""

    async def say(self, case: Case) -> None:
        """Raises `Breach` where the answer is wrong, and where there is none."""
        speak = {
            "http": self._say_http,
            "raw": self._say_raw,
            "socket_io": self._say_socket_io,
            "websocket": self._say_websocket,
        }
        try:
            async with asyncio.timeout(PATIENCE_S):
                await speak[case.way](case)
        except TimeoutError:
            raise Breach("no answer") from None

    async def close(self) -> None:
        for socket in self._sockets.values():
            await socket.close()
        self._sockets.clear()

    # --- HTTP ---------------------------------------------------------------------------------------------------------

    async def _say_http(self, case: Case) -> None:
        url = URL(f"{self._http._base_url}".rstrip("/") + case.address, encoded=True)
        async with self._http.request(case.method, url, data=case.body, headers=case.headers) as response:
            is_stream = response.content_type == "text/event-stream"
            body = await (response.content.readany() if is_stream else response.read())
            status = response.status
        self._judge_text(body)
        if status >= 500:
            raise Breach(f"{status}: {body[:500]!r}")
        if status < 400 and case.is_shut:
            raise Breach(f"{status} for what is somebody else's: {body[:500]!r}")
        if status < 400:
            self.told["ok"] += 1
        elif case.method == "HEAD":
            self.told["head"] += 1
        elif case.address.startswith("/api/"):
            code = _code(REFUSED, body)
            self._count(code)
            if STATUS_BY_CODE[code] != status:
                raise Breach(f"{code} with status {status}")
        elif status not in STATUSES_OF_PAGES and not case.address.startswith("/ws/"):
            raise Breach(f"{status}: {body[:500]!r}")

    async def _say_raw(self, case: Case) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", URL(str(self._http._base_url)).port)
        try:
            writer.write(case.body)
            writer.write_eof()
            answer = await reader.read(100_000)
        except ConnectionError:
            answer = b""
        finally:
            writer.close()
        self._judge_text(answer)
        if answer and not re.match(rb"HTTP/\d\.\d [124]\d\d ", answer):
            raise Breach(repr(answer[:500]))

    # --- Socket.IO ----------------------------------------------------------------------------------------------------

    async def _say_socket_io(self, case: Case) -> None:
        """The frame, then a command that nobody knows: its refusal says that the connection still hears."""
        namespace = f"/{case.sender}"
        socket = await self._socket_io(namespace)
        self._probes += 1
        probe = f"{10**12 + self._probes}"
        try:
            # A WebSocket's text is UTF-8, else the protocol itself ends it.
            await socket.send_str(case.body.decode(errors="replace"))
            await socket.send_str(f"42{namespace},{probe}{PROBE}")
        except (ClientError, ConnectionError):
            pass
        while (frame := await self._next(socket)) is not None:
            if frame == "2":
                await socket.send_str("3")
            elif frame.startswith(f"43{namespace},"):
                ack_id, _, answer = frame.removeprefix(f"43{namespace},").partition("[")
                self._judge_ack(orjson.loads(f"[{answer}")[0])
                if ack_id == probe:
                    return
            elif frame.startswith("44"):
                self._count(_connect_refusal(frame))
        self._sockets.pop(namespace)
        self.told["closed"] += 1

    async def _socket_io(self, namespace: str) -> ClientWebSocketResponse:
        socket = self._sockets.get(namespace)
        if socket is None or socket.closed:
            socket = await self._http.ws_connect("/socket.io/?EIO=4&transport=websocket")
            auth = orjson.dumps({"token": self._tokens[namespace[1:]]}).decode()
            await socket.send_str(f"40{namespace},{auth}")
            self._sockets[namespace] = socket
            while (frame := await self._next(socket)) is not None:
                if frame.startswith(f"40{namespace}"):
                    return socket
                if frame.startswith("44"):
                    raise Breach(f"not let in: {frame[:300]}")
            raise Breach("closed before it was let in")
        return socket

    # --- plain WebSocket ----------------------------------------------------------------------------------------------

    async def _say_websocket(self, case: Case) -> None:
        key = f"ws {case.sender}"
        socket = self._sockets.get(key)
        if socket is None or socket.closed:
            headers = {"Authorization": f"Bearer {self._tokens[case.sender]}"}
            socket = self._sockets[key] = await self._http.ws_connect("/ws/bookings", headers=headers)
        await socket.send_str(case.body.decode(errors="replace"))
        while (frame := await self._next(socket)) is not None:
            answer = orjson.loads(frame)
            if "ack" in answer:
                self._judge_ack(answer, REFUSED_FRAME)
                return
        self._sockets.pop(key)
        self.told["closed"] += 1

    # --- judgement ----------------------------------------------------------------------------------------------------

    async def _next(self, socket: ClientWebSocketResponse) -> str | None:
        """The next frame, or None where the server has closed."""
        message = await socket.receive()
        if message.type is not WSMsgType.TEXT:
            return None
        self._judge_text(message.data.encode())
        text: str = message.data
        return text

    def _judge_ack(self, ack: Any, refused: TypeAdapter[Any] = REFUSED_ACK) -> None:
        if ack.get("ok") is True:
            self.told["ok"] += 1
        else:
            self._count(_code(refused, orjson.dumps(ack)))

    def _count(self, code: str) -> None:
        self.told[code] += 1
        if code == "unavailable":
            raise Breach("unavailable, although everything is there: an error of ours stands in the log")

    def _judge_text(self, text: bytes) -> None:
        for secret in self._secrets:
            if secret in text:
                raise Breach(f"somebody else's {secret!r} in {text[:300]!r}")


def _code(adapter: TypeAdapter[Any], body: bytes) -> str:
    try:
        refused = adapter.validate_json(body)
    except ValidationError as error:
        raise Breach(f"no error of the contract: {error} in {body[:500]!r}") from None
    error = refused["error"] if isinstance(refused, dict) else refused.error
    return str(error.code)


def _connect_refusal(frame: str) -> str:
    try:
        refused = CONNECT_REFUSED.validate_json(frame[frame.index("{") :])
    except (ValidationError, ValueError) as error:
        raise Breach(f"no error of the contract: {error} in {frame[:500]!r}") from None
    return str(refused.data.code)
