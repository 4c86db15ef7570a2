"""What the owner of a Socket.IO namespace gives to the server: who may come in, and which commands there are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from bot.web.socketio.connection import Environ

Command = Callable[[str, dict[str, Any]], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Post:
    """A command that needs no task: it begins at once, and a future of the door's tells when it is done.

    `begin` takes the sid and the payload, raises what the command would, and gives None where the command's own way is
    to be taken after all. `answer` makes the ack of what the future brings; the door bounds how long that takes.
    """

    begin: Callable[[str, dict[str, Any]], asyncio.Future[Any] | None]
    answer: Callable[[Any], Mapping[str, Any]]


class Door(Protocol):
    """What the owner of one namespace gives. Calls for one sid never overlap, and `on_disconnect` is the last of them.

    Each call but `on_error` has the time budget `handler_timeout_s` and is cancelled at its end.
    """

    @property
    def commands(self) -> Mapping[str, Command]:
        """By event name: takes the sid and the payload, gives the ack. Read once, when the door is registered."""
        ...

    @property
    def posts(self) -> Mapping[str, Post]:
        """For some of the commands a shorter way, taken while nothing of their client is being done otherwise."""
        ...

    async def on_connect(self, sid: str, environ: Environ, auth: dict[str, Any]) -> None:
        """Lets the client in by returning; what it emits to the sid follows the confirmation. Raises Refusal.

        `environ["REMOTE_ADDR"]` is the client's address.
        """
        ...

    async def on_disconnect(self, sid: str, reason: str) -> None:
        """Called once for each sid that was let in."""
        ...

    def on_error(self, sid: str, error: Exception) -> dict[str, Any]:
        """The contract's error object `{code, message, fields, retry_after_s}` in this client's language."""
        ...
