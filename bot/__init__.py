"""The web process: it listens, remembers and speaks; every decision is made in `conversations` and `matching`."""

import zoneinfo

# The rules of the pinned `tzdata`, wherever the program runs: a system may have those of another year.
zoneinfo.reset_tzpath(to=())

__version__ = "1.0.0"
