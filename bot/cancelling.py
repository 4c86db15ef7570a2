"""Ending tasks for certain: a cancellation is said until it is heard."""

from __future__ import annotations

import asyncio
from typing import Any

CANCEL_AGAIN_AFTER_S = 0.1


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and return when they have ended, however they did; nothing is raised.

    Once is not enough: `wait_for` of Python 3.11, through which both redis-py and pymongo wait, swallows a cancellation
    that arrives together with what it waited for, and whoever then waits for the task waits for ever.
    """
    running = {task for task in tasks if not task.done()}
    while running:
        for task in running:
            task.cancel()
        _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_AFTER_S)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, so that nobody complains that nobody did
