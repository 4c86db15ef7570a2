"""What keeps failing is left alone for a growing while: 1, 2, 4 … seconds, so that it costs nobody else their turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

LONGEST_PAUSE_S = 60.0

K = TypeVar("K", bound=Hashable)


class Backoff(Generic[K]):
    """Remembers who failed how often in a row; who has not been heard of for long is forgotten."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._failing: dict[K, tuple[int, float]] = {}

    def failed(self, key: K, longest_s: float = LONGEST_PAUSE_S) -> None:
        """Once more: it rests twice as long as the last time, and at most `longest_s`."""
        times, _ = self._failing.get(key, (0, 0.0))
        pause_s = min(2.0 ** min(times, 30), longest_s)
        self._failing[key] = (times + 1, self._monotonic() + pause_s)

    def succeeded(self, key: K) -> None:
        self._failing.pop(key, None)

    def is_resting(self, key: K) -> bool:
        _, until = self._failing.get(key, (0, 0.0))
        return self._monotonic() < until

    def resting(self) -> list[K]:
        """Who is to be left alone now."""
        now = self._monotonic()
        # Somebody else has done it: whoever still fails would have been tried again by now.
        for key in [key for key, (_, until) in self._failing.items() if until + LONGEST_PAUSE_S < now]:
            del self._failing[key]
        return [key for key, (_, until) in self._failing.items() if now < until]
