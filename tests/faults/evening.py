"""One run from its beginning to its verdict: people come in, faults happen, the dust settles, all is checked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import aiohttp

from tests.clients import JAKARTA
from tests.faults import checks
from tests.faults.chatters import Chatter, ChatTherapist, Pair
from tests.faults.documents import followed, look_for_disagreement
from tests.faults.guests import ENDED, Guest
from tests.faults.javascript import node
from tests.faults.links import FAILURES, read_all
from tests.faults.mutants import Mutant
from tests.faults.nemesis import Nemesis
from tests.faults.people import Person, World, cancelled
from tests.faults.readers import Lost, Reader
from tests.faults.schedule import Fault, schedule
from tests.faults.stage import WEBS, Stage, staged
from tests.faults.therapists import Therapist
from tests.faults.witness import Violation, Witness
from tests.house import add_therapist

LOOK_EVERY_S = 1.0
TIDE_EVERY_S = 1.5
# Faults are over, and so much later everybody has come to rest; all the clocks of one search together are shorter.
REST_WITHIN_S = 30.0
READ_WITHIN_S = 15.0
OVERDUE_S = 5.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is made of; with the same plan and seed, everybody makes the same choices."""

    seed: str
    seconds: float
    guests: int = 8
    therapists: int = 3
    pairs: int = 2
    webs: int = WEBS
    mutant: Mutant | None = None
    races: float = 0.12
    faults: tuple[str, ...] = ()
    """Only these kinds, where any are named."""

    @property
    def schedule(self) -> list[Fault]:
        return schedule(self.seed, self.seconds, self.webs, self.faults)


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
            accused = asyncio.ensure_future(witness.accused.wait())
            try:
                waits = {playing, accused} if plan.mutant else {playing}
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                if playing.done():
                    await playing
                    await follower.until_read()
            finally:
                accused.cancel()
                await cancelled_quietly(playing)
                await evening.close()
        verdict.figures = evening.figures()
    return verdict


