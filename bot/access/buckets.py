"""How often something may be done: the token buckets of this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice

from bot.settings.rates import Rate

# Looked through for buckets that are full when there are this many, and then when there are twice as many.
FEW_BUCKETS = 1_000
MOST_BUCKETS = 100_000


@dataclass(frozen=True, eq=False)
class Bucket:
    """Whose tokens, and how fast they come; one bucket is one object as long as it is in use."""

    key: str
    rate: Rate = field(repr=False)


class Buckets:
    """The buckets of this process; `now_us` is a clock in microseconds that never goes back.

    A bucket is kept as the moment at which it will be full again, so that filling it costs nothing and a full one need
    not be kept at all. What is taken beyond empty is a debt, of one burst at most.
    """

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._full_at: dict[str, int] = {}
        self._look_through_at = FEW_BUCKETS

    def __len__(self) -> int:
        return len(self._full_at)

    def wait_us(self, buckets: Sequence[Bucket]) -> int:
        """How long until each of them has a token; 0 where all have one now."""
        return self._wait_us(buckets, self._now_us())

    def take(self, buckets: Sequence[Bucket]) -> int:
        """One token from each, and 0; or none, and how long until each has one."""
        now = self._now_us()
        wait_us = self._wait_us(buckets, now)
        if not wait_us:
            self._note(buckets, now)
        return wait_us

    def note(self, buckets: Sequence[Bucket]) -> None:
        """One token was taken from each, by whoever decided it."""
        self._note(buckets, self._now_us())

    def _wait_us(self, buckets: Sequence[Bucket], now: int) -> int:
        wait_us = 0
        for each in buckets:
            late_us = self._full_at.get(each.key, 0) - now - each.rate.slack_us
            if late_us > wait_us:  # twice as fast as `max`, and asked for every message
                wait_us = late_us
        return wait_us

    def _note(self, buckets: Sequence[Bucket], now: int) -> None:
        for each in buckets:
            full_at = self._full_at.get(each.key, 0)
            self._keep(each, (full_at if full_at > now else now) + each.rate.interval_us, now)

    def hear(self, bucket: Bucket, full_in_us: int) -> None:
        """Somebody who knows more says in which time it will be full; the worse news counts."""
        now = self._now_us()
        self._keep(bucket, max(self._full_at.get(bucket.key, 0), now + full_in_us), now)

    def _keep(self, bucket: Bucket, full_at: int, now: int) -> None:
        most = now + 2 * bucket.rate.span_us
        self._full_at[bucket.key] = full_at if full_at < most else most
        if len(self._full_at) > self._look_through_at:
            self._forget(now)

    def _forget(self, now: int) -> None:
        """The full ones, and where that is not enough the oldest: they begin anew, and nobody is blocked by it."""
        kept = {key: full_at for key, full_at in self._full_at.items() if full_at > now}
        surplus = max(0, len(kept) - MOST_BUCKETS // 2) if len(kept) > MOST_BUCKETS else 0
        self._full_at = dict(islice(kept.items(), surplus, None))
        self._look_through_at = min(MOST_BUCKETS, max(FEW_BUCKETS, 2 * len(self._full_at)))
