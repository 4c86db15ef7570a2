"""One after the other: the jobs of one connection, in the order in which they came."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

Job = Callable[[], Awaitable[None]]

CANCEL_TIMEOUT_S = 1.0

logger = logging.getLogger(__name__)


def is_being_cancelled() -> bool:
    """Whether the task that asks is being stopped, unlike one that waited for something that was cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Lane:
    """Runs jobs in order; a task exists only while there is something to run, so an idle client costs none."""

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._waiting: deque[Job] = deque()
        self._task: asyncio.Task[None] | None = None

    @property
    def task(self) -> asyncio.Task[None] | None:
        """What runs now; done when the lane is empty."""
        return self._task

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= self._max_waiting

    def add(self, job: Job) -> None:
        self._waiting.append(job)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def finish(self, timeout_s: float) -> None:
        """Waits for the jobs there are; those that are not done in time are cancelled or never begun."""
        if self._task is None:
            return
        _, unfinished = await asyncio.wait({self._task}, timeout=timeout_s)
        for task in unfinished:
            self._waiting.clear()
            task.cancel()
            # A job that answers to no cancellation must not keep its connection for ever.
            await asyncio.wait({task}, timeout=CANCEL_TIMEOUT_S)

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._run_one(self._waiting.popleft())
        finally:
            self._task = None

    async def _run_one(self, job: Job) -> None:
        try:
            await job()
        except (Exception, asyncio.CancelledError):
            if is_being_cancelled():
                raise
            logger.exception("A job failed; the next one of its connection goes on")
