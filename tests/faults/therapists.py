"""Therapists as they are: some answer, some say no, some say nothing; then they come, talk, and close the visit."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from bot.cancelling import cancel
from tests.faults.devices import World
from tests.faults.guests import PHRASES
from tests.faults.people import Person
from tests.faults.witness import Entry

LOOK_AGAIN_S = 1.0


class Therapist(Person):
    """At the console all evening, on one device or two."""

    audience = "therapist"

    def __init__(self, world: World, name: str, *, devices: int, token: str, therapist_id: str) -> None:
        super().__init__(world, name, devices)
        self.pocket.token = token
        for device in self.devices:
            device.reader.belong_to(therapist_id)
        self.open_offers: dict[str, Entry] = {}
        self.visits: dict[str, Mapping[str, Any]] = {}
        """The bookings that are active, by id, as they were last shown."""
        self._seen = 0
        self._doing: set[asyncio.Task[None]] = set()

    def learn(self, entry: Entry) -> None:
        if entry["feed"] != self.devices[0].reader.own_feed or entry["seq"] <= self._seen:
            return
        self._seen = entry["seq"]
        data = entry["data"]
        match entry["type"]:
            case "offer":
                self.open_offers[data["offer_id"]] = entry
            case "offer_closed" | "offer_waiting":
                self.open_offers.pop(data["offer_id"], None)
            case "booking" if data["booking"]["status"] == "active":
                self.visits[data["booking"]["id"]] = data["booking"]
            case "booking":
                self.visits.pop(data["booking"]["id"], None)

    async def live(self) -> None:
        for device in self.devices:
            device.start()
        answered: set[str] = set()
        try:
            while True:
                for offer_id in [each for each in self.open_offers if each not in answered]:
                    answered.add(offer_id)
                    self._spawn(self.answer(offer_id))
                for booking_id, booking in self.visits.items():
                    if booking_id not in answered:
                        answered.add(booking_id)
                        self._spawn(self.visit(booking_id, booking["feed"]))
                await self.until_news(LOOK_AGAIN_S)
                for task in [each for each in self._doing if each.done()]:
                    self._doing.discard(task)
                    task.result()
        finally:
            await cancel(*self._doing)

    def _spawn(self, work: Any) -> None:
        self._doing.add(asyncio.create_task(work))

    async def answer(self, offer_id: str) -> None:
        does = self.mood.random()
        await self.pause(0.0, 0.6)
        if does < 0.68:
            await self.do("accept_offer", offer_id=offer_id)
        elif does < 0.76:
            # Both buttons at once, on two devices.
            await asyncio.gather(
                self.do("accept_offer", offer_id=offer_id), self.do("decline_offer", offer_id=offer_id)
            )
        elif does < 0.9:
            await self.do("decline_offer", offer_id=offer_id)
        elif does < 0.93:
            await self.do("availability", available=False)
            await self.pause(0.0, 0.5)
            await self.do("availability", available=True)

    async def visit(self, booking_id: str, room: str) -> None:
        """Talk, drive, arrive, and close the visit one way or the other, until it is not ours any more."""
        does = self.mood.random()
        for _ in range(self.mood.randint(0, 3)):
            await self.say(booking_id, room)
        if does < 0.08:
            await self._close(booking_id, "cancel_booking", reason="my scooter broke down")
        elif does < 0.14:
            await self._close(booking_id, "progress", step="no_show")
        else:
            for step in ("on_the_way", "arrived"):
                await self.do("progress", booking_id=booking_id, step=step)
                await self.pause(0.2, 0.8)
        while booking_id in self.visits:
            await self._close(booking_id, "progress", step="completed")

    async def say(self, booking_id: str, room: str) -> None:
        text = f"{self.name} {self._commands}: {self.mood.choice(PHRASES)}"
        await self.do("message", room, booking_id=booking_id, text=text)

    async def _close(self, booking_id: str, name: str, **more: Any) -> None:
        await self.do(name, booking_id=booking_id, **more)
        for _ in range(4):
            if booking_id not in self.visits:
                return
            await self.until_news(LOOK_AGAIN_S)
