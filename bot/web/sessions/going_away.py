"""What clients are told when this process is about to end: come back to another one, each after a while of its own."""

from __future__ import annotations

import random
from typing import Any

# Everybody at once would be a second outage.
SPREAD_OF_RETURNS_MS = 4000

GOING_AWAY = "going_away"


def goodbye() -> dict[str, Any]:
    """The data of `going_away`, drawn anew for each client."""
    return {"retry_in_ms": random.randint(0, SPREAD_OF_RETURNS_MS)}
