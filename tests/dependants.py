"""What must not outlive its owner, and where the project stands."""

from __future__ import annotations

import ctypes
import signal
from pathlib import Path

ROOT = Path(__file__).parent.parent
PR_SET_PDEATHSIG = 1
# Found here, and not in a child that is about to be: what loads libraries takes locks, and a thread may hold one then.
_libc = ctypes.CDLL(None)


def die_with_parent() -> None:
    """Linux ends the process when the tests are killed outright and can end nothing themselves."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
