"""What guests and therapists have in common: devices that come and go, commands that are repeated until answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import aiohttp

from tests.faults.javascript import JavaScript, Node
from tests.faults.links import LongPoll, ServerSentEvents, SocketIO, WebSocket, post
from tests.faults.readers import Link, Lost, Reader
from tests.faults.witness import Answer, Audience, Entry, Operation, Witness

ANSWER_WITHIN_S = 6.0
MOST_TRIES = 8
PAUSE_S = (0.05, 0.6)
# How long a device keeps a connection before it takes another one, for no reason.
STAY_S = (1.0, 9.0)
# How many of all devices keep a connection until it is lost.
LOYAL = 0.35
# Who is connected all that time has heard what others heard so long ago, also on a machine that is busy.
LATE_S = 15.0

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
        self._living: asyncio.Task[None] | None = None
        self._move_on = asyncio.Event()

    def start(self) -> None:
        self._living = asyncio.create_task(self._live())

    async def stop(self) -> None:
        if self._living is not None:
            self._living.cancel()
            await asyncio.gather(self._living, return_exceptions=True)
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
            await sent(self.world.witness, operation, link.transport, link.send(*_said(operation)))

    def roam(self) -> None:
        self.fixed = None

    def listen_for_delay(self) -> None:
        """A connection that is open brings what there is; who is not given something is not helped by coming back."""
        reader, witness = self.reader, self.world.witness
        since = max(self.connected_at, witness.now - LATE_S)
        if not self.is_connected or since > witness.now - LATE_S:
            return
        for feed in reader.feeds():
            missing = (feed, reader.cursors.get(feed, 0) + 1)
            if feed in reader.cursors and witness.first_heard.get(missing, witness.now) < since:
                what = f"{reader.name} is connected over {reader.via} and has not been given the next entry of {feed}"
                witness.accuse("readers", what, f"the cursor is {reader.cursors[feed]}")

    async def _live(self) -> None:
        while True:
            transport, url = self.fixed or (self.mood.choice(TRANSPORTS), self.mood.choice(self.world.urls))
            link = self.world.link(self.reader, transport, url)
            with suppress(Lost):
                await self.reader.move(link)
                self.connected_at = self.world.witness.now
                self._move_on.clear()
                await self._stay(link)
            await asyncio.sleep(self.mood.uniform(0.0, 0.4))

    async def _stay(self, link: Link) -> None:
        """Until the connection is lost, or this device has had enough of it."""
        patience_s = None if self.fixed or self.is_loyal else self.mood.uniform(*STAY_S)
        waits = {asyncio.ensure_future(link.over.wait()), asyncio.ensure_future(self._move_on.wait())}
        try:
            await asyncio.wait(waits, timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()


class Person:
    """Somebody with one device or two, and a will of their own."""

    audience: Audience

    def __init__(self, world: World, name: str, devices: int) -> None:
        self.world = world
        self.name = name
        self.mood = world.random(name)
        self.witness = world.witness
        self.news = asyncio.Event()
        self._commands = 0
        self.devices = [
            Device(world, self._reader(f"{name}/{number}"), world.random(f"{name}/{number}"))
            for number in range(1, devices + 1)
        ]

    def _reader(self, name: str) -> Reader:
        return Reader(self.witness, name, self.audience, self._heard)

    def _heard(self, entry: Entry) -> None:
        self.learn(entry)
        self.news.set()

    def learn(self, entry: Entry) -> None:
        raise NotImplementedError

    @property
    def readers(self) -> list[Reader]:
        return [device.reader for device in self.devices]

    @property
    def subject(self) -> str:
        return self.devices[0].reader.subject

    async def stop(self) -> None:
        await asyncio.gather(*(device.stop() for device in self.devices))

    async def pause(self, shortest_s: float, longest_s: float) -> None:
        await asyncio.sleep(self.mood.uniform(shortest_s, longest_s))

    async def until_news(self, patience_s: float) -> None:
        self.news.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                await self.news.wait()

    def operation(self, name: str, feed: str = "", /, **payload: Any) -> Operation:
        self._commands += 1
        client_id = f"{self.name.replace(' ', '-').replace('/', '-')}.{self._commands}"
        own = self.devices[0].reader.own_feed
        payload = {"client_id": client_id, **payload}
        return self.witness.operation(Operation(self.name, self.audience, self.subject, name, payload, feed or own))

    async def do(self, name: str, feed: str = "", /, *, burst: float = 0.1, **payload: Any) -> Answer | None:
        """The answer of a command that is repeated, here and there, until it has one; None if that was in vain."""
        return await self.carry_out(self.operation(name, feed, **payload), burst=burst)

    async def at_once(self, *operations: Operation) -> None:
        """Different commands in the same moment, each over another process; then whatever is still open."""
        urls = self.mood.sample(self.world.urls, len(self.world.urls))
        await asyncio.gather(
            *(self._try_over_http(each, urls[place % len(urls)]) for place, each in enumerate(operations))
        )
        await asyncio.gather(*(self.carry_out(each, burst=0.0) for each in operations))

    async def carry_out(self, operation: Operation, *, burst: float = 0.1) -> Answer | None:
        if self.mood.random() < burst:
            # The same command on every process at once, as when a client and a proxy both lose patience.
            await asyncio.gather(*(self._try_over_http(operation, url) for url in self.world.urls))
        for _ in range(MOST_TRIES):
            answer = self._final(operation)
            if answer is None:
                await self._try(operation)
                answer = self._final(operation)
            if answer is not None:
                if self.mood.random() < 0.1:
                    await self._try(operation)
                return answer
            await self.pause(*PAUSE_S)
        return None

    @staticmethod
    def _final(operation: Operation) -> Answer | None:
        """What the command was told: the yes, wherever there was one, else a no."""
        told = [*operation.oks, *(each for each in operation.tries if each.is_refused)]
        return told[0].answer if told else None

    async def _try(self, operation: Operation) -> None:
        connected = [device.reader.link for device in self.devices if device.is_connected]
        link = self.mood.choice(connected) if connected and self.mood.random() < 0.75 else None
        if link is None:
            return await self._try_over_http(operation, self.mood.choice(self.world.urls))
        await sent(self.witness, operation, link.transport, link.send(*_said(operation)))
        return None

    async def _try_over_http(self, operation: Operation, url: str) -> None:
        sending = post(self.world.http, self.devices[0].reader, url, *_said(operation))
        await sent(self.witness, operation, f"http {self.world.urls.index(url)}", sending)


def _said(operation: Operation) -> tuple[str, Mapping[str, Any], float]:
    return operation.name, operation.payload, ANSWER_WITHIN_S


async def sent(witness: Witness, operation: Operation, via: str, sending: Awaitable[Answer | None]) -> None:
    """One try of the command, from its beginning to what came back."""
    one = witness.begin(operation, via)
    answer: Answer | None = None
    try:
        answer = await sending
    finally:
        witness.end(operation, one, answer)


async def cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """End these, and raise what one of them had ended with by itself."""
    several = list(tasks)
    for task in several:
        task.cancel()
    for result in await asyncio.gather(*several, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
