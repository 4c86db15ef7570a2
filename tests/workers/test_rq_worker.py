"""The RQ worker ends without complaints, whatever Redis does meanwhile."""

from __future__ import annotations

import asyncio
import threading
from urllib.parse import urlsplit

import pytest
import redis

from bot.embedded import Servers
from tests.fakes.tcp_proxy import TcpProxy
from workers.rq_worker import Worker


def _worker(port: int) -> Worker:
    connection = redis.Redis(port=port, socket_timeout=0.2, socket_connect_timeout=0.2)
    worker = Worker(["default"], connection=connection)
    worker.told = threading.Event()
    return worker


@pytest.fixture
def valkey_port(servers: Servers) -> int:
    assert servers.redis_url is not None
    port = urlsplit(servers.redis_url).port
    assert port is not None
    return port


async def test_a_worker_that_ends_while_redis_hangs_calls_nothing_a_fault(
    valkey_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", complaints.append)
    async with TcpProxy("127.0.0.1", valkey_port) as network:
        worker = await asyncio.to_thread(_worker, network.port)
        await asyncio.to_thread(worker.subscribe)
        network.freeze()
        await asyncio.to_thread(worker.unsubscribe)
        await network.cut()
        listening = worker.pubsub_thread
        assert listening is not None
        await asyncio.to_thread(listening.join, 20)
        assert not listening.is_alive()
        await asyncio.to_thread(worker.connection.close)
    assert not complaints
