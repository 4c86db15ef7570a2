"""One run from its beginning to its verdict: people come in, faults happen, the dust settles, all is checked."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bot.cancelling import cancel
from tests.clients import JAKARTA
from tests.faults import checks, soak
from tests.faults.chatters import Chatter, ChatTherapist, Pair
from tests.faults.devices import World
from tests.faults.documents import followed
from tests.faults.ending import Ending
from tests.faults.guests import Guest
from tests.faults.javascript import node
from tests.faults.mutants import Mutant
from tests.faults.nemesis import Nemesis
from tests.faults.people import Person, cancelled
from tests.faults.schedule import Fault, schedule
from tests.faults.stage import WEBS, Stage, staged
from tests.faults.therapists import Therapist
from tests.faults.witness import Violation, Witness
from tests.house import add_therapist

LOOK_EVERY_S = 1.0
STOOD_STILL_S = 2.0
# What is kept of the time for everything: to come to rest, to read to the end and to judge.
SETTLING_S = 14.0
SHORTEST_S = 5.0
TIDE_EVERY_S = 1.5


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is made of; with the same plan and seed, everybody makes the same choices."""

    seed: str
    seconds: float
    """How long there are faults."""
    within_s: float | None = None
    """How long everything may take: on a busy machine the faults end earlier."""
    guests: int = 8
    therapists: int = 3
    pairs: int = 2
    webs: int = WEBS
    mutant: Mutant | None = None
    races: float = 0.12
    faults: tuple[str, ...] = ()
    """Only these kinds, where any are named."""
    is_soak: bool = False
    """Guests stay and come back, one process after the other dies, and the last one is measured."""

    @property
    def schedule(self) -> list[Fault]:
        if self.is_soak:
            return soak.deaths(self.seconds, self.webs)
        return schedule(self.seed, self.seconds, self.webs, self.faults)

    @property
    def idle_s(self) -> float:
        return soak.IDLE_S if self.is_soak else 0.0


@dataclass(slots=True)
class Verdict:
    plan: Plan
    witness: Witness
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def violations(self) -> list[Violation]:
        return self.witness.violations


async def play(plan: Plan) -> Verdict:
    """The verdict about one run; that of a mutant ends as soon as one of its own checks has seen it."""
    witness = Witness(plan.mutant.checks if plan.mutant else ())
    witness.note(
        "plan", "evening", seed=plan.seed, seconds=plan.seconds, schedule=[str(each) for each in plan.schedule]
    )
    verdict = Verdict(plan, witness)
    async with staged(witness, plan.seed, plan.mutant, plan.webs) as stage, _world(plan, stage) as world:
        evening = Evening(plan, stage, world)
        async with followed(stage.services, witness) as follower:
            playing = asyncio.create_task(evening.play())
            accused = asyncio.create_task(witness.accused.wait())
            try:
                waits = {playing, accused} if plan.mutant else {playing}
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                if playing.done():
                    await playing
                    await follower.until_read()
            finally:
                await cancel(accused, playing)
                await evening.close()
        verdict.figures = evening.figures()
    return verdict


@asynccontextmanager
async def _world(plan: Plan, stage: Stage) -> AsyncIterator[World]:
    connector = aiohttp.TCPConnector(limit=0)
    async with node(stage.folder / "node.log") as process, aiohttp.ClientSession(connector=connector) as http:
        yield World(stage.witness, stage.urls, http, process, plan.seed, races=plan.races, idle_s=plan.idle_s)


