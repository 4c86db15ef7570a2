"""How much is measured: the full run for figures that are kept, the quick one for a look."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Effort:
    """Sizes of every section. `…_s` are seconds of one repetition."""

    repetitions: int
    connections: tuple[int, ...]
    warm_s: float
    saturation_s: float
    pace_s: float
    messages_per_s: float
    bookings: int
    therapists: int
    searches: int
    idle: int
    lost: int
    armed: int
    ending_s: float
    notifications: int
    plain_jobs: int
    spread: int
    spread_s: float


FULL = Effort(
    repetitions=3,
    connections=(50, 500, 2000),
    warm_s=1.0,
    saturation_s=3.0,
    pace_s=4.0,
    messages_per_s=1000.0,
    bookings=100,
    therapists=100_000,
    searches=200,
    idle=10_000,
    lost=5_000,
    armed=10_000,
    ending_s=30.0,
    notifications=10_000,
    plain_jobs=1_000,
    spread=1_000,
    spread_s=120.0,
)

QUICK = Effort(
    repetitions=3,
    connections=(500,),
    warm_s=0.3,
    saturation_s=0.8,
    pace_s=1.0,
    messages_per_s=1000.0,
    bookings=15,
    therapists=20_000,
    searches=100,
    idle=500,
    lost=500,
    armed=1_000,
    ending_s=9.0,
    notifications=1_000,
    plain_jobs=200,
    spread=150,
    spread_s=18.0,
)
