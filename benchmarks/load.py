"""The load generator, a process of its own: people in rooms of two who talk as fast as they can, or at a set pace.

It reads a plan (one line of JSON: `{"url", "rooms": [[person, person], …]}`, a person being `{"namespace", "auth",
"party", "also"}`), connects everybody and says so; then each line on its input is a phase to play, and is
answered by one line with what was measured. Sending and receiving share one clock.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import resource
import sys
from collections.abc import Mapping
from contextlib import suppress
from time import perf_counter  # the event loop's own clock ticks in milliseconds
from typing import Any

import orjson
import uvloop
from aiohttp import ClientSession

from benchmarks.client import Connection, http_session
from benchmarks.report import percentile

# A message of ordinary length; the moment of sending stands before it.
WORDS = "Saya sudah di lobi, lantai tiga dekat lift. Terima kasih, sampai nanti!"
CONNECT_AT_ONCE = 25
LAST_ONES_WITHIN_S = 10.0


class Person:
    """Somebody in a room: `also` is sent along with every message."""

    def __init__(self, crowd: Crowd, party: str, also: Mapping[str, Any]) -> None:
        self._crowd = crowd
        self._party = party
        self._also = also
        self._connection: Connection | None = None
        self._ids = itertools.count(1)

    async def come_in(self, http: ClientSession, url: str, namespace: str, auth: Mapping[str, Any]) -> None:
        self._connection = await Connection.open(http, url, namespace, auth, self._hear)

    async def say(self) -> None:
        assert self._connection is not None, "people come in before they talk"
        self._crowd.count_said()
        text = f"{perf_counter()} {WORDS}"
        payload = {"client_id": f"{id(self):x}-{next(self._ids)}", "text": text, **self._also}
        answer = await self._connection.call("message", payload)
        if not answer["ok"]:
            raise RuntimeError(f"a message was refused: {answer}")

    def _hear(self, event: str, data: Any) -> None:
        if event == "entry" and data["type"] == "message" and data["data"]["from"] != self._party:
            self._crowd.count_heard(sent_at=float(data["data"]["text"].partition(" ")[0]))


class Crowd:
    """Everybody, and what they have said and heard."""

    def __init__(self) -> None:
        self.people: list[Person] = []
        self.said = 0
        self.heard = 0
        self.latencies_ms: list[float] = []
        self._is_quiet = asyncio.Event()

    def count_said(self) -> None:
        self.said += 1
        self._is_quiet.clear()

    def count_heard(self, *, sent_at: float) -> None:
        self.heard += 1
        self.latencies_ms.append((perf_counter() - sent_at) * 1000)
        if self.heard == self.said:
            self._is_quiet.set()

    async def come_in(self, http: ClientSession, plan: Mapping[str, Any]) -> None:
        coming = []
        for each in itertools.chain.from_iterable(plan["rooms"]):
            person = Person(self, each["party"], each["also"])
            self.people.append(person)
            coming.append((person, each["namespace"], each["auth"]))
        for start in range(0, len(coming), CONNECT_AT_ONCE):
            several = coming[start : start + CONNECT_AT_ONCE]
            await asyncio.gather(*(person.come_in(http, plan["url"], *where) for person, *where in several))

    async def saturate(self, warm_s: float, for_s: float, each: int) -> dict[str, float]:
        """Everybody keeps `each` messages under way; heard messages count, after the warm-up."""
        is_over = asyncio.Event()

        async def talk(person: Person) -> None:
            while not is_over.is_set():
                await person.say()

        talks = asyncio.gather(*(talk(person) for person in self.people for _ in range(each)))
        await asyncio.wait({talks}, timeout=warm_s)
        started_at, heard, cpu_s = perf_counter(), self.heard, _cpu_s()
        await asyncio.wait({talks}, timeout=for_s)
        took_s = perf_counter() - started_at
        measured = {"per_s": (self.heard - heard) / took_s, "own_cpu": (_cpu_s() - cpu_s) / took_s}
        is_over.set()
        await talks
        return measured | await self._settle()

    async def pace(self, per_s: float, for_s: float) -> dict[str, float]:
        """Somebody says something at random moments, `per_s` times a second on average, whatever the answers do."""
        chance = random.Random(per_s)
        self.latencies_ms.clear()
        sayings = []
        at = perf_counter()
        until = at + for_s
        while (at := at + chance.expovariate(per_s)) < until:
            await asyncio.sleep(max(at - perf_counter(), 0))
            sayings.append(asyncio.create_task(chance.choice(self.people).say()))
        await asyncio.gather(*sayings)
        settled = await self._settle()
        latencies = self.latencies_ms
        return settled | {"p50_ms": percentile(latencies, 0.5), "p99_ms": percentile(latencies, 0.99)}

    async def _settle(self) -> dict[str, float]:
        """What is still under way arrives, or is lost."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._is_quiet.wait(), LAST_ONES_WITHIN_S)
        return {"said": self.said, "lost": self.said - self.heard}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def _play(crowd: Crowd, phase: dict[str, Any]) -> dict[str, float]:
    kind = phase.pop("phase")
    return await (crowd.saturate(**phase) if kind == "saturate" else crowd.pace(**phase))


def _answer(data: Mapping[str, Any]) -> None:
    sys.stdout.write(orjson.dumps(data).decode() + "\n")
    sys.stdout.flush()


async def _main() -> None:
    loop = asyncio.get_running_loop()
    plan = orjson.loads(await loop.run_in_executor(None, sys.stdin.readline))
    crowd = Crowd()
    async with http_session() as http:
        await crowd.come_in(http, plan)
        _answer({"connected": len(crowd.people)})
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            _answer(await _play(crowd, orjson.loads(line)))


if __name__ == "__main__":
    uvloop.run(_main())
