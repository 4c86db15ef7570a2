"""One connection as the gate sees it: what may come in from it, how fast, in which order, and what is answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol, TypeVar

from aiohttp import WSCloseCode
from socketio.packet import CONNECT, DISCONNECT

from bot.errors import Outage, Refusal
from bot.logs.failures import is_outage
from bot.web.socketio.connection import CLIENT_DISCONNECT, SERVER_DISCONNECT, Connection
from bot.web.socketio.door import Command, Door, Post
from bot.web.socketio.lane import Lane, is_being_cancelled
from bot.web.socketio.limits import Counters, Limits
from bot.web.socketio.packets import (
    Received,
    decode_packet,
    encode_ack,
    encode_connect,
    encode_connect_error,
)
from bot.web.socketio.token_bucket import TokenBucket
from conversations.replies import N_

RESERVED_NAMES = frozenset({"connect", "connect_error", "disconnect", "*"})
# Whose commands beyond the rate are this many times the rate is no impatient person, and each one more is a strike.
FAR_BEYOND = 5

T = TypeVar("T")

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Session:
    """One client in one namespace. What is sent while the door still decides is held back until it has let them in."""

    sid: str
    namespace: str
    door: Door
    commands: Mapping[str, Command]
    posts: Mapping[str, Post]
    connection: Connection
    is_admitted: bool = False
    held: list[bytes] = field(default_factory=list)

    def send(self, frame: bytes) -> None:
        if self.is_admitted:
            self.connection.offer(frame)
        elif len(self.held) < self.connection.host.limits.max_queued_frames:
            self.held.append(frame)
        else:
            self.connection.abort_slow_reader()

    def admit(self) -> None:
        self.is_admitted = True
        self.connection.offer(encode_connect(self.namespace, self.sid))
        for frame in self.held:
            self.connection.offer(frame)
        self.held.clear()


Entrance = tuple[Door, Mapping[str, Command], Mapping[str, Post]]


class Register(Protocol):
    """What the clients of one gate share: its limits, its entrances, and the list of who is here, which they keep."""

    limits: Limits
    counters: Counters
    admissions: asyncio.Semaphore

    @property
    def is_draining(self) -> bool: ...
    def call_timeout_s(self) -> float: ...
    def entrance(self, namespace: str) -> Entrance | None: ...
    def enter(self, session: Session) -> None: ...
    def leave(self, session: Session) -> None: ...


class Client:
    """The listener of one connection; it may speak to several namespaces, and has one lane for all it asks."""

    def __init__(self, register: Register, connection: Connection) -> None:
        limits = register.limits
        self.lane = Lane(limits.max_waiting_commands)
        self._register = register
        self._counters = register.counters
        self._connection = connection
        self._sessions: dict[str, Session] = {}
        self._admitted: set[Session] = set()
        self._loop = asyncio.get_running_loop()
        now = self._loop.time()
        self._commands = TokenBucket(limits.commands_per_s, limits.command_burst, now)
        self._excess = TokenBucket(FAR_BEYOND * limits.commands_per_s, FAR_BEYOND * limits.command_burst, now)
        self._late = self._loop.call_later(limits.connect_timeout_s, self._did_not_knock)

    # What comes in: nothing here waits

    def received(self, text: str) -> None:
        try:
            packet = decode_packet(text)
        except ValueError:
            self._connection.strike("a malformed Socket.IO packet")
            return
        if packet.kind == CONNECT:
            self._knock(packet.namespace, packet.data)
        elif packet.kind == DISCONNECT:
            self._leave(packet.namespace)
        else:
            self._event(packet)

    def _event(self, packet: Received) -> None:
        session = self._sessions.get(packet.namespace)
        if session is None or not session.is_admitted:
            self._connection.strike("an event from outside")
            return
        name, *arguments = packet.data
        refusal = self._objection(session, name, arguments)
        if refusal is not None:
            self._counters.outcomes[name if name in session.commands else "unknown", refusal.code] += 1
            self._refuse(session, name, packet.id, refusal)
        elif not self._is_posted(session, name, arguments[0], packet.id):
            self.lane.add(partial(self._execute, session, name, arguments[0], packet.id))

    def _objection(self, session: Session, name: str, arguments: list[Any]) -> Refusal | None:
        if name not in session.commands:
            return Refusal("invalid", "This command is not known.", fields={"command": N_("is not known")})
        if len(arguments) != 1 or not isinstance(arguments[0], dict):
            return Refusal("invalid", "A command takes one object.", fields={"payload": N_("must be an object")})
        wait_s = 1.0 if self.lane.is_full else self._commands.take(self._loop.time())
        if wait_s > 0:
            return Refusal("too_many_requests", "That was too fast.", retry_after_s=round(wait_s + 0.05, 1))
        return None

    def _refuse(self, session: Session, name: str, ack_id: int | None, refusal: Refusal) -> None:
        is_too_fast = refusal.code == "too_many_requests"
        if is_too_fast:
            self._counters.commands_over_rate += 1
            if self._excess.take(self._loop.time()) > 0:
                self._connection.strike("far too many commands")
        else:
            self._counters.commands_refused += 1
        if name in RESERVED_NAMES or (ack_id is None and not is_too_fast):
            self._connection.strike("an event that is no command")
        if ack_id is not None:
            self._answer(session, ack_id, {"ok": False, "error": self._explain(session, refusal)})

    # Commands

    def _is_posted(self, session: Session, name: str, payload: dict[str, Any], ack_id: int | None) -> bool:
        """Whether the command has taken its shorter way; whatever waits in the lane goes first."""
        post = session.posts.get(name)
        if post is None or self.lane.has_jobs:
            return False
        try:
            future = post.begin(session.sid, payload)
        except Exception as error:
            self._counters.commands += 1
            self._fail(session, name, ack_id, error)
            return True
        if future is None:
            return False
        self._counters.commands += 1
        self.lane.note(future)
        future.add_done_callback(partial(self._posted, session, name, post, ack_id))
        return True

    def _posted(self, session: Session, name: str, post: Post, ack_id: int | None, future: asyncio.Future[Any]) -> None:
        self.lane.strike_off(future)
        if future.cancelled():
            self._fail(session, name, ack_id, Outage("what it waited for was cancelled"))
        elif error := future.exception():
            self._fail(session, name, ack_id, error if isinstance(error, Exception) else Outage(type(error).__name__))
        else:
            self._counters.outcomes[name, "ok"] += 1
            if ack_id is not None:
                self._answer(session, ack_id, post.answer(future.result()))

    async def _execute(self, session: Session, name: str, payload: dict[str, Any], ack_id: int | None) -> None:
        self._counters.commands += 1
        try:
            answer = await self._in_time(session.commands[name](session.sid, payload))
            self._counters.outcomes[name, "ok"] += 1
            if ack_id is not None:
                self._answer(session, ack_id, answer)
        except Exception as error:
            self._fail(session, name, ack_id, error)

    def _fail(self, session: Session, name: str, ack_id: int | None, error: Exception) -> None:
        self._count(error)
        explained = self._explain(session, _situation(error, name))
        self._counters.outcomes[name, explained["code"]] += 1
        if ack_id is not None:
            self._answer(session, ack_id, {"ok": False, "error": explained})

    async def _in_time(self, call: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._register.call_timeout_s()):
                return await call
        except asyncio.CancelledError:
            if is_being_cancelled():
                raise
            raise Outage("what it waited for was cancelled") from None

    def _answer(self, session: Session, ack_id: int, answer: Mapping[str, Any]) -> None:
        self._connection.offer(encode_ack(session.namespace, ack_id, answer))

    def _count(self, error: Exception) -> None:
        if isinstance(error, Refusal):
            self._counters.commands_refused += 1
        else:
            self._counters.commands_failed += 1

    def _explain(self, session: Session, error: Exception) -> dict[str, Any]:
        try:
            return session.door.on_error(session.sid, error)
        except Exception:
            logger.exception("A door could not explain an error")
            return Refusal("unavailable", "Something went wrong. Please try again.").as_error()

    # Coming and going

    def _knock(self, namespace: str, auth: Any) -> None:
        entrance = self._register.entrance(namespace)
        if namespace in self._sessions:
            self._connection.strike("a second connect")
        elif self.lane.is_full or self._commands.take(self._loop.time()) > 0:
            self._connection.strike("too many connects")
        elif entrance is None:
            self._turn_away(namespace, Refusal("not_found", "There is nothing here.").as_error())
        elif auth is not None and not isinstance(auth, dict):
            self._turn_away(namespace, Refusal("invalid", "The auth must be an object.").as_error())
        else:
            self._late.cancel()
            session = Session(self._connection.host.generate_id(), namespace, *entrance, self._connection)
            self._sessions[namespace] = session
            self._register.enter(session)
            self.lane.add(partial(self._admit, session, auth or {}))

    async def _admit(self, session: Session, auth: dict[str, Any]) -> None:
        async with self._register.admissions:
            if self._connection.closing:
                return
            try:
                await self._in_time(session.door.on_connect(session.sid, self._connection.environ, auth))
            except Exception as error:
                self._turn_away(session.namespace, self._explain(session, _situation(error, "connect")))
                return
        self._admitted.add(session)
        self._counters.sessions += 1
        session.admit()

    def _turn_away(self, namespace: str, error: Mapping[str, Any]) -> None:
        """One refused connect ends the connection: a guess costs a handshake."""
        self._counters.connects_refused += 1
        self._connection.offer(encode_connect_error(namespace, error))
        self._connection.finish(SERVER_DISCONNECT, WSCloseCode.POLICY_VIOLATION)

    def _did_not_knock(self) -> None:
        self._counters.connect_timeouts += 1
        self._connection.finish(SERVER_DISCONNECT, WSCloseCode.POLICY_VIOLATION)

    def _leave(self, namespace: str) -> None:
        session = self._sessions.pop(namespace, None)
        if session is None:
            self._connection.strike("a disconnect from outside")
            return
        self._register.leave(session)
        self.lane.add(partial(self._part, session, CLIENT_DISCONNECT))
        if not self._sessions:
            self._late.cancel()
            self._late = self._loop.call_later(self._register.limits.connect_timeout_s, self._did_not_knock)

    async def closed(self, reason: str) -> None:
        """Nobody hears the answers any more, but what the client said before it went is still done, then it is over."""
        self._late.cancel()
        for session in self._sessions.values():
            self._register.leave(session)
        await self.lane.finish(0 if self._register.is_draining else self._register.call_timeout_s())
        for session in list(self._admitted):
            await self._part(session, reason)

    async def _part(self, session: Session, reason: str) -> None:
        if session not in self._admitted:
            return
        self._admitted.discard(session)
        self._counters.sessions -= 1
        try:
            await self._in_time(session.door.on_disconnect(session.sid, reason))
        except Exception as error:
            logger.warning("A goodbye was not finished: %s", _situation(error, "disconnect"))


def _situation(error: Exception, name: str) -> Exception:
    """What the door is asked to explain; what is no situation of the contract is our bug, and goes to the log."""
    if isinstance(error, (Refusal, Outage)):
        return error
    if isinstance(error, TimeoutError):
        logger.warning("%s was not finished in its time", name)
        return Outage(f"{name} was not finished in its time")
    if is_outage(error):
        logger.warning("%s met an outage: %s", name, type(error).__name__)
        return Outage(f"{name} met an outage")
    logger.error("%s failed", name, exc_info=error)
    return error
