"""How often something may be done, as settings say it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

UNITS_S = {"s": 1, "m": 60, "h": 3600}
MOST_COUNTED = 1_000_000
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
