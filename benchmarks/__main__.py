"""`python -m benchmarks [--quick] [section …]`: measure, and print one table."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from time import perf_counter

import uvloop

from benchmarks import bookings, chat, countdowns, idle, lost, notifications, processes, searches
from benchmarks.effort import FULL, QUICK, Effort
from benchmarks.generator import LoadFailed
from benchmarks.machine import describe
from benchmarks.people import Refused
from benchmarks.report import Section, as_table
from benchmarks.stage import Stage, stage
from bot.logs.setup import configure
from bot.runtime.embedded import ServerFailed
from bot.settings.settings import Settings

SECTIONS: Mapping[str, Callable[[Stage, Effort], Awaitable[list[Section]]]] = {
    "chat": chat.measure,
    "processes": processes.measure,
    "idle": idle.measure,
    "lost": lost.measure,
    "bookings": bookings.measure,
    "searches": searches.measure,
    "countdowns": countdowns.measure,
    "notifications": notifications.measure,
}


async def _measure(stands: Stage, wanted: list[str], effort: Effort) -> list[Section]:
    measured: list[Section] = []
    for name in wanted:
        sys.stderr.write(f"measuring {name} …\n")
        measured += await SECTIONS[name](stands, effort)
    return measured


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure Janji on this machine, on servers of its own."
    )
    parser.add_argument("--quick", action="store_true", help="a few minutes, for a look; not for the record")
    parser.add_argument("sections", nargs="*", metavar="section", help=f"some of: {', '.join(SECTIONS)}; else all")
    return parser


def main(arguments: list[str]) -> int:
    parser = _parser()
    parsed = parser.parse_args(arguments)
    if unknown := set(parsed.sections) - SECTIONS.keys():
        parser.error(f"no such section: {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    effort = QUICK if parsed.quick else FULL
    # What is prepared here takes turns, too; the servers that are measured write their logs as ever.
    configure(Settings(log_level="warning"))
    started_at, load = perf_counter(), os.getloadavg()[0]
    try:
        with stage() as stands:
            sections = uvloop.run(_measure(stands, parsed.sections or list(SECTIONS), effort))
            machine = describe(stands.servers)
    except (ServerFailed, LoadFailed, Refused) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        return 130
    how = f"median (least–most) of {effort.repetitions} repetitions, {perf_counter() - started_at:.0f} s in all"
    sys.stdout.write(f"{machine}\n{how}, load before {load:.1f}\n\n{as_table(sections)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