class Evening:
    """The people of a run, and what is done with them from the beginning to the end."""

    def __init__(self, plan: Plan, stage: Stage, world: World) -> None:
        self._plan = plan
        self._stage = stage
        self._world = world
        self._witness = stage.witness
        self._therapists: list[Therapist] = []
        self._pairs: list[Pair] = []
        self._guests: list[Guest] = []
        self._nemesis: Nemesis | None = None
        self._meter = soak.Meter(stage.webs[-1].url, world.http, self._witness)
        self._living: list[asyncio.Task[Any]] = []

    @property
    def _people(self) -> list[Person]:
        return [*self._therapists, *self._guests]

    async def play(self) -> None:
        await self._invite()
        seconds = self._seconds()
        self._nemesis = Nemesis(self._stage, self._world, self._pairs)
        faults = asyncio.create_task(self._nemesis.play(self._plan.schedule, seconds))
        beside = [asyncio.create_task(each) for each in (self._tides(), self._look(), self._meter.follow())]
        self._living = [asyncio.create_task(person.live()) for person in self._therapists]
        guests = [asyncio.create_task(self._come_and_go(number)) for number in range(self._plan.guests)]
        guests += [asyncio.create_task(pair.guest.live()) for pair in self._pairs]
        try:
            await asyncio.sleep(seconds)
            await faults
            self._world.is_closing.set()
            ending = Ending(self._stage, self._world, self._people, {pair.guest.subject for pair in self._pairs})
            await ending.come_to_rest()
        finally:
            await cancelled([faults, *beside, *guests])
        await ending.read_to_the_end()
        await ending.judge()

    def _seconds(self) -> float:
        """How long there are faults, given how long it took to get here."""
        if self._plan.within_s is None:
            return self._plan.seconds
        left_s = self._plan.within_s - self._witness.now - SETTLING_S
        return min(self._plan.seconds, max(left_s, SHORTEST_S))

    async def close(self) -> None:
        living, self._living = self._living, []
        with suppress(Exception):
            await cancelled(living)
        await asyncio.gather(*(person.stop() for person in self._people))

    # --- who comes ----------------------------------------------------------------------------------------------------

    async def _invite(self) -> None:
        for number in range(self._plan.therapists):
            token, therapist_id = await self._hire(km=0.4 * number)
            therapist = Therapist(
                self._world, f"therapist {number}", devices=1 + number % 2, token=token, therapist_id=therapist_id
            )
            self._therapists.append(therapist)
        for number in range(self._plan.pairs):
            place = (JAKARTA[0] + number + 1, JAKARTA[1])
            token, therapist_id = await self._hire(latitude=place[0], longitude=place[1])
            chatty = ChatTherapist(
                self._world, f"chat therapist {number}", token=token, therapist_id=therapist_id, place=place
            )
            pair = Pair(Chatter(self._world, f"chatter {number}", chatty), chatty)
            self._pairs.append(pair)
            self._therapists.append(chatty)
            self._guests.append(pair.guest)

    async def _hire(self, **more: Any) -> tuple[str, str]:
        record = await add_therapist(self._stage.services, **more)
        return self._stage.services.tokens.sign("therapist", record.id), record.id

    async def _come_and_go(self, number: int) -> None:
        """One guest after the other, as long as the evening lasts."""
        mood = self._world.random(f"arrivals {number}")
        visitor = 0
        while True:
            await asyncio.sleep(mood.uniform(0.0, 1.0))
            if self._world.is_closing.is_set():
                return
            visitor += 1
            devices, visits = mood.choice((1, 1, 2)), mood.choice((1, 2))
            if self._plan.is_soak:
                visits = sys.maxsize
            guest = Guest(self._world, f"guest {number}.{visitor}", devices=devices, visits=visits)
            self._guests.append(guest)
            await guest.live()

    async def _tides(self) -> None:
        while True:
            await asyncio.sleep(TIDE_EVERY_S)
            tide, self._world.tide = self._world.tide, asyncio.Event()
            tide.set()

    async def _look(self) -> None:
        """What is wrong already need not be waited for; looking takes the time of everybody here, and more and more."""
        took_s = 0.0
        while True:
            due = time.monotonic() + max(LOOK_EVERY_S, 20 * took_s)
            await asyncio.sleep(due - time.monotonic())
            began = time.monotonic()
            if began - due > STOOD_STILL_S:
                # What has come meanwhile has not been taken from the network yet: nobody was late but ourselves.
                self._world.readable_since = max(self._world.readable_since, self._witness.now)
            checks.accuse(self._witness, complete=False)
            for person in self._people:
                for device in person.devices:
                    device.listen_for_delay()
            took_s = time.monotonic() - began

    def figures(self) -> dict[str, Any]:
        operations = self._witness.operations
        measured = self._meter.judge() if self._plan.is_soak else {}
        return {
            "conversations": len(self._witness.conversations()),
            "entries": sum(len(entries) for entries in self._witness.feeds.values()),
            "commands": len(operations),
            "acked": sum(1 for each in operations if each.oks),
            "tries": sum(len(each.tries) for each in operations),
            "deliveries": sum(len(log.entries) for log in self._witness.logs),
            "faults": len(self._nemesis.done) if self._nemesis else 0,
            "quiet rooms": self._nemesis.judged if self._nemesis else 0,
            **measured,
        }


def history_file(folder: Path, plan: Plan) -> Path:
    name = f"faults-{plan.seed}" + (f"-{plan.mutant.name}" if plan.mutant else "")
    return folder / f"{name}.jsonl"
