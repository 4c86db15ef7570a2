"""The RQ worker ends without complaints, whatever Redis does meanwhile."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis
import redis.asyncio
from rq import Queue
from rq.exceptions import StopRequested
from rq.job import JobStatus

from bot.messaging.worker import Worker
from bot.runtime.embedded import Servers
from tests.agreement import eventually
from tests.fakes.tcp_proxy import TcpProxy
from tests.house import settings_for
from tests.processes import Process, descendants_of, site

States = Callable[[], Awaitable[list[str | None]]]


def _worker(port: int) -> Worker:
    connection = redis.Redis(port=port, socket_timeout=1.0, socket_connect_timeout=1.0)
    worker = Worker(["default"], connection=connection)
    worker.told, worker.on_stop = threading.Event(), lambda: None
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


async def test_a_worker_that_is_told_to_stop_in_the_middle_of_something_finishes_it_and_takes_no_job(
    valkey_port: int,
) -> None:
    worker = await asyncio.to_thread(_worker, valkey_port)
    worker.request_stop(signal.SIGTERM, None)
    with pytest.raises(StopRequested):
        await asyncio.to_thread(worker.dequeue_job_and_maintain_ttl, 1)
    await asyncio.to_thread(worker.connection.close)


@asynccontextmanager
async def working(servers: Servers, database: str, folder: Path) -> AsyncIterator[tuple[Process, States]]:
    """A worker that waits for a job, and what Redis says of it; other tests leave workers behind that were killed."""
    courier = redis.asyncio.Redis.from_url(servers.redis_url or "", decode_responses=True)
    async with site(settings_for(servers, database), folder) as place, courier:
        worker = await place.workers("rq")

        async def states() -> list[str | None]:
            of_all = [await courier.hgetall(name) for name in await courier.smembers("rq:workers")]
            return [told.get("state") for told in of_all if told.get("pid") == str(worker.running.pid)]

        async def waits() -> None:
            assert await states() == ["idle"]

        await eventually(waits)
        yield worker, states


async def test_a_worker_that_waits_for_a_job_is_one_process_and_ends_as_soon_as_it_is_told_to(
    servers: Servers, database: str, tmp_path: Path
) -> None:
    async with working(servers, database, tmp_path) as (worker, states):
        assert descendants_of(worker.running.pid) == []
        assert await worker.stop() == 0
        assert await states() == []


async def test_a_worker_that_is_told_to_stop_finishes_its_job(servers: Servers, database: str, tmp_path: Path) -> None:
    async with working(servers, database, tmp_path) as (worker, _):
        with redis.Redis.from_url(servers.redis_url or "") as courier:
            job = Queue("default", connection=courier).enqueue("time.sleep", 1.0)

            async def is_under_way() -> None:
                assert await asyncio.to_thread(job.get_status) == JobStatus.STARTED

            await eventually(is_under_way)
            assert await worker.stop() == 0
            assert await asyncio.to_thread(job.get_status) == JobStatus.FINISHED
