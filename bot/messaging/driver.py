"""What connections tell Redis of their library: redis-py (8.1) reads it from its package's files, for each of them."""

from __future__ import annotations

from redis import DriverInfo

DRIVER = DriverInfo()
