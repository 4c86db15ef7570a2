"""Several processes of ours under one: it passes signals on, and when one of them ends it ends the others too.

The platform or the person who started the one sees one program that lives or does not, and never half of it.
"""

from __future__ import annotations

import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial

from bot.runtime.dependants import die_with_parent

# The platform kills after 30 s; what has not ended by itself by then, as ours all do, is not waited for.
STOP_S = 25.0


def run_together(commands: Mapping[str, Sequence[str]], environment: Mapping[str, str]) -> int:
    """Run `python -m <command>` for each name; returns 0 after a signal, 1 when one of them ended by itself."""
    ended: queue.SimpleQueue[str] = queue.SimpleQueue()
    children = {name: _start(arguments, environment) for name, arguments in commands.items()}

    def watch(name: str) -> None:
        children[name].wait()
        ended.put(name)

    def stop(*_: object) -> None:
        ended.put("")

    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, stop)
    for name in children:
        threading.Thread(target=watch, args=(name,), daemon=True).start()
    first = ended.get()
    if first:
        sys.stderr.write(f"{first} has ended with status {children[first].returncode}\n")
    for child in children.values():
        if child.poll() is None:
            child.terminate()
    until = time.monotonic() + STOP_S
    for child in children.values():
        _wait(child, until)
    return 1 if first else 0


def _start(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env=dict(environment),
        # A Ctrl-C in the terminal reaches this process, which then ends the children in order.
        start_new_session=True,
        preexec_fn=partial(die_with_parent, signal.SIGTERM) if sys.platform == "linux" else None,  # noqa: PLW1509 - no threads have started
    )


def _wait(child: subprocess.Popen[bytes], until: float) -> None:
    try:
        child.wait(timeout=max(until - time.monotonic(), 0.0))
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
