"""How often something may be done: rates as settings say them, and the token buckets of this process."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

UNITS_S = {"s": 1, "m": 60, "h": 3600}
MOST_COUNTED = 1_000_000
# Looked through for buckets that are full when there are this many, and then when there are twice as many.
FEW_BUCKETS = 1_000
MOST_BUCKETS = 100_000

_FORM = re.compile(r"([1-9]\d{0,6})/([smh]):([1-9]\d{0,6})")


@dataclass(frozen=True)
class Rate:
    """`5/s:20` is 5 a second, 20 at once; the period is a second, a minute or an hour."""

    count: int
    unit: str
    burst: int

    @classmethod
    def parse(cls, text: str) -> Rate:
        """Raises ValueError with what a rate looks like."""
        found = _FORM.fullmatch(text.strip())
        if found is None or max(int(found[1]), int(found[3])) > MOST_COUNTED:
            raise ValueError("must be a rate like 5/s:20 (5 a second, 20 at once; s, m or h)")
        return cls(int(found[1]), found[2], int(found[3]))

    def __str__(self) -> str:
        return f"{self.count}/{self.unit}:{self.burst}"

    @property
    def per_s(self) -> float:
        return self.count / UNITS_S[self.unit]

    @cached_property
    def interval_us(self) -> int:
        """Microseconds until the next token comes."""
        return max(1, round(1_000_000 / self.per_s))

    @cached_property
    def span_us(self) -> int:
        """Microseconds in which an empty bucket becomes full."""
        return self.interval_us * self.burst

    @cached_property
    def slack_us(self) -> int:
        """A bucket that is full in no more than this has a token."""
        return self.span_us - self.interval_us


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
