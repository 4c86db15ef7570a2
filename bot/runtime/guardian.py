"""A process of its own that keeps one server running, and ends it when the program that asked for it is gone.

Run as a script, not imported: `guardian.py <guard fd> <lock fd> <command…>`. Its standard input is a pipe from the
program: however the program ends, SIGKILL included, the pipe closes and the server is told to stop. This needs no more
than POSIX, so it is the same on Linux and macOS. The first line on standard output is the pid of the server.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

STOP_S = 30.0


def keep(guard: int, lock: int, command: list[str]) -> int:
    """Run the command until it ends or is no longer wanted; gives its exit code.

    `lock` goes on to the server, and is held exactly as long as the server lives. `guard` stays here and is let go
    before the server is told to stop, so whoever finds it free knows that this server must not be used any more.
    """
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: over.set())
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=sys.stderr, pass_fds=[lock])
    os.close(lock)
    sys.stdout.write(f"{server.pid}\n")
    sys.stdout.close()
    _when_done(lambda: os.read(0, 1), over)
    _when_done(server.wait, over)
    over.wait()
    fcntl.flock(guard, fcntl.LOCK_UN)
    return _stop(server)


def _when_done(wait: Callable[[], object], over: threading.Event) -> None:
    def watch() -> None:
        wait()
        over.set()

    threading.Thread(target=watch, daemon=True).start()


def _stop(server: subprocess.Popen[bytes]) -> int:
    server.terminate()
    try:
        return server.wait(STOP_S)
    except subprocess.TimeoutExpired:
        server.kill()
        return server.wait()


if __name__ == "__main__":
    sys.exit(abs(keep(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])))
