"""On what was measured: figures without their machine say nothing."""

from __future__ import annotations

import os
import platform
import re
from importlib.metadata import version
from pathlib import Path

from pymongo import MongoClient
from redis import Redis

from bot.embedded import Servers


def describe(servers: Servers) -> str:
    """Two lines: the hardware, and the versions that matter."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "python-socketio", "motor", "uvloop"))
    return (
        f"{_cpu()}, {_cores()} cores, {_memory_gb():.0f} GB, {platform.system()} {platform.release().split('-')[0]}\n"
        f"Python {platform.python_version()}, MongoDB {_mongodb(servers)}, Valkey {_valkey(servers)}, {packages}"
    )


def _cpu() -> str:
    described = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", described.read_text(), re.MULTILINE) if described.exists() else None
    return found.group(1) if found else platform.processor() or platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory_gb() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _mongodb(servers: Servers) -> str:
    with MongoClient[dict[str, object]](servers.mongodb_uri) as client:
        return str(client.server_info()["version"])


def _valkey(servers: Servers) -> str:
    with Redis.from_url(servers.redis_url or "") as client:
        told = client.info("server")
    return str(told.get("valkey_version") or told["redis_version"])
