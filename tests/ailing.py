"""Web processes that something is wrong with, forked from one that has imported everything, so that they start quickly.

`python -m tests.ailing <port>:<ailment>:<figure> …`, each a process that serves on the port:
- `dies`: just before so many writes to the database, counted from the first change of a conversation or a search, it
  ends the way `kill -9` would end it at that moment;
- `sleeps`: there it stops, until SIGUSR1 to the program that forked it wakes it;
- `skewed`: the clock of its machine is so many seconds ahead.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, tzinfo
from functools import partial
from typing import Any

from pymongo import monitoring

import bot.clock
from bot.app import serve
from bot.logs.setup import configure
from bot.runtime.dependants import die_with_parent
from bot.settings.loading import load_settings
from bot.settings.settings import Settings

TURNS = ("conversations", "searches")
WRITES = ("insert", "update", "findAndModify", "delete")


class LastWrite(monitoring.CommandListener):
    """Counts what is about to be written, and sends the process a signal before the last write."""

    def __init__(self, what: signal.Signals, last: int) -> None:
        self._what = what
        self._last = last
        self._count = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name not in WRITES:
            return
        is_turn = event.command_name == "findAndModify" and event.command["findAndModify"] in TURNS
        if self._count or is_turn:
            self._count += 1
            if self._count == self._last:
                os.kill(os.getpid(), self._what)

    def succeeded(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass


def stop_at(what: signal.Signals, write: int) -> None:
    monitoring.register(LastWrite(what, write))


def skew(seconds: int) -> None:
    """Nothing else in the program asks the machine for the time; `tests/test_architecture.py` holds that."""
    by = timedelta(seconds=seconds)

    class Skewed(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # the rest knows the real kind
            return datetime.now(tz) + by

    bot.clock.datetime = Skewed  # type: ignore[misc]


AILMENTS: Mapping[str, Callable[[int], None]] = {
    "dies": partial(stop_at, signal.SIGKILL),
    "sleeps": partial(stop_at, signal.SIGSTOP),
    "skewed": skew,
}


def main(arguments: list[str]) -> int:
    settings = load_settings()
    configure(settings)
    children = [_fork(settings, *each.split(":")) for each in arguments]
    signal.signal(signal.SIGUSR1, lambda *_: [os.kill(child, signal.SIGCONT) for child in children])
    for child in children:
        os.waitpid(child, 0)
    return 0


def _fork(settings: Settings, port: str, ailment: str, figure: str) -> int:
    child = os.fork()
    if child == 0:
        die_with_parent()
        AILMENTS[ailment](int(figure))
        serve(settings.model_copy(update={"port": int(port)}))
        os._exit(0)
    return child


if __name__ == "__main__":
    main(sys.argv[1:])
