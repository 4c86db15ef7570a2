"""The load generator, a process of its own: people in rooms who talk as fast as they can, at a set pace, or not at all.

It reads a plan (one line of JSON: `{"people": [person, …], "at_once"}`, a person being `{"url", "namespace", "auth",
"party", "also"}`), connects everybody and says how long that took; then each line on its input is a phase to play, and
is answered by one line with what was measured. Sending and receiving share one clock.
"""

from __future__ import annotations

import asyncio
import random
import resource
import sys
from collections.abc import Mapping
from contextlib import suppress
from time import perf_counter  # the event loop's own clock ticks in milliseconds
from typing import Any

import orjson
import uvloop

from benchmarks.report import percentile
from benchmarks.wire import Wire

# A message of ordinary length; the moment of sending stands before it.
WORDS = "Saya sudah di lobi, lantai tiga dekat lift. Terima kasih, sampai nanti!"
LAST_ONES_WITHIN_S = 30.0
SENT_AT = b'"text":"'


class Person:
    """Somebody in a room of two. What they hear is searched for the little that counts, and not parsed."""

    def __init__(self, crowd: Crowd, plan: Mapping[str, Any]) -> None:
        self._crowd = crowd
        self._plan = plan
        namespace = plan["namespace"]
        self._entry = f'42{namespace},["entry",'.encode()
        self._ack = f"43{namespace},".encode()
        self._own = f'"from":"{plan["party"]}"'.encode()
        also = orjson.dumps(plan["also"]).decode()[1:-1]
        # What is the same in every message is put together once.
        self._before = f'42{namespace},0["message",{{{also + "," if also else ""}"client_id":"{id(self):x}-'
        self._after = f" {WORDS}" + '"}]'
        self._said = 0
        self._wire: Wire | None = None

    async def come_in(self) -> None:
        self._wire = await Wire.open(self._plan["url"], self._plan["namespace"], self._plan["auth"], self._hear)
        self._wire.gone.add_done_callback(self._crowd.lose)

    def say(self) -> None:
        assert self._wire is not None, "people come in before they talk"
        self._said += 1
        self._crowd.count_said()
        self._wire.send(f'{self._before}{self._said}","text":"{perf_counter():.6f}{self._after}'.encode())

    def _hear(self, packet: bytes) -> None:
        if packet.startswith(self._ack):
            if b'"ok":true' not in packet:
                self._crowd.fail(f"a message was refused: {packet.decode()}")
            elif self._crowd.is_flooding:
                self.say()
        elif packet.startswith(self._entry) and self._own not in packet:
            start = packet.find(SENT_AT) + len(SENT_AT)
            if start >= len(SENT_AT):
                self._crowd.count_heard(float(packet[start : packet.index(b" ", start)]))


class Crowd:
    """Everybody, and what they have said and heard."""

    def __init__(self) -> None:
        self.people: list[Person] = []
        self.said = 0
        self.heard = 0
        self.heard_at = 0.0
        self.is_flooding = False
        self.latencies_ms: list[float] = []
        self._is_quiet = asyncio.Event()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def count_said(self) -> None:
        self.said += 1
        self._is_quiet.clear()

    def count_heard(self, sent_at: float) -> None:
        self.heard += 1
        self.heard_at = perf_counter()
        self.latencies_ms.append((self.heard_at - sent_at) * 1000)
        if self.heard == self.said:
            self._is_quiet.set()

    def lose(self, _: object) -> None:
        self.fail("the server closed a connection")

    def fail(self, why: str) -> None:
        if not self._failure.done():
            self._failure.set_exception(RuntimeError(why))

    async def come_in(self, plan: Mapping[str, Any]) -> dict[str, float]:
        """Several knock at once, the next one when one of them is in."""
        self.people = [Person(self, each) for each in plan["people"]]
        coming = iter(self.people)

        async def knock() -> None:
            for person in coming:
                await person.come_in()

        started_at = perf_counter()
        await asyncio.gather(*(knock() for _ in range(plan["at_once"])))
        return {"connected": len(self.people), "took_s": perf_counter() - started_at}

    async def saturate(self, warm_s: float, for_s: float, each: int) -> dict[str, float]:
        """Everybody keeps `each` messages under way; what is heard counts, from the warm-up until the last has arrived.

        A server that acks faster than it delivers is not measured by its acks, nor by what it still owes.
        """
        self.is_flooding = True
        for person in self.people:
            for _ in range(each):
                person.say()
        await self._wait(warm_s)
        started_at, heard, cpu_s = perf_counter(), self.heard, _cpu_s()
        await self._wait(for_s)
        self.is_flooding = False
        settled = await self._settle()
        took_s = self.heard_at - started_at
        return settled | {"per_s": (self.heard - heard) / took_s, "own_cpu": (_cpu_s() - cpu_s) / took_s}

    async def pace(self, per_s: float, for_s: float) -> dict[str, float]:
        """Somebody says something at random moments, `per_s` times a second on average, whatever the answers do."""
        chance = random.Random(per_s)
        self.latencies_ms.clear()
        at = started_at = perf_counter()
        cpu_s = _cpu_s()
        while (at := at + chance.expovariate(per_s)) < started_at + for_s:
            if (ahead_s := at - perf_counter()) > 0:
                await self._wait(ahead_s)
            chance.choice(self.people).say()
        measured = {"own_cpu": (_cpu_s() - cpu_s) / (perf_counter() - started_at), **await self._settle()}
        shares = {f"p{share}_ms": percentile(self.latencies_ms, share / 100) for share in (50, 99)}
        return measured | shares | {"longest_ms": max(self.latencies_ms)}

    async def _settle(self) -> dict[str, float]:
        """What is still under way arrives, or is lost."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._is_quiet.wait(), LAST_ONES_WITHIN_S)
        return {"said": self.said, "lost": self.said - self.heard}

    async def _wait(self, seconds: float) -> None:
        """Unless something fails, which ends the run."""
        done, _ = await asyncio.wait({self._failure}, timeout=seconds)
        for failure in done:
            failure.result()


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
    _answer(await crowd.come_in(plan))
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        _answer(await _play(crowd, orjson.loads(line)))


if __name__ == "__main__":
    uvloop.run(_main())
