"""How often one client may do something: a bucket of tokens that fills with time."""

from __future__ import annotations


class TokenBucket:
    """`burst` tokens at first, `per_s` new ones a second; time is the caller's monotonic clock, in seconds."""

    def __init__(self, per_s: float, burst: float, now: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._tokens = burst
        self._at = now

    def take(self, now: float) -> float:
        """Takes one token and says 0.0, or takes none and says in how many seconds there will be one."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._per_s)
        self._at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._per_s
        self._tokens -= 1
        return 0.0
