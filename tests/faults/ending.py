"""How a run ends: everything is mended, the dust settles, every reader reads to the end, and all of it is judged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Any

from tests.faults import checks
from tests.faults.devices import World
from tests.faults.documents import look_for_disagreement
from tests.faults.evidence import moment
from tests.faults.guests import ENDED, Guest
from tests.faults.links import FAILURES, read_all
from tests.faults.people import Person
from tests.faults.readers import Lost, Reader
from tests.faults.stage import Stage
from tests.faults.witness import Witness

# Faults are over, and so much later everybody has come to rest; all the clocks of one search together are shorter.
REST_WITHIN_S = 30.0
READ_WITHIN_S = 15.0
# After half an hour feeds are long, and there are more than a hundred.
READ_AT_ONCE = 8
OVERDUE_S = 5.0
# With these, an outage that outlasts its cause by some seconds is sat out.
MOST_TRIES = 20
PAUSE_S = 0.5


def accuse_if_overdue(witness: Witness, session: Mapping[str, Any], healed_s: float) -> None:
    """`healed_s`: for how long there has been nothing that could hold it up."""
    countdown = session["countdown"]
    if countdown:
        late = moment(session["server_time"]) - moment(countdown["deadline_at"])
        if min(late.total_seconds(), healed_s) > OVERDUE_S:
            witness.accuse("rest", f"{session['conversation_id']} is overdue by {late}", countdown)


class Ending:
    """Of the guests, those whose conversations are in `chatting` may still be visited in the end."""

    def __init__(self, stage: Stage, world: World, people: Sequence[Person], chatting: set[str]) -> None:
        self._stage = stage
        self._world = world
        self._people = people
        self._chatting = chatting
        self._witness = stage.witness
        self._healed_at = self._witness.now

    def _guests(self) -> list[Guest]:
        return [person for person in self._people if isinstance(person, Guest)]

    async def come_to_rest(self) -> None:
        """Nobody begins anything new any more, and every conversation comes to its end by itself."""
        self._stage.pass_on()
        await self._stage.until_ready()
        self._witness.note("settling", "evening")
        self._healed_at = self._witness.now
        loop = asyncio.get_running_loop()
        until = loop.time() + REST_WITHIN_S
        while standing := await self._not_at_rest():
            if loop.time() > until:
                self._witness.accuse("rest", f"{len(standing)} conversations are not at rest", *standing)
                return
            await asyncio.sleep(0.5)

    async def _not_at_rest(self) -> list[dict[str, Any]]:
        """Where guests stand by what a new connection is told; a pair that chats may go on."""
        standing = []
        for guest in self._guests():
            session = await self._session(guest.devices[0].reader)
            accuse_if_overdue(self._witness, session, self._witness.now - self._healed_at)
            may_be = ("idle", *ENDED, "active") if guest.subject in self._chatting else ("idle", *ENDED)
            if session["state"] not in may_be:
                standing.append({name: session[name] for name in ("conversation_id", "state", "revision", "countdown")})
        return standing

    async def _session(self, reader: Reader) -> dict[str, Any]:
        if not reader.subject:
            return {"state": "idle", "countdown": None}
        known = {"token": reader.token, "since": 2**40, "locale": "en"}
        for _ in range(MOST_TRIES):
            url = Random(reader.name).choice(self._world.urls)
            with suppress(*FAILURES):
                async with self._world.http.post(f"{url}/api/guest/session", json=known) as response:
                    if response.status == 200:
                        session: dict[str, Any] = await response.json()
                        return session
            await asyncio.sleep(PAUSE_S)
        self._witness.accuse("rest", f"{reader.name} cannot come in any more")
        return {"state": "idle", "countdown": None}

    async def read_to_the_end(self) -> None:
        """Every reader continues from its own cursor once more, and gets to where the feed is."""
        turns = asyncio.Semaphore(READ_AT_ONCE)
        await asyncio.gather(*(self._complete(feed, reader, turns) for feed, reader in self._owners().items()))
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

    def _owners(self) -> dict[str, Reader]:
        readers = [person.devices[0].reader for person in self._people]
        return {reader.own_feed: reader for reader in readers if reader.subject and reader.token}

    async def _complete(self, feed: str, reader: Reader, turns: asyncio.Semaphore) -> None:
        """The feed as every process gives it to somebody who begins at the beginning."""
        log = self._witness.log_of("the whole feed", feed)
        whole: list[list[str]] = []
        for url in self._world.urls:
            async with turns:
                entries = await self._read_whole(url, reader, feed)
            whole.append([entry["id"] for entry in entries])
            if len(whole) == 1:
                for entry in entries:
                    self._witness.hear(log, entry, "poll")
        if any(each[: len(whole[0])] != whole[0] for each in whole):
            self._witness.accuse("same for all", f"{feed} is not the same on every process", *whole)
        if len(whole[0]) < max(self._witness.feeds[feed], default=0):
            self._witness.accuse("readers", f"{feed} ends with {len(whole[0])}, and more had been heard of it")

    async def _read_whole(self, url: str, reader: Reader, feed: str) -> list[dict[str, Any]]:
        """Whoever is told to come again does so, for a while: with the token that they have by then."""
        for _ in range(MOST_TRIES):
            try:
                async with asyncio.timeout(READ_WITHIN_S):
                    return await read_all(self._world.http, url, reader, feed)
            except (*FAILURES, Lost) as error:
                why = repr(error)
            await asyncio.sleep(PAUSE_S)
        self._witness.accuse("readers", f"{feed} cannot be read at {url}", why)
        return []

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

    async def judge(self) -> None:
        await look_for_disagreement(self._stage.services, self._witness)
        checks.accuse(self._witness, complete=True)
        for process in self._stage.processes:
            for complaint in process.complaints():
                self._witness.accuse("processes", f"{process.name} complains: {complaint[:1500]}")
