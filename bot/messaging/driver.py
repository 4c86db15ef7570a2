"""The driver of Redis: its clients, its errors, and what connections tell Redis of their library.

redis-py (8.1) reads that from its package's files, for each connection anew.
"""

from __future__ import annotations

from redis import DriverInfo
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

__all__ = ["DRIVER", "PubSub", "Redis", "RedisConnectionError", "RedisError", "RedisTimeoutError"]

DRIVER = DriverInfo()
