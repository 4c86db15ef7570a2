"""On what was measured: figures without their machine say nothing."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

from pymongo import MongoClient
from redis import Redis

from bot.runtime.embedded import Servers

PEERS = Path(__file__).parent / "peers"


def describe(servers: Servers) -> str:
    """Lines: the hardware, and the versions that matter, ours and the peers'."""
    packages = ", ".join(f"{name} {version(name)}" for name in ("aiohttp", "python-socketio", "motor", "uvloop"))
    return (
        f"{_cpu()}, {_cores()} cores, {_memory_gb():.0f} GB, {platform.system()} {platform.release().split('-')[0]}\n"
        f"Python {platform.python_version()}, MongoDB {_mongodb(servers)}, Valkey {_valkey(servers)}, {packages}"
        f"{_node()}"
    )


def _node() -> str:
    """The peer's line, where it is installed."""
    if shutil.which("node") is None:
        return ""
    versions = json.loads((PEERS / "package-lock.json").read_text())["packages"]
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    packages = ("socket.io", "mongodb", "redis", "@socket.io/redis-adapter")
    return f"\nNode.js {node}, " + ", ".join(
        f"{name} {versions[f'node_modules/{name}']['version']}" for name in packages
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
