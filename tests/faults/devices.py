"""The world that everybody shares, and the devices with which people come and go in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp

from bot.cancelling import cancel
from tests.faults.javascript import JavaScript, Node
from tests.faults.links import SocketIO
from tests.faults.readers import Link, Lost, Reader
from tests.faults.streams import LongPoll, ServerSentEvents, WebSocket
from tests.faults.witness import Answer, Operation, Witness

ANSWER_WITHIN_S = 6.0
# How long a device keeps a connection before it takes another one, for no reason.
STAY_S = (1.0, 9.0)
# How many of all devices keep theirs much longer, if it is not lost; for ever, all would gather where nobody dies.
LOYAL, LONG_STAY_S = 0.5, (40.0, 80.0)
# Who is connected all that time, while there is a database, has heard what others heard so long ago, also on a machine
# that is busy.
LATE_S = 12.0

_LINKS: Mapping[str, Any] = {each.transport: each for each in (SocketIO, ServerSentEvents, LongPoll, WebSocket)}
TRANSPORTS = (*_LINKS, JavaScript.transport)


@dataclass(slots=True)
class World:
    """What everybody shares: where the web processes are reached, and whether the evening goes on."""

    witness: Witness
    urls: tuple[str, ...]
    http: aiohttp.ClientSession
    node: Node
    seed: str
    is_closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Faults are over: nobody begins anything new, everybody comes to an end."""
    hush: asyncio.Event = field(default_factory=asyncio.Event)
    """Redis is away: pairs that chat are quiet, and say one thing."""
    races: float = 0.12
    """How often a guest presses several buttons in the same moment."""
    idle_s: float = 0.0
    """How long a guest does nothing before each visit, on average."""
    readable_since: float = 0.0
    """The moment at which the database was last there again; infinity while it is not."""
    tide: asyncio.Event = field(default_factory=asyncio.Event)
    """Set and replaced again and again: those who wait for it all act in the same moment."""

    def random(self, who: str) -> Random:
        """Choices of one person, which do not depend on what others do meanwhile."""
        return Random(f"{self.seed}:{who}")

    def link(self, reader: Reader, transport: str, url: str) -> Link:
        if transport == JavaScript.transport:
            return JavaScript(reader, url, self.node)
        link: Link = _LINKS[transport](reader, url, self.http)
        return link


class Device:
    """A tab or a phone, which keeps itself connected: now here, now there, now this way, now that way."""

    def __init__(self, world: World, reader: Reader, mood: Random) -> None:
        self.world = world
        self.reader = reader
        self.mood = mood
        self.is_loyal = mood.random() < LOYAL
        self.fixed: tuple[str, str] | None = None
        """A transport and an address to stay with, while that is wanted."""
        self.connected_at = 0.0
        self.at: tuple[str, str] | None = None
        """Where and how it is connected."""
        self._living: asyncio.Task[None] | None = None
        self._move_on = asyncio.Event()

    def start(self) -> None:
        self._living = asyncio.create_task(self._live())

    async def stop(self) -> None:
        if self._living is not None:
            await cancel(self._living)
        await self.reader.move(None)

    @property
    def is_connected(self) -> bool:
        link = self.reader.link
        return link is not None and not link.over.is_set()

    def stay(self, transport: str, url: str) -> None:
        self.fixed = (transport, url)
        self._move_on.set()

    async def send(self, operation: Operation) -> None:
        """Once, over the present connection and no other."""
        link = self.reader.link
        if link is not None:
            await sent(self.world.witness, operation, link.transport, link.send(*said_in(operation)))

    def roam(self) -> None:
        self.fixed = None

    def listen_for_delay(self) -> None:
        """A connection that is open brings what there is; who is not given something is not helped by coming back."""
        reader, witness = self.reader, self.world.witness
        since = max(self.connected_at, reader.hears_since, self.world.readable_since)
        if self.at is None or not self.is_connected or since > witness.now - LATE_S:
            return
        for feed in reader.feeds():
            missing = (feed, reader.cursors.get(feed, 0) + 1)
            heard_at = witness.first_heard.get(missing, witness.now)
            if feed in reader.cursors and heard_at < witness.now - LATE_S:
                what = f"{reader.name} is connected over {reader.via} and has not been given the next entry of {feed}"
                witness.accuse("readers", what, f"the cursor is {reader.cursors[feed]}")

    async def _live(self) -> None:
        while True:
            self.at = None
            self._move_on.clear()
            transport, url = self.fixed or (self.mood.choice(TRANSPORTS), self.mood.choice(self.world.urls))
            link = self.world.link(self.reader, transport, url)
            with suppress(Lost):
                await self.reader.move(link)
                self.connected_at, self.at = self.world.witness.now, (transport, url)
                await self._stay(link)
            await asyncio.sleep(self.mood.uniform(0.0, 0.4))

    async def _stay(self, link: Link) -> None:
        """Until the connection is lost, or this device has had enough of it."""
        patience_s = None if self.fixed else self.mood.uniform(*(LONG_STAY_S if self.is_loyal else STAY_S))
        waits = {asyncio.create_task(link.over.wait()), asyncio.create_task(self._move_on.wait())}
        try:
            await asyncio.wait(waits, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await cancel(*waits)


def said_in(operation: Operation) -> tuple[str, Mapping[str, Any], float]:
    return operation.name, operation.payload, ANSWER_WITHIN_S


async def sent(witness: Witness, operation: Operation, via: str, sending: Awaitable[Answer | None]) -> None:
    """One try of the command, from its beginning to what came back."""
    one = witness.begin(operation, via)
    answer: Answer | None = None
    try:
        answer = await sending
    finally:
        witness.end(operation, one, answer)
