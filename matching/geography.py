"""Distances on the globe."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

# The mean radius that MongoDB's spherical queries use too, so that its order and ours agree.
EARTH_RADIUS_KM = 6378.1


def distance_km(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    """The great-circle distance between two points in degrees (haversine)."""
    south, north = radians(latitude), radians(other_latitude)
    half_height = sin((north - south) / 2) ** 2
    half_width = cos(south) * cos(north) * sin(radians(other_longitude - longitude) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * asin(sqrt(min(half_height + half_width, 1.0)))
