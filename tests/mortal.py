"""Web processes that die at an exact write to the database, the way `kill -9` would end them at that moment.

`python -m tests.mortal <port>:<write> …`: each pair is a process that serves on the port and dies just before that
write, counted from the first change of a conversation or a search. They are forked from one process that has imported
everything, so many of them start in the time of one.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from pymongo import monitoring

from bot.app import serve
from bot.logs import configure
from bot.settings import Settings, load_settings
from tests.processes import die_with_parent

TURNS = ("conversations", "searches")
WRITES = ("insert", "update", "findAndModify", "delete")


class LastWrite(monitoring.CommandListener):
    """Counts what is about to be written, and ends the process in place of the last write."""

    def __init__(self, last: int) -> None:
        self._last = last
        self._count = 0

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name not in WRITES:
            return
        is_turn = event.command_name == "findAndModify" and event.command["findAndModify"] in TURNS
        if self._count or is_turn:
            self._count += 1
        if self._count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def succeeded(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass


def main(arguments: list[str]) -> None:
    settings = load_settings()
    configure(settings)
    children = [_fork(settings, *map(int, each.split(":"))) for each in arguments]
    for child in children:
        os.waitpid(child, 0)


def _fork(settings: Settings, port: int, last_write: int) -> int:
    child = os.fork()
    if child == 0:
        die_with_parent()
        monitoring.register(LastWrite(last_write))
        serve(settings.model_copy(update={"port": port}))
        os._exit(0)
    return child


if __name__ == "__main__":
    main(sys.argv[1:])
