"""Guests as they come: they book, wait, choose, change their minds, talk, leave, and come back for another visit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from conversations.conversation import ENDED_STATES
from tests.clients import JAKARTA
from tests.faults.devices import World
from tests.faults.people import Person
from tests.faults.witness import Entry

ENDED = tuple(state.value for state in ENDED_STATES)
# What people write, and what a careless server would stumble over.
PHRASES = ("On my way down.", "$token", "$$ROOT", '{"$ne": null}', "Terima kasih 🙏🏽", "a'b\"c</script>", "l1\nl2")
PHONE = "0812-3456-7890"
PATIENCE_S = 1.5


class Guest(Person):
    """One conversation, from the first press of a button to the end of the last visit."""

    audience = "guest"

    def __init__(self, world: World, name: str, *, devices: int, visits: int = 1, near: tuple[float, float] = JAKARTA):
        super().__init__(world, name, devices)
        self.visits = visits
        self.near = near
        self.state = "idle"
        self.revision = 0
        self.offer: tuple[int, str] | None = None
        """The revision and the offer of the newest choice."""
        self._newest = 0
        self._again = 2

    @property
    def feed(self) -> str:
        return self.devices[0].reader.own_feed

    @property
    def address(self) -> str:
        """Names the guest in the offers that therapists get."""
        return f"Jl. {self.name}"

    def learn(self, entry: Entry) -> None:
        data = entry["data"]
        if entry["type"] == "card" and data["card"] == "therapist":
            self.offer = (data["revision"], data["offer_id"])
        if entry["type"] == "state" and entry["seq"] > self._newest:
            self._newest = entry["seq"]
            self.state, self.revision = data["state"], data["revision"]

    async def live(self) -> None:
        first, *others = self.devices
        first.start()
        await first.reader.has_read.wait()
        for device in others:
            device.reader.belong_to(self.subject)
            device.start()
        for _ in range(self.visits):
            await self.pause(0.0, 2 * self.world.idle_s)
            if self.world.is_closing.is_set():
                return
            await self.visit()

    async def visit(self, **booked: Any) -> None:
        """From the button to the end of the visit, or to nothing."""
        await self.do("book", kind="now", source="menu", **booked)
        await self._until_moved("idle", *ENDED)
        while self.state not in ("idle", *ENDED):
            seen = self._newest
            await self.press()
            if self._newest == seen:
                await self.until_news(PATIENCE_S)

    async def _until_moved(self, *states: str) -> None:
        """What was answered is on the feed, and the feed takes its time to whoever reads it."""
        for _ in range(6):
            if self.state not in states:
                return
            await self.until_news(PATIENCE_S)

    async def press(self) -> None:
        """One thing that a guest can do now, several in one moment, or nothing at all."""
        does = self.mood.random()
        if self.mood.random() < self.world.races and (commands := self._commands_now()):
            await self.at_once(*(self.operation(name, **payload) for name, payload in commands))
            return await self.until_news(0.5)
        match self.state:
            case "confirming":
                await self._confirm(does)
            case "searching" if does < 0.06:
                await self.pause(0.0, 1.0)
                await self._cancel()
            case "choosing":
                await self._choose(does)
            case "active":
                await self.be_visited(does)
            case "no_therapist" if does < 0.4 and self._again > 0:
                self._again -= 1
                await self.do("search_again", revision=self.revision)
            case "no_therapist" if does < 0.7:
                await self._cancel()
            case _:
                await self.until_news(PATIENCE_S)
        return None

    def _commands_now(self) -> Sequence[tuple[str, Mapping[str, Any]]]:
        """Commands that exclude each other, as two screens of one guest may send them."""
        match self.state:
            case "confirming":
                return (("confirm_service", self.form()), ("confirm_service", self.form()), ("cancel", {}))
            case "choosing" if self.offer is not None and self.offer[0] == self.revision:
                choice = {"revision": self.revision, "offer_id": self.offer[1]}
                return (("accept_therapist", choice), ("cancel", {}), ("find_another", choice))
            case "active" if self.mood.random() < 0.3:
                return (("cancel", {}), ("message", {"text": self.words()}), ("cancel", {}))
            case "no_therapist":
                return (("search_again", {"revision": self.revision}), ("cancel", {}))
        return ()

    def form(self) -> Mapping[str, Any]:
        latitude, longitude = self.near
        return {
            "revision": self.revision,
            "duration": self.mood.choice((60, 90, 120)),
            "location": {"address": self.address, "latitude": latitude, "longitude": longitude},
            "name": "Budi",
            "phone": PHONE,
        }

    async def _confirm(self, does: float) -> None:
        if does < 0.06:
            return await self._cancel()
        if does < 0.1:
            return await self.until_news(PATIENCE_S)
        if does < 0.6:
            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self.world.tide.wait()
        await self.do("confirm_service", **self.form())
        await self._until_moved("confirming")
        return None

    async def _choose(self, does: float) -> None:
        if self.offer is None or self.offer[0] != self.revision:
            return await self.until_news(PATIENCE_S)
        revision, offer_id = self.offer
        choice: dict[str, Any] = {"revision": revision, "offer_id": offer_id}
        await self.pause(0.0, 0.5)
        if does < 0.65:
            await self.do("accept_therapist", **choice)
        elif does < 0.83:
            await self.do("find_another", **choice)
        elif does < 0.92:
            await self._cancel()
        else:
            return await self.until_news(4.0)
        await self._until_moved("choosing")
        return None

    async def be_visited(self, does: float) -> None:
        if does < 0.08:
            await self._cancel()
        elif does < 0.5:
            await self.do("message", text=self.words())
        elif does < 0.6:
            await self.at_once(*(self.operation("message", text=self.words()) for _ in range(3)))
        else:
            await self.until_news(PATIENCE_S)

    def words(self) -> str:
        return f"{self.name} {self._commands}: {self.mood.choice(PHRASES)}"

    async def _cancel(self) -> None:
        await self.do("cancel", reason=self.mood.choice((None, "changed my mind")))
        await self.until_news(PATIENCE_S)
