"""The RQ worker ends without complaints, whatever Redis does meanwhile."""

from __future__ import annotations

import asyncio
import inspect
import os
import pickle
import signal
import threading
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
import redis.asyncio
from rq.exceptions import DeserializationError, StopRequested
from rq.job import JobStatus
from rq.serializers import JSONSerializer

from bot.messaging.named_jobs import JOBS, NamedJob, UnknownJob, queue_of
from bot.messaging.worker import Worker
from bot.runtime.embedded import Servers
from bot.services import connected, epoch_of
from tests.agreement import eventually
from tests.fakes.tcp_proxy import TcpProxy
from tests.house import settings_for
from tests.processes import Process, descendants_of, site
from workers import jobs

States = Callable[[], Awaitable[list[str | None]]]


def _worker(port: int) -> Worker:
    connection = redis.Redis(port=port, socket_timeout=1.0, socket_connect_timeout=1.0)
    worker = Worker(["default"], connection=connection, job_class=NamedJob, serializer=JSONSerializer)
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
async def working(servers: Servers, database: str, folder: Path, **more: Any) -> AsyncIterator[tuple[Process, States]]:
    """A worker that waits for a job, and what Redis says of it; other tests leave workers behind that were killed."""
    courier = redis.asyncio.Redis.from_url(servers.redis_url or "", decode_responses=True)
    async with site(settings_for(servers, database, **more), folder) as place, courier:
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
    host, _, port = urlsplit(servers.mongodb_uri or "").netloc.partition(":")
    async with (
        TcpProxy(host, int(port)) as slow,
        working(servers, database, tmp_path, mongodb_uri=f"mongodb://127.0.0.1:{slow.port}/?directConnection=true") as (
            worker,
            _,
        ),
    ):
        slow.delay(0.3)  # the job asks MongoDB several times
        with redis.Redis.from_url(servers.redis_url or "") as courier:
            job = queue_of("default", await epoch_at(servers, database), courier).enqueue(
                "workers.jobs.count_visits", "t"
            )

            async def is_under_way() -> None:
                assert await asyncio.to_thread(job.get_status) == JobStatus.STARTED

            await eventually(is_under_way)
            assert await worker.stop() == 0
            assert await asyncio.to_thread(job.get_status) == JobStatus.FINISHED


async def epoch_at(servers: Servers, database: str) -> str:
    async with connected(settings_for(servers, database)) as opened:
        return await epoch_of(opened)


# --- what stands in Redis ---------------------------------------------------------------------------------------------


def test_the_list_of_jobs_is_what_workers_do() -> None:
    written = {
        name for name, each in vars(jobs).items() if inspect.isfunction(each) and each.__module__ == jobs.__name__
    }
    assert {name for name in written if not name.startswith("_")} == set(JOBS)


@pytest.mark.parametrize(
    "name", ["os.mkdir", "builtins.eval", "workers.jobs.asyncio.run", "workers.jobs._deliver", "beat"]
)
def test_a_name_outside_the_list_is_not_run(valkey_port: int, tmp_path: Path, name: str) -> None:
    """Whoever could write to Redis ran any function in the worker."""
    with redis.Redis(port=valkey_port) as courier:
        job = queue_of("default", "x", courier).enqueue(name, str(tmp_path / "made"))
        with pytest.raises(UnknownJob):
            NamedJob.fetch(job.id, connection=courier, serializer=JSONSerializer).perform()
    assert not (tmp_path / "made").exists()


def test_a_pickled_job_is_not_unpickled(valkey_port: int, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "made"),)

    with redis.Redis(port=valkey_port) as courier:
        job = queue_of("default", "x", courier).enqueue("workers.jobs.beat")
        courier.hset(job.key, "data", zlib.compress(pickle.dumps(("workers.jobs.beat", None, (Trap(),), {}))))
        with pytest.raises(DeserializationError):
            NamedJob.fetch(job.id, connection=courier, serializer=JSONSerializer).perform()
    assert not (tmp_path / "made").exists()


def test_what_is_to_be_called_after_a_job_is_not(valkey_port: int) -> None:
    with redis.Redis(port=valkey_port) as courier:
        job = queue_of("default", "x", courier).enqueue("workers.jobs.beat")
        courier.hset(job.key, mapping={"success_callback_name": "os.getpid", "failure_callback_name": "os.getpid"})
        found = NamedJob.fetch(job.id, connection=courier, serializer=JSONSerializer)
        assert (found.success_callback, found.failure_callback, found.stopped_callback) == (None, None, None)


def test_two_installations_on_one_redis_do_not_do_each_others_jobs(valkey_port: int) -> None:
    with redis.Redis(port=valkey_port) as courier:
        queue_of("default", "ours", courier).enqueue("workers.jobs.beat")
        assert (queue_of("default", "ours", courier).count, queue_of("default", "theirs", courier).count) == (1, 0)
