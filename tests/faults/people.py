"""What guests and therapists have in common: a will of their own, and commands that are repeated until answered."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from bot.cancelling import cancel
from tests.faults.devices import ANSWER_WITHIN_S, Device, World, said_in, sent
from tests.faults.links import post
from tests.faults.readers import Pocket, Reader
from tests.faults.witness import Answer, Audience, Entry, Operation, Receipt

MOST_TRIES = 8
PAUSE_S = (0.05, 0.6)


class Person(ABC):
    """Somebody with one device or two, and a will of their own."""

    audience: Audience

    def __init__(self, world: World, name: str, devices: int) -> None:
        self.world = world
        self.name = name
        self.mood = world.random(name)
        self.witness = world.witness
        self.news = asyncio.Event()
        self._commands = 0
        self.pocket = Pocket()
        self.devices = [
            Device(world, self._reader(f"{name}/{number}"), world.random(f"{name}/{number}"))
            for number in range(1, devices + 1)
        ]

    def _reader(self, name: str) -> Reader:
        return Reader(self.witness, name, self.audience, self.pocket, self._heard)

    def _heard(self, entry: Entry) -> None:
        self.learn(entry)
        self.news.set()

    @abstractmethod
    def learn(self, entry: Entry) -> None:
        """What an entry means to them, whichever of their devices heard it."""

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

    async def mark_read(self, room: str, **more: Any) -> None:
        """So far, and less far, as two screens may say it at once."""
        seq = max(reader.cursors.get(room, 0) for reader in self.readers)
        if seq:
            await asyncio.gather(*(self._have_read(room, each, **more) for each in (seq, self.mood.randint(1, seq))))

    async def _have_read(self, room: str, seq: int, **more: Any) -> None:
        url = self.mood.choice(self.world.urls)
        answer = await post(self.world.http, self.devices[0].reader, url, "read", {"seq": seq, **more}, ANSWER_WITHIN_S)
        if answer is not None and answer["ok"]:
            self.witness.receipts.append(Receipt(room, self.audience, seq))

    async def _try(self, operation: Operation) -> None:
        connected = [device.reader.link for device in self.devices if device.is_connected]
        link = self.mood.choice(connected) if connected and self.mood.random() < 0.75 else None
        if link is None:
            return await self._try_over_http(operation, self.mood.choice(self.world.urls))
        await sent(self.witness, operation, link.transport, link.send(*said_in(operation)))
        return None

    async def _try_over_http(self, operation: Operation, url: str) -> None:
        sending = post(self.world.http, self.devices[0].reader, url, *said_in(operation))
        await sent(self.witness, operation, f"http {self.world.urls.index(url)}", sending)


async def cancelled(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """End these, and raise what one of them had ended with by itself."""
    several = list(tasks)
    await cancel(*several)
    for result in await asyncio.gather(*several, return_exceptions=True):
        if isinstance(result, Exception):
            raise result
