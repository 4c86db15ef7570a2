"""`python -m bot` with its limit on how often one client may speak out of reach, and with countdowns that are armed.

Fifty people may send a thousand messages a second between them; past that the program says "too fast" by design. The
limit is counted all the same.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from bot import app
from bot.__main__ import main
from bot.doors.socketio_limits import Limits
from bot.services import Services

OUT_OF_REACH = 1_000_000

_build = app.build


def _build_armed(services: Services) -> Any:
    services.spawn(_arm(services))
    return _build(services)


async def _arm(services: Services) -> None:
    """Countdowns that were copied into the database ring like those that this process has set itself."""
    async for search in services.database["searches"].find({"expires_at": {"$ne": None}}, {"expires_at": 1}):
        services.alarms.set(("search", search["_id"]), search["expires_at"])


if __name__ == "__main__":
    # Neither is a setting, and shall not become one for the sake of being measured.
    vars(app)["Limits"] = partial(Limits, commands_per_s=OUT_OF_REACH, command_burst=OUT_OF_REACH)
    vars(app)["build"] = _build_armed
    sys.exit(main(sys.argv[1:]))
