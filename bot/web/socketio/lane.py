"""One after the other: the jobs of one connection, in the order in which they came."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

Job = Callable[[], Awaitable[None]]

CANCEL_TIMEOUT_S = 1.0

logger = logging.getLogger(__name__)


def is_being_cancelled() -> bool:
    """Whether the task that asks is being stopped, unlike one that waited for something that was cancelled."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Lane:
    """Runs jobs in order; a task exists only while there is something to run, so an idle client costs none.

    What needs no task, because a future says when it is done, is only noted here: such posts may be under way side by
    side, and a job begins when those before it are done.
    """

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._waiting: list[Job] = []
        self._posts: set[asyncio.Future[Any]] = set()
        self._task: asyncio.Task[None] | None = None

    @property
    def unfinished(self) -> set[asyncio.Future[Any]]:
        """What runs now; the lane is empty when all of it is done."""
        return self._posts | {self._task} if self._task is not None else set(self._posts)

    @property
    def is_full(self) -> bool:
        return len(self._waiting) + len(self._posts) >= self._max_waiting

    @property
    def has_jobs(self) -> bool:
        return self._task is not None

    def note(self, post: asyncio.Future[Any]) -> None:
        """Something that has begun without a task; `strike_off` when it is done."""
        self._posts.add(post)

    def strike_off(self, post: asyncio.Future[Any]) -> None:
        self._posts.discard(post)

    def add(self, job: Job) -> None:
        self._waiting.append(job)
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def finish(self, timeout_s: float) -> None:
        """Waits for the jobs there are; those that are not done in time are cancelled or never begun."""
        if unfinished := self.unfinished:
            await asyncio.wait(unfinished, timeout=timeout_s)
        if self._task is not None:
            self._waiting.clear()
            self._task.cancel()
            # A job that answers to no cancellation must not keep its connection for ever.
            await asyncio.wait({self._task}, timeout=CANCEL_TIMEOUT_S)

    async def _run(self) -> None:
        try:
            while self._waiting:
                while self._posts:
                    await asyncio.wait(self._posts)
                await self._run_one(self._waiting.pop(0))
        finally:
            self._task = None

    async def _run_one(self, job: Job) -> None:
        try:
            await job()
        except (Exception, asyncio.CancelledError):
            if is_being_cancelled():
                raise
            logger.exception("A job failed; the next one of its connection goes on")
