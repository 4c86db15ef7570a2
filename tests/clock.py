"""A clock that stands until a test moves it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class FakeClock:
    """`now()` is `at`."""

    at: datetime

    def now(self) -> datetime:
        return self.at
