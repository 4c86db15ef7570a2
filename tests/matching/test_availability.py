"""Which quarters of an hour a visit takes: two visits that overlap always share one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.availability import CELL_S, visit_cells

NINE = datetime(2026, 12, 1, 9, 0, tzinfo=UTC)
CELL = int(NINE.timestamp()) // CELL_S

moments = st.integers(0, 40 * CELL_S * 1000).map(lambda ms: NINE + timedelta(milliseconds=ms))
lengths = st.integers(1, 8 * CELL_S * 1000).map(lambda ms: timedelta(milliseconds=ms))
buffers = st.integers(0, 45)


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    return NINE.replace(hour=hour, minute=minute, second=second)


def test_a_visit_takes_every_quarter_it_touches() -> None:
    assert visit_cells(at(9), at(10)) == [CELL, CELL + 1, CELL + 2, CELL + 3]
    assert visit_cells(at(9, 14, 59), at(9, 30, 1)) == [CELL, CELL + 1, CELL + 2]


def test_the_end_is_exclusive() -> None:
    until_ten, from_ten = visit_cells(at(9), at(10)), visit_cells(at(10), at(11))
    assert not set(until_ten) & set(from_ten)
    assert CELL + 4 in visit_cells(at(9), at(10) + timedelta(microseconds=1))


def test_the_journey_afterwards_is_part_of_it() -> None:
    assert visit_cells(at(9), at(10), buffer_minutes=15) == visit_cells(at(9), at(10, 15))
    assert set(visit_cells(at(9), at(10), buffer_minutes=15)) & set(visit_cells(at(10), at(11)))


@pytest.mark.parametrize("ends_at", [NINE, NINE - timedelta(seconds=1)])
def test_a_visit_that_ends_before_it_starts_makes_no_sense(ends_at: datetime) -> None:
    with pytest.raises(ValueError, match="after it starts"):
        visit_cells(NINE, ends_at, buffer_minutes=60)


def test_the_same_moment_in_another_time_zone_is_the_same_quarter() -> None:
    bali = timezone(timedelta(hours=8))
    assert visit_cells(at(9).astimezone(bali), at(10).astimezone(bali)) == visit_cells(at(9), at(10))


@given(moments, lengths, buffers, moments, lengths, buffers)
def test_visits_that_overlap_share_a_quarter_and_visits_a_quarter_apart_share_none(
    start: datetime, length: timedelta, buffer: int, other_start: datetime, other_length: timedelta, other_buffer: int
) -> None:
    end, other_end = start + length, other_start + other_length
    shared = set(visit_cells(start, end, buffer)) & set(visit_cells(other_start, other_end, other_buffer))
    free_at, other_free_at = end + timedelta(minutes=buffer), other_end + timedelta(minutes=other_buffer)
    gap = max(other_start - free_at, start - other_free_at)
    if gap < timedelta(0):
        assert shared
    if gap >= timedelta(seconds=CELL_S):
        assert not shared


@given(moments, lengths, buffers)
def test_the_quarters_of_a_visit_are_one_unbroken_run_that_covers_it(
    start: datetime, length: timedelta, buffer: int
) -> None:
    cells = visit_cells(start, start + length, buffer)
    assert cells == list(range(cells[0], cells[-1] + 1))
    assert cells[0] * CELL_S <= start.timestamp() < (cells[0] + 1) * CELL_S
    ends = (start + length + timedelta(minutes=buffer)).timestamp()
    assert cells[-1] * CELL_S < ends <= (cells[-1] + 1) * CELL_S
