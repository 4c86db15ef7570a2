"""Python's collector of garbage in a process that serves for weeks: out of the way, and often enough.

What a connection or a turn leaves is freed at once, by counting references: no transport leaves circles, which
`tests/stories/test_reference_cycles.py` holds. The collector is only for those that libraries make in passing, as of an
exception and its frames; left to itself it would look through everybody who is connected again and again.
"""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from bot.cancelling import cancel

# New objects before it looks at them, and how many such looks before it looks at what was left by them.
THRESHOLDS = (100_000, 50, 1000)
# With these the oldest would never be looked at, and what a library leaves once a second is megabytes in an
# hour. A look through everything takes 100 ms for ten thousand connections, in which nobody is served: it is
# made as often as it takes no more than this share of the time, which the slowest message in a hundred does not
# notice.
SHARE = 1 / 1000
AT_MOST_EVERY_S = 60.0

log = structlog.get_logger()


@asynccontextmanager
async def collecting_seldom() -> AsyncIterator[None]:
    """To be entered once everything has started: what stands then stays for good, and is not looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
    collecting = asyncio.create_task(_collect_for_ever())
    try:
        yield
    finally:
        await cancel(collecting)


async def _collect_for_ever() -> None:
    took_s = 0.0
    while True:
        # Processes that were started together need not pause together.
        await asyncio.sleep(max(AT_MOST_EVERY_S, took_s / SHARE) * random.uniform(0.75, 1.25))
        began = time.thread_time()  # a machine that gives us no time makes it no dearer
        found = gc.collect()
        took_s = time.thread_time() - began
        log.debug("collected garbage", objects=found, took_ms=round(1000 * took_s))
