"""Distances agree with the globe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.geography import EARTH_RADIUS_KM, GRID_KM, distance_km, on_grid

latitudes, longitudes = st.floats(-90, 90), st.floats(-180, 180)


def test_a_degree_of_the_equator_is_111_kilometres() -> None:
    assert distance_km(0.0, 0.0, 0.0, 1.0) == pytest.approx(111.32, abs=0.01)


def test_the_other_side_of_the_world_is_half_its_girth_away() -> None:
    assert distance_km(0.0, 0.0, 0.0, 180.0) == pytest.approx(3.14159265 * EARTH_RADIUS_KM)


def test_the_date_line_is_no_border() -> None:
    assert distance_km(10.0, 179.9, 10.0, -179.9) == pytest.approx(distance_km(10.0, 0.0, 10.0, 0.2))


@given(latitudes, longitudes, latitudes, longitudes)
def test_it_is_as_far_there_as_back_and_never_further_than_round(a: float, b: float, c: float, d: float) -> None:
    there, back = distance_km(a, b, c, d), distance_km(c, d, a, b)
    assert there == pytest.approx(back, abs=1e-3)
    assert 0.0 <= there <= 3.1415927 * EARTH_RADIUS_KM


@given(latitudes, longitudes)
def test_the_grid_keeps_everybody_within_a_kilometre_of_where_they_are_and_stays_put(a: float, b: float) -> None:
    point = on_grid(a, b)
    assert distance_km(a, b, *point) < GRID_KM
    assert on_grid(*point) == pytest.approx(point)


def test_whoever_stands_in_the_same_cell_stands_at_the_same_point() -> None:
    corner = on_grid(-6.2088, 106.8456)
    around = {on_grid(corner[0] + north, corner[1] + east) for north in (-0.004, 0, 0.004) for east in (-0.004, 0.004)}
    assert around == {corner}
