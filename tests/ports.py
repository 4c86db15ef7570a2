"""Ports on loopback that one test has for itself, also while nothing listens there: servers die and come back."""

from __future__ import annotations

import fcntl
import os
import random
import tempfile
from collections.abc import Iterator
from functools import cache
from io import RawIOBase
from pathlib import Path

from bot.runtime.embedded import is_free

# Below those that systems hand out by themselves, so that no outgoing connection of a test takes ours, and apart from
# those at which `bot.runtime.embedded` starts its servers.
PORTS = range(10_000, 20_000)

_given: set[int] = set()


def free_ports() -> Iterator[int]:
    """Nobody listens there, and nobody else who asks here is given them while this process lives."""
    for port in random.sample(PORTS, len(PORTS)):
        if port not in _given and _is_kept(port) and is_free(port):
            _given.add(port)
            yield port


def free_port() -> int:
    return next(free_ports())


def _is_kept(port: int) -> bool:
    """Whether it is ours among all the runs of this machine: the byte with its number is locked until we end."""
    try:
        fcntl.lockf(_register(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


@cache
def _register() -> RawIOBase:
    return (Path(tempfile.gettempdir()) / f"janji-ports-{os.getuid()}").open("ab", buffering=0)
