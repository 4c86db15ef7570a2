"""Pairs who talk all evening: a guest and the one therapist they picked, far from everybody else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tests.faults.devices import World
from tests.faults.guests import Guest
from tests.faults.readers import Reader
from tests.faults.therapists import Therapist

# Redis is away and nobody says anything: 2 s is promised, and a busy machine may need some more.
HEARD_WITHIN_S = 6.0
CONNECTED_WITHIN_S = 6.0


class Chatter(Guest):
    """Picks the one therapist, and stays with them."""

    def __init__(self, world: World, name: str, therapist: ChatTherapist) -> None:
        super().__init__(world, name, devices=2, visits=1_000, near=therapist.place)
        self._therapist = therapist

    async def visit(self, **booked: str) -> None:
        await super().visit(therapist_id=self._therapist.subject)

    async def press(self) -> None:
        match self.state:
            case "confirming":
                await self.do("confirm_service", **self.form())
                await self._until_moved("confirming")
            case "choosing" if self.offer and self.offer[0] == self.revision:
                await self.do("accept_therapist", revision=self.revision, offer_id=self.offer[1])
                await self._until_moved("choosing")
            case "no_therapist":
                await self._cancel()
            case "active":
                await self.chat()
            case _:
                await self.until_news(0.5)

    async def chat(self) -> None:
        if self.world.hush.is_set() or self.world.is_closing.is_set():
            return await self.until_news(0.5)
        count = self.mood.choice((1, 1, 1, 2, 6))
        await asyncio.gather(*(self.do("message", text=self.words(), burst=0.15) for _ in range(count)))
        await self.mark_read(self.feed)
        await self.pause(0.0, 0.15)
        return None


class ChatTherapist(Therapist):
    """Says yes to everybody, and talks."""

    def __init__(self, world: World, name: str, *, token: str, therapist_id: str, place: tuple[float, float]) -> None:
        super().__init__(world, name, devices=2, token=token, therapist_id=therapist_id)
        self.place = place

    async def answer(self, offer_id: str) -> None:
        await self.do("accept_offer", offer_id=offer_id)

    async def visit(self, booking_id: str, room: str) -> None:
        while booking_id in self.visits and not self.world.is_closing.is_set():
            if self.world.hush.is_set():
                await self.until_news(0.5)
                continue
            await asyncio.gather(*(self.say(booking_id, room) for _ in range(self.mood.choice((1, 1, 2, 4)))))
            await self.mark_read(room, booking_id=booking_id)
            await self.pause(0.0, 0.3)


@dataclass(slots=True)
class Pair:
    guest: Chatter
    therapist: ChatTherapist

    async def say_one_thing_into_the_quiet(self, transports: tuple[str, str]) -> bool:
        """One message each way over two processes; False where the room was not open on both: nothing was judged."""
        world = self.guest.world
        sides = (self.guest.devices[0], self.therapist.devices[0])
        for device, transport, url in zip(sides, transports, world.urls, strict=False):
            device.stay(transport, url)
        try:
            if not await self._is_open():
                return False
            before = [device.reader.link for device in sides]
            booking_id = next(iter(self.therapist.visits))
            room = self.guest.feed
            said = self.guest.operation("message", text=self.guest.words())
            answered = self.therapist.operation(
                "message", room, booking_id=booking_id, text=f"{self.therapist.name} hears {self.guest.name}"
            )
            for operation, who, hearer in ((said, sides[0], sides[1]), (answered, sides[1], sides[0])):
                await who.send(operation)
                acked = operation.acked
                if acked is None or acked.answer is None:
                    return False
                is_heard = await _is_heard(hearer.reader, room, acked.answer["seq"])
                if [device.reader.link for device in sides] != before:
                    return False
                if not is_heard:
                    world.witness.accuse(
                        "quiet rooms",
                        f"{hearer.reader.name} has not heard {acked.answer['seq']} of {room} after {HEARD_WITHIN_S} s",
                        operation,
                    )
            return True
        finally:
            for device in sides:
                device.roam()

    async def _is_open(self) -> bool:
        """Until both are where they shall be, and both read the room."""
        sides = (self.guest.devices[0], self.therapist.devices[0])
        for _ in range(int(CONNECTED_WITHIN_S / 0.05)):
            is_read = all(side.reader.cursors.get(self.guest.feed) for side in sides)
            if is_read and all(side.is_connected and side.at == side.fixed for side in sides):
                return self.guest.state == "active" and bool(self.therapist.visits)
            await asyncio.sleep(0.05)
        return False


async def _is_heard(reader: Reader, feed: str, seq: int) -> bool:
    for _ in range(int(HEARD_WITHIN_S / 0.02)):
        if reader.cursors.get(feed, 0) >= seq:
            return True
        await asyncio.sleep(0.02)
    return False
