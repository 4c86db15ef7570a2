"""The other end of `load`: starts the generator, has it play phases, and reads what it measured."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson

LARGEST_LINE = 2**22


class LoadFailed(Exception):
    """The generator ended or something was lost: there is nothing to report but this."""


class Generator:
    """A crowd that is connected; `came_in_s` is how long that took."""

    came_in_s = 0.0

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def saturate(self, *, warm_s: float, for_s: float, each: int) -> dict[str, float]:
        return await self._play(phase="saturate", warm_s=warm_s, for_s=for_s, each=each)

    async def pace(self, *, per_s: float, for_s: float) -> dict[str, float]:
        return await self._play(phase="pace", per_s=per_s, for_s=for_s)

    async def _play(self, **phase: Any) -> dict[str, float]:
        measured = await self.ask(phase)
        if measured["lost"]:
            raise LoadFailed(f"{measured['lost']:.0f} of {measured['said']:.0f} messages were acked and never arrived")
        return measured

    async def ask(self, line: Mapping[str, Any]) -> dict[str, float]:
        assert self._process.stdin is not None, "it was started with a pipe"
        assert self._process.stdout is not None, "it was started with a pipe"
        self._process.stdin.write(orjson.dumps(line) + b"\n")
        answer = await self._process.stdout.readline()
        if not answer:
            raise LoadFailed("the load generator ended; what it said stands above")
        measured: dict[str, float] = orjson.loads(answer)
        return measured

    async def vanish(self) -> None:
        """All at once and without a goodbye, as when a cell of the network fails."""
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()


def person_at(url: str, namespace: str, auth: Mapping[str, Any], party: str = "", **also: str) -> dict[str, Any]:
    """One of a plan (see `load`)."""
    return {"url": url, "namespace": namespace, "auth": auth, "party": party, "also": also}


@asynccontextmanager
async def crowd_of(people: Sequence[Mapping[str, Any]], *, at_once: int = 25) -> AsyncIterator[Generator]:
    """Everybody of the plan, connected."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "benchmarks.load"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LARGEST_LINE,
    )
    generator = Generator(process)
    try:
        came_in = await generator.ask({"people": people, "at_once": at_once})
        generator.came_in_s = came_in["took_s"]
        yield generator
    finally:
        await generator.vanish()
