"""A web process that says on SIGUSR1 what it holds: `python -m tests.fuzz.served FILE` writes the figures there."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import sys
from pathlib import Path

import uvloop

from bot.app import serving
from bot.logs.setup import configure
from bot.runtime.dependants import die_with_parent
from bot.settings.loading import load_settings
from bot.settings.settings import Settings


def write_figures(file: Path) -> None:
    """Tasks and resident memory in bytes, after the garbage has been taken away."""
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    descriptors = len(os.listdir("/proc/self/fd"))
    figures = {"tasks": len(asyncio.all_tasks()), "resident": resident, "descriptors": descriptors}
    unfinished = file.with_suffix(".new")
    unfinished.write_text(json.dumps(figures))
    unfinished.replace(file)


async def serve(settings: Settings, file: Path) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGUSR1, write_figures, file)
    async with serving(settings):
        await stop.wait()


def main(file: Path) -> None:
    die_with_parent()
    settings = load_settings()
    configure(settings)
    uvloop.run(serve(settings, file))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
