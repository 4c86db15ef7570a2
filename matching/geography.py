"""Distances on the globe."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

# The mean radius that MongoDB's spherical queries use too, so that its order and ours agree.
EARTH_RADIUS_KM = 6378.1
GRID_KM = 1.0
_KM_PER_DEGREE = radians(1) * EARTH_RADIUS_KM


def distance_km(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """The great-circle distance between two points in degrees (haversine)."""
    south, north = radians(latitude), radians(other_latitude)
    half_height = sin((north - south) / 2) ** 2
    half_width = cos(south) * cos(north) * sin(radians(other_longitude - longitude) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * asin(sqrt(min(half_height + half_width, 1.0)))


def on_grid(latitude: float, longitude: float) -> tuple[float, float]:
    """The point of a grid of about a kilometre that stands for this one: what strangers may measure from.

    However often and from wherever somebody asks for distances, they find the point of the grid and nothing nearer.
    """
    row = round(latitude * _KM_PER_DEGREE / GRID_KM)
    row_latitude = row * GRID_KM / _KM_PER_DEGREE
    # Meridians draw together towards the poles; beyond the last rows there is one point.
    km_per_degree = max(_KM_PER_DEGREE * cos(radians(row_latitude)), GRID_KM / 180)
    column = round(longitude * km_per_degree / GRID_KM)
    return max(-90.0, min(row_latitude, 90.0)), column * GRID_KM / km_per_degree
