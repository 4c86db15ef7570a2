"""The buckets of a process fill with time."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from bot.access.buckets import FEW_BUCKETS, MOST_BUCKETS, Bucket, Buckets
from bot.settings.rates import Rate

SECOND_US = 1_000_000


@dataclass
class StandingClock:
    """`clock()` is `at_us` until a test moves it."""

    at_us: int = 17 * SECOND_US

    def __call__(self) -> int:
        return self.at_us

    def move(self, seconds: float) -> None:
        self.at_us += round(seconds * SECOND_US)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


@pytest.fixture
def buckets(clock: StandingClock) -> Buckets:
    return Buckets(clock)


def bucket(rate: str, key: str = "somebody") -> Bucket:
    return Bucket(key, Rate.parse(rate))


def take(buckets: Buckets, *wanted: Bucket) -> float:
    """0 where each gave a token, else the seconds to wait."""
    return buckets.take(wanted) / SECOND_US


def test_a_bucket_gives_its_burst_and_then_one_token_for_each_interval(buckets: Buckets, clock: StandingClock) -> None:
    ours = bucket("2/s:3")
    assert [take(buckets, ours) for _ in range(4)] == [0, 0, 0, 0.5]
    clock.move(0.4)
    assert take(buckets, ours) == pytest.approx(0.1)
    clock.move(0.1)
    assert [take(buckets, ours) for _ in range(2)] == [0, 0.5]
    clock.move(3600)
    assert [take(buckets, ours) for _ in range(4)] == [0, 0, 0, 0.5]


def test_of_several_buckets_either_all_give_or_none(buckets: Buckets) -> None:
    wide, narrow = bucket("1/s:3", "wide"), bucket("1/m:1", "narrow")
    assert take(buckets, wide, narrow) == 0
    assert [take(buckets, wide, narrow) for _ in range(5)] == [60] * 5
    assert [take(buckets, wide) for _ in range(3)] == [0, 0, 1]


def test_a_debt_is_paid_before_the_next_token_and_is_never_more_than_a_burst(
    buckets: Buckets, clock: StandingClock
) -> None:
    ours = bucket("1/s:5")
    for _ in range(7):
        buckets.note([ours])
    assert take(buckets, ours) == 3
    buckets.hear(ours, 1_000 * SECOND_US)
    assert take(buckets, ours) == 6
    clock.move(6)
    assert take(buckets, ours) == 0


def test_better_news_than_what_is_known_here_changes_nothing(buckets: Buckets) -> None:
    ours = bucket("1/s:5")
    for _ in range(5):
        buckets.note([ours])
    buckets.hear(ours, 0)
    assert take(buckets, ours) == 1


def test_full_buckets_are_not_kept(buckets: Buckets, clock: StandingClock) -> None:
    for number in range(FEW_BUCKETS):
        buckets.note([bucket("1/s:5", f"once {number}")])
    clock.move(1)
    buckets.note([bucket("1/s:5")])
    assert len(buckets) == 1


def test_buckets_have_a_bound_and_the_oldest_begin_anew(buckets: Buckets) -> None:
    rate = Rate.parse("1/h:1")
    for number in range(MOST_BUCKETS + 1):
        buckets.note([Bucket(str(number), rate)])
    assert len(buckets) == MOST_BUCKETS // 2
    assert take(buckets, bucket("1/h:1", "0")) == 0
    assert take(buckets, bucket("1/h:1", str(MOST_BUCKETS))) == 3600