async def cancelled_quietly(task: asyncio.Task[Any]) -> None:
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def _world(plan: Plan, stage: Stage) -> AsyncIterator[World]:
    connector = aiohttp.TCPConnector(limit=0)
    async with node(stage.folder / "node.log") as process, aiohttp.ClientSession(connector=connector) as http:
        yield World(stage.witness, stage.urls, http, process, plan.seed, races=plan.races)


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
        self._living: list[asyncio.Task[Any]] = []

    @property
    def _people(self) -> list[Person]:
        return [*self._therapists, *self._guests]

    async def play(self) -> None:
        await self._invite()
        began = asyncio.get_running_loop().time()
        self._nemesis = Nemesis(self._stage, self._world, self._pairs)
        faults = asyncio.create_task(self._nemesis.play(self._plan.schedule, began))
        beside = [asyncio.create_task(each) for each in (self._tides(), self._look())]
        self._living = [asyncio.create_task(person.live()) for person in self._therapists]
        guests = [asyncio.create_task(self._come_and_go(number)) for number in range(self._plan.guests)]
        guests += [asyncio.create_task(pair.guest.live()) for pair in self._pairs]
        try:
            await asyncio.sleep(self._plan.seconds)
            await faults
            await self._settle(guests)
        finally:
            await cancelled([faults, *beside, *guests])
        self._witness.note("at rest", "evening")
        await self._read_to_the_end()
        self._witness.note("read", "evening")
        await self._judge()
        self._witness.note("judged", "evening")

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
        while not self._world.is_closing.is_set():
            await asyncio.sleep(mood.uniform(0.0, 1.0))
            visitor += 1
            guest = Guest(
                self._world, f"guest {number}.{visitor}", devices=mood.choice((1, 1, 2)), visits=mood.choice((1, 2))
            )
            self._guests.append(guest)
            await guest.live()

    async def _tides(self) -> None:
        while True:
            await asyncio.sleep(TIDE_EVERY_S)
            tide, self._world.tide = self._world.tide, asyncio.Event()
            tide.set()

    async def _look(self) -> None:
        """What is wrong already need not be waited for."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            checks.accuse(self._witness, complete=False)
            for person in self._people:
                for device in person.devices:
                    device.listen_for_delay()

    # --- how it ends --------------------------------------------------------------------------------------------------

    async def _settle(self, guests: Sequence[asyncio.Task[Any]]) -> None:
        """Everything is mended, nobody begins anything new, and every conversation comes to rest by itself."""
        self._stage.pass_on()
        self._world.is_closing.set()
        await self._stage.until_ready()
        self._witness.note("settling", "evening")
        chatting = {pair.guest.subject for pair in self._pairs}
        until = asyncio.get_running_loop().time() + REST_WITHIN_S
        while standing := await self._not_at_rest(chatting):
            if asyncio.get_running_loop().time() > until:
                self._witness.accuse("rest", f"{len(standing)} conversations are not at rest", *standing)
                break
            await asyncio.sleep(0.5)
        for guest in guests:
            if guest.done() and not guest.cancelled():
                guest.result()

    async def _not_at_rest(self, chatting: set[str]) -> list[dict[str, Any]]:
        """Where guests stand by what a new connection is told; a pair that chats may go on."""
        standing = []
        for guest in self._guests:
            session = await self._session(guest.devices[0].reader)
            self._see_whether_overdue(session)
            may_be = ("idle", *ENDED, "active") if guest.subject in chatting else ("idle", *ENDED)
            if session["state"] not in may_be:
                standing.append({name: session[name] for name in ("conversation_id", "state", "revision", "countdown")})
        return standing

    async def _session(self, reader: Reader) -> dict[str, Any]:
        if not reader.subject:
            return {"state": "idle", "countdown": None}
        known = {"token": reader.token, "since": 2**40, "locale": "en"}
        for _ in range(20):
            url = Random(reader.name).choice(self._world.urls)
            with suppress(*FAILURES):
                async with self._world.http.post(f"{url}/api/guest/session", json=known) as response:
                    if response.status == 200:
                        session: dict[str, Any] = await response.json()
                        return session
            await asyncio.sleep(0.25)
        self._witness.accuse("rest", f"{reader.name} cannot come in any more")
        return {"state": "idle", "countdown": None}

    def _see_whether_overdue(self, session: dict[str, Any]) -> None:
        countdown = session["countdown"]
        if countdown:
            late = checks.moment(session["server_time"]) - checks.moment(countdown["deadline_at"])
            if late.total_seconds() > OVERDUE_S:
                self._witness.accuse("rest", f"{session['conversation_id']} is overdue by {late}", countdown)

    async def _read_to_the_end(self) -> None:
        """Every reader continues from its own cursor once more, and gets to where the feed is."""
        await asyncio.gather(*(self._complete(feed, token) for feed, token in self._owners().items()))
        await asyncio.gather(*(device.stop() for person in self._people for device in person.devices))
        moods = {device.reader.name: device for person in self._people for device in person.devices}
        for device in moods.values():
            if device.reader.subject:
                device.start()
        loop = asyncio.get_running_loop()
        until = loop.time() + READ_WITHIN_S
        while behind := [each for each in self._behind() if each]:
            if loop.time() > until:
                self._witness.accuse("readers", "readers do not get to the end of their feeds", *behind)
                return
            await asyncio.sleep(0.05)

    def _owners(self) -> dict[str, str]:
        readers = [person.devices[0].reader for person in self._people]
        return {reader.own_feed: reader.token for reader in readers if reader.subject and reader.token}

    async def _complete(self, feed: str, token: str) -> None:
        """The feed as every process gives it to somebody who begins at the beginning."""
        log = self._witness.log_of("the whole feed", feed)
        whole: list[list[str]] = []
        for url in self._world.urls:
            try:
                entries = await read_all(self._world.http, url, token, feed)
            except (*FAILURES, Lost) as error:
                self._witness.accuse("readers", f"{feed} cannot be read", repr(error))
                continue
            whole.append([entry["id"] for entry in entries])
            if len(whole) == 1:
                for entry in entries:
                    self._witness.hear(log, entry, "poll")
        if whole and any(each[: len(whole[0])] != whole[0] for each in whole):
            self._witness.accuse("same for all", f"{feed} is not the same on every process", *whole)
        if whole and len(whole[0]) < max(self._witness.feeds[feed], default=0):
            self._witness.accuse("readers", f"{feed} ends with {len(whole[0])}, and more had been heard of it")

    def _behind(self) -> list[str]:
        """Who has not read what there is: the own feed of everybody, and the rooms that are open."""
        found = []
        for person in self._people:
            for reader in person.readers:
                for feed in reader.feeds() if reader.subject else ():
                    head = max(self._witness.feeds[feed], default=0)
                    if reader.cursors.get(feed, 0) < head:
                        found.append(
                            f"{reader.name}: {reader.cursors.get(feed, 0)} of {head} on {feed} via {reader.via}"
                        )
        return found

    async def _judge(self) -> None:
        await look_for_disagreement(self._stage.services, self._witness)
        checks.accuse(self._witness, complete=True)
        for process in self._stage.processes:
            for complaint in process.complaints():
                self._witness.accuse("processes", f"{process.name} complains: {complaint[:1500]}")

    def figures(self) -> dict[str, Any]:
        operations = self._witness.operations
        return {
            "conversations": len(self._witness.conversations()),
            "entries": sum(len(entries) for entries in self._witness.feeds.values()),
            "commands": len(operations),
            "acked": sum(1 for each in operations if each.oks),
            "tries": sum(len(each.tries) for each in operations),
            "deliveries": sum(len(log.entries) for log in self._witness.logs),
            "faults": len(self._nemesis.done) if self._nemesis else 0,
            "quiet rooms": self._nemesis.judged if self._nemesis else 0,
        }


def history_file(folder: Path, plan: Plan) -> Path:
    name = f"faults-{plan.seed}" + (f"-{plan.mutant.name}" if plan.mutant else "")
    return folder / f"{name}.jsonl"
