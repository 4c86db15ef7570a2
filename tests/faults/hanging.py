"""A run that does not come to its end gives up, and says what everybody in it waits for."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import _AsyncGeneratorContextManager
from pathlib import Path
from typing import Any

from tests.project import ROOT

# A loop that stands still cannot say what its tasks wait for; where it stands is said after so much longer.
STANDS_STILL_S = 5.0


def give_up_after(seconds: float) -> None:
    """Of this process nothing is left then; to be called on the loop that is watched."""
    faulthandler.dump_traceback_later(seconds + STANDS_STILL_S, exit=True)
    asyncio.get_running_loop().call_later(seconds, _give_up)


def _give_up() -> None:
    waiting = Counter(" < ".join(waits(task.get_coro())) for task in asyncio.all_tasks())
    lines = [f"{count} x {where}" for where, count in waiting.most_common()]
    sys.stdout.write("\n".join(["it does not end, and waits for", *lines]) + "\n")
    sys.stdout.flush()
    os._exit(1)


def waits(awaited: Any) -> Iterator[str]:
    """Where it stands, from the outermost call to the innermost."""
    while (frame := _part(awaited, "frame")) is not None:
        file = Path(frame.f_code.co_filename)
        shown = file.relative_to(ROOT) if file.is_relative_to(ROOT) else file.name
        yield f"{awaited.__qualname__} ({shown}:{frame.f_lineno})"
        within = frame.f_locals.get("self")
        is_manager = isinstance(within, _AsyncGeneratorContextManager)
        # What steps through a generator does not tell through which one.
        awaited = within.gen if is_manager else _part(awaited, "await") or _part(awaited, "yieldfrom")


def _part(awaited: Any, name: str) -> Any:
    """Of a coroutine, a generator or an asynchronous generator."""
    parts = (getattr(awaited, f"{kind}_{name}", None) for kind in ("cr", "gi", "ag"))
    return next((part for part in parts if part is not None), None)
