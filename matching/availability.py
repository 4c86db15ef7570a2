"""When a therapist is free: time is cut into cells of a quarter of an hour, and a visit takes every cell it touches."""

from __future__ import annotations

from datetime import datetime, timedelta

CELL_S = 15 * 60


def visit_cells(starts_at: datetime, ends_at: datetime, buffer_minutes: int = 0) -> list[int]:
    """The numbers (quarter hours since 1970 UTC) of the cells that a visit and the journey after it touch.

    The end is exclusive: a visit until 11:00 leaves the cell that begins at 11:00 free.
    """
    if ends_at <= starts_at:
        raise ValueError("a visit ends after it starts")
    last_moment = ends_at + timedelta(minutes=buffer_minutes)
    first = int(starts_at.timestamp() // CELL_S)
    beyond = -int(-last_moment.timestamp() // CELL_S)
    return list(range(first, beyond))
