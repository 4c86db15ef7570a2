"""How processes of ours end: in order once they are told to, and in any case soon after."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, NoReturn, TypeVar

import uvloop

from bot.cancelling import cancel

T = TypeVar("T")

# The platform kills after 30 s, without a word. Who hangs for so long ends itself, and says where it hung.
HARD_END_S = 20.0


def end_for_certain() -> None:
    """From now on the process has `HARD_END_S` left; the watch needs neither the event loop nor the interpreter."""
    faulthandler.dump_traceback_later(HARD_END_S, exit=True)


def on_signal(stop: Callable[[], object]) -> None:
    """Call `stop` at the first SIGTERM or SIGINT; another one changes nothing, not even when all else has ended."""
    is_told = False

    def told(number: int, frame: FrameType | None) -> None:
        nonlocal is_told
        if not is_told:
            is_told = True
            end_for_certain()
            stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, told)


def until_told_to_stop() -> asyncio.Event:
    """An event of this loop that is set by the first SIGTERM or SIGINT."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    on_signal(lambda: loop.call_soon_threadsafe(stop.set))
    return stop


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run it on a loop of its own; what it leaves running, as drivers do, is cancelled until it has ended."""

    async def main_alone() -> T:
        try:
            return await main
        finally:
            await cancel(*(asyncio.all_tasks() - {asyncio.current_task()}))

    return uvloop.run(main_alone())


def leave(status: int) -> NoReturn:
    """End now: the interpreter itself would wait for threads that wait for a server which does not answer."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)
