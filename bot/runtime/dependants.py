"""What must not outlive the process that started it, however that one ends."""

from __future__ import annotations

import ctypes
import signal

PR_SET_PDEATHSIG = 1
# Found here, and not in a child that is about to be: what loads libraries takes locks, and a thread may hold one then.
_libc = ctypes.CDLL(None)


def die_with_parent(how: signal.Signals = signal.SIGKILL) -> None:
    """Called in a child, on Linux: when the thread that started it ends, however it does, this signal is sent to it."""
    _libc.prctl(PR_SET_PDEATHSIG, how)
