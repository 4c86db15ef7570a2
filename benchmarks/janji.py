"""`python -m bot` without its limit on how often one client may speak: saturation is the server's, not the limit's.

Fifty people may send a thousand messages a second between them; past that the program says "too fast" by design.
"""

from __future__ import annotations

import sys
from functools import partial

from bot import app
from bot.__main__ import main
from bot.doors.socketio_limits import Limits

NO_LIMIT = 1_000_000

if __name__ == "__main__":
    # The limit is no setting, and shall not become one for the sake of being measured.
    vars(app)["Limits"] = partial(Limits, commands_per_s=NO_LIMIT, command_burst=NO_LIMIT)
    sys.exit(main(sys.argv[1:]))
