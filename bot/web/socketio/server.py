"""The Socket.IO gate: it lets clients in, hands their commands to the doors in order, and always answers.

Why upstream is overridden (python-socketio 5.18.1; a test holds the pin). Read this again when the pin moves:

- An event that a client names `connect` or `disconnect` runs the connect or disconnect handler, with an environ and an
  auth of the client's own making. Here those names are strikes and no command can have them.
- A refused connect leaves the socket open for the next guess, and a socket that never connects stays for ever.
- A handler that raises, and an event that nobody handles, is never acknowledged.
- The commands of one client run all at once and overtake each other, or, without `async_handlers`, hold up the pongs.
- A disconnect handler that raises leaves its client in every room; one that raises TypeError runs twice.
- A disconnect copies and walks over all rooms of the namespace, so n clients that vanish together cost n². Here are no
  rooms: the owner knows who listens, and says so to `emit_encoded`.
- While the connect handler still decides, its client already gets what is emitted to all, and what the handler emits
  arrives before the connection is confirmed. Here nothing reaches a client before it is let in, and then in order.
- An emit makes a task and encodes a frame for each recipient.
- `shutdown` closes nobody: aiohttp then waits a minute for its WebSockets.
- Each malformed packet writes a traceback.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import socketio
from aiohttp import WSCloseCode

from bot.access.connections import Release
from bot.web.sessions.going_away import GOING_AWAY, goodbye
from bot.web.socketio.connection import SERVER_DISCONNECT, Connection
from bot.web.socketio.door import Door
from bot.web.socketio.engine import Engine
from bot.web.socketio.gate import RESERVED_NAMES, Client, Entrance, Session
from bot.web.socketio.limits import Counters, Limits
from bot.web.socketio.packets import encode_disconnect, encode_event

PINNED = "5.18.1"

# Coming in reads far more than talking does: when everybody comes back at once, those who talk keep their turn.
ADMITTED_AT_ONCE = 16
# When drained: for the commands in flight, and for the hooks of those who had to be aborted.
COMMANDS_FINISH_S = 2.0
LAST_HOOKS_S = 1.0
LOOK_FOR_ROOM_EVERY_S = 0.02


logger = logging.getLogger(__name__)


def _everybody(address: str) -> Release:
    return lambda: None


class SocketIOServer(socketio.AsyncServer):  # type: ignore[misc]  # upstream has no types
    """`attach(app)` as upstream; doors instead of handlers, `emit_encoded` instead of rooms, `drain` before the end."""

    def __init__(
        self,
        *,
        limits: Limits | None = None,
        transports: Sequence[str] = ("websocket",),
        origins: Sequence[str] = (),
        trust_proxy: bool = False,
        compression: bool = False,
        admit: Callable[[str], Release] = _everybody,
    ) -> None:
        """`origins`: who may connect from a browser besides ourselves; `*` is everybody.

        `admit` is told the address of each newcomer; it raises Refusal, or gives what is called when they have gone.
        """
        self.limits = limits or Limits()
        self.counters = Counters()
        self.admissions = asyncio.Semaphore(ADMITTED_AT_ONCE)
        self._drained_at: float | None = None
        self._entrances: dict[str, Entrance] = {}
        self._sessions: dict[str, Session] = {}
        # Upstream writes what people said into its log at INFO, and gives a logger that it is not given a handler.
        quiet = logging.getLogger("socketio.server")
        quiet.setLevel(logging.WARNING)
        super().__init__(
            logger=quiet,
            engineio_logger=quiet,
            transports=list(transports),
            limits=self.limits,
            counters=self.counters,
            listen=partial(Client, self),
            origins=origins,
            trust_proxy=trust_proxy,
            compression=compression,
            admit=admit,
        )

    def _engineio_server_class(self) -> type[Engine]:
        return Engine

    @property
    def engine(self) -> Engine:
        engine: Engine = self.eio
        return engine

    @property
    def is_draining(self) -> bool:
        return self._drained_at is not None

    def call_timeout_s(self) -> float:
        """For one call of a door; a drain leaves what is left of its grace, and a last moment after it."""
        if self._drained_at is None:
            return self.limits.handler_timeout_s
        left_s = self._drained_at - asyncio.get_running_loop().time()
        return max(LAST_HOOKS_S / 2, min(left_s, self.limits.handler_timeout_s))

    # Doors

    def register(self, namespace: str, door: Door) -> None:
        """The door's commands and posts are read here, once."""
        commands = dict(door.commands)
        if forged := RESERVED_NAMES & commands.keys():
            raise ValueError(f"not a name for a command: {', '.join(sorted(forged))}")
        self._entrances[namespace] = (door, commands, dict(door.posts))

    def entrance(self, namespace: str) -> Entrance | None:
        return self._entrances.get(namespace)

    def on(self, event: str, handler: object = None, namespace: str | None = None) -> Any:
        """Upstream's way to register a handler, which would never be called."""
        raise TypeError(f"{event}: handlers stand in a Door, see register()")

    def register_namespace(self, namespace_handler: object) -> None:
        raise TypeError("handlers stand in a Door, see register()")

    # Sending

    def emit_encoded(self, sids: Iterable[str], frame: bytes) -> None:
        """Sends one encoded event (see `encode_event`) to each sid that is still here, encoded once and with no task.

        Sids are of the namespace that stands in the frame. A reader who is too far behind is disconnected.
        """
        for sid in sids:
            session = self._sessions.get(sid)
            if session is not None:
                session.send(frame)

    def sender(self, sid: str) -> Callable[[bytes], None]:
        """Sends frames to one sid, without looking it up for each; who has gone hears nothing."""
        session = self._sessions.get(sid)
        return session.send if session is not None else _to_nobody

    async def until_room(self, sid: str) -> None:
        """Until little waits for this client, or it has gone: for what need not be sent all at once.

        A client who takes nothing at all meanwhile is aborted.
        """
        loop = asyncio.get_running_loop()
        waiting, since = -1, loop.time()
        while (session := self._sessions.get(sid)) is not None and session.connection.is_busy:
            connection = session.connection
            if connection.waiting_bytes != waiting:
                waiting, since = connection.waiting_bytes, loop.time()
            elif loop.time() - since > self.limits.stalled_for_s:
                connection.abort_slow_reader()
                return
            await asyncio.sleep(LOOK_FOR_ROOM_EVERY_S)  # what a transport has sent has no event

    async def emit(self, event: str, data: Mapping[str, Any], to: str) -> None:
        """Upstream's emit, to one sid and nobody else."""
        session = self._sessions.get(to)
        if session is not None:
            self.emit_encoded((to,), encode_event(session.namespace, event, data))

    async def disconnect(self, sid: str) -> None:
        """Tells the client that it is out, so that official ones do not come back by themselves, and closes."""
        session = self._sessions.get(sid)
        if session is not None:
            session.send(encode_disconnect(session.namespace))
            session.connection.finish(SERVER_DISCONNECT)

    # The register, kept by the clients

    def enter(self, session: Session) -> None:
        self._sessions[session.sid] = session

    def leave(self, session: Session) -> None:
        self._sessions.pop(session.sid, None)

    # The end

    async def drain(self, grace_s: float) -> None:
        """Closes everybody within the grace and a second, hooks included; who comes now is answered with 503."""
        self._drained_at = deadline = asyncio.get_running_loop().time() + grace_s
        self.engine.closing = True
        for session in list(self._sessions.values()):
            session.send(encode_event(session.namespace, GOING_AWAY, goodbye(self.limits.returns_spread_over_s)))
        connections = list(self.engine.sockets.values())
        await _finish_commands(connections, min(COMMANDS_FINISH_S, grace_s))
        for connection in connections:
            connection.finish(SERVER_DISCONNECT, WSCloseCode.GOING_AWAY)
        await _wait({connection.gone for connection in connections}, deadline)
        for connection in connections:
            if not connection.gone.done():
                connection.abort(SERVER_DISCONNECT)
        await _wait({connection.gone for connection in connections}, deadline + LAST_HOOKS_S)


def _to_nobody(frame: bytes) -> None:
    """Whoever was to hear it has gone."""


async def _finish_commands(connections: Iterable[Connection], timeout_s: float) -> None:
    listeners = [connection.listener for connection in connections]
    lanes = [one.lane.unfinished for one in listeners if isinstance(one, Client)]
    if unfinished := set[asyncio.Future[Any]]().union(*lanes):
        await asyncio.wait(unfinished, timeout=timeout_s)


async def _wait(futures: set[asyncio.Future[None]], until: float) -> None:
    if futures:
        await asyncio.wait(futures, timeout=max(0.0, until - asyncio.get_running_loop().time()))
