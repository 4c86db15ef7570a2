"""`python -m bot` with countdowns that are armed, though nobody has set them here."""

from __future__ import annotations

import sys
from typing import Any

from bot import app
from bot.__main__ import main
from bot.services import Services

_build = app.build


def _build_armed(services: Services) -> Any:
    services.spawn(_arm(services))
    return _build(services)


async def _arm(services: Services) -> None:
    """Countdowns that were copied into the database ring like those that this process has set itself."""
    async for search in services.database["searches"].find({"expires_at": {"$ne": None}}, {"expires_at": 1}):
        services.alarms.set(("search", search["_id"]), search["expires_at"])


if __name__ == "__main__":
    # This is no setting, and shall not become one for the sake of being measured.
    vars(app)["build"] = _build_armed
    sys.exit(main(sys.argv[1:]))
