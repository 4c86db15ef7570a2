"""What clients are told when this process is about to end: come back to another one, each after a while of its own."""

from __future__ import annotations

import random
from typing import Any

GOING_AWAY = "going_away"


def goodbye(spread_over_s: float) -> dict[str, Any]:
    """The data of `going_away`, drawn anew for each client: everybody at once would be a second outage."""
    return {"retry_in_ms": random.randint(0, int(spread_over_s * 1000))}
