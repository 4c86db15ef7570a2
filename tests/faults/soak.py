"""A long evening of many people, with a death every few seconds: what one process that lives all the while grows by."""

from __future__ import annotations

import asyncio
import re
import statistics
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp

from tests.faults.links import FAILURES
from tests.faults.schedule import Fault
from tests.faults.witness import Witness
from tests.house import METRICS_TOKEN

# Two hundred clients: every other person has two.
GUESTS, THERAPISTS, PAIRS = 110, 30, 6
IDLE_S = 60.0
"""How long a guest is there between two visits, on average."""
SECONDS = 1_800.0
KILL_EVERY_S = 5.0
AWAY_S = 0.3
LOOK_EVERY_S = 10.0
# Caches fill, and the allocator finds its size: the first third is not counted.
WARM_UP = 1 / 3
MOST_MB_IN_TEN_MINUTES = 1.0
# Connections come and go all the while.
MOST_GROWTH = 1.25
SIZES = {
    "memory_mb": "process_resident_memory_bytes",
    "tasks": "janji_tasks",
    "files": "process_open_fds",
    "blocks": "janji_allocated_blocks",
}


def deaths(seconds: float, webs: int) -> list[Fault]:
    """Of one web process after the other; the last one lives, and is measured."""
    moments = [KILL_EVERY_S * number for number in range(1, int(seconds / KILL_EVERY_S))]
    return [Fault(at_s, "kill_web", number % (webs - 1), AWAY_S) for number, at_s in enumerate(moments)]


@dataclass(slots=True)
class Meter:
    """Reads the metrics of one process, and judges in the end."""

    url: str
    http: aiohttp.ClientSession
    witness: Witness
    read: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {name: [] for name in SIZES})

    async def follow(self) -> None:
        while True:
            with suppress(*FAILURES):
                await self._look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _look(self) -> None:
        headers = {"Authorization": f"Bearer {METRICS_TOKEN}"}
        async with self.http.get(f"{self.url}/metrics", headers=headers) as response:
            text = await response.text()
        for name, metric in SIZES.items():
            found = re.search(rf"^{metric}{{[^}}]*}} (\S+)$", text, re.MULTILINE)
            assert found, f"there is no {metric}"
            size = float(found[1]) / (1e6 if name == "memory_mb" else 1)
            self.read[name].append((self.witness.now, size))
            self.witness.note("measured", name, size=size)

    def judge(self) -> dict[str, str]:
        """What it grew by, in words; too much is accused."""
        slope = 600 * slope_of(_counted(self.read["memory_mb"]))
        said = {"memory": f"{slope:+.2f} MB in ten minutes"}
        if slope > MOST_MB_IN_TEN_MINUTES:
            self.witness.accuse("memory", f"the process grows by {slope:.2f} MB in ten minutes")
        for name in ("tasks", "files", "blocks"):
            before, after = halves_of(_counted(self.read[name]))
            said[name] = f"{before:.0f}, later {after:.0f}"
            if after > before * MOST_GROWTH:
                self.witness.accuse("memory", f"the process had {before:.0f} {name}, and later {after:.0f}")
        return said


def _counted(read: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    return read[int(len(read) * WARM_UP) :]


def slope_of(read: Iterable[tuple[float, float]]) -> float:
    """Of the straight line that fits best, per second."""
    moments, sizes = zip(*read, strict=True)
    return statistics.linear_regression(moments, sizes).slope


def halves_of(read: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """What is usual in the first half, and in the second."""
    sizes = [size for _, size in read]
    middle = len(sizes) // 2
    return statistics.median(sizes[:middle]), statistics.median(sizes[middle:])
