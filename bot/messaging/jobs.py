"""What the web process asks of the workers: a job by its dotted name, put into a queue of Redis."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.exceptions import DuplicateJobError, NoSuchJobError
from rq.serializers import JSONSerializer

from bot.logs.failures import why
from bot.messaging.driver import DRIVER
from bot.messaging.named_jobs import NamedJob, queue_of
from bot.settings.rhythms import PEOPLE, JobsRhythm

log = structlog.get_logger()

# Those that workers take jobs from, the most urgent first.
QUEUES = ("critical", "notify", "default")

# Redis is a courier: who cannot reach it within this time leaves the job to the sweep, and does not ask again at once.
THREADS = 2
JOB_LIVES_S = 60


class Jobs:
    """Puts jobs into queues; the same job id again puts nothing in while the first one waits or runs."""

    def __init__(self, redis_url: str, rhythm: JobsRhythm = PEOPLE.jobs, *, namespace: str) -> None:
        self._namespace = namespace
        self._rhythm = rhythm
        self._connection = redis.Redis.from_url(
            redis_url,
            socket_timeout=rhythm.redis_within_s,
            socket_connect_timeout=rhythm.redis_within_s,
            retry=Retry(NoBackoff(), 0),
            driver_info=DRIVER,
        )
        # Of its own: a Redis that hangs must not hold up what else is done in threads.
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="jobs")
        self._not_before = 0.0

    async def enqueue(self, queue: str, function: str, job_id: str, *args: Any) -> bool:
        """True when the job is in the queue; False, after a second at most, when Redis could not be reached."""
        if time.monotonic() < self._not_before:
            return False
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._rhythm.enqueue_within_s):
                await loop.run_in_executor(self._threads, self._enqueue, queue, function, job_id, args)
        except DuplicateJobError:
            return True
        except (redis.RedisError, OSError) as error:
            self._not_before = time.monotonic() + self._rhythm.ask_again_after_s
            log.warning("a job waits for redis", function=function, why=why(error))
            return False
        return True

    def _enqueue(self, queue: str, function: str, job_id: str, args: tuple[Any, ...]) -> None:
        safe_id = f"{self._namespace}-{job_id}".replace(":", "-")
        queue_of(queue, self._namespace, self._connection).enqueue(
            function,
            args=args,
            job_id=safe_id,
            # Workers log it; of itself it would tell what the job was given.
            description=function,
            unique=True,
            result_ttl=0,
            job_timeout=JOB_LIVES_S,
        )

    async def waiting_since(self) -> datetime | None:
        """When the oldest waiting job was asked for; raises RedisError or OSError where Redis can't say it in time."""
        async with asyncio.timeout(self._rhythm.enqueue_within_s):
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._waiting_since)

    def _waiting_since(self) -> datetime | None:
        queues = [queue_of(name, self._namespace, self._connection) for name in QUEUES]
        return min(map(_aware, filter(None, map(self._oldest_in, queues))), default=None)

    def _oldest_in(self, queue: Queue) -> datetime | None:
        for job_id in queue.get_job_ids(0, 1):
            try:
                return NamedJob.fetch(job_id, connection=self._connection, serializer=JSONSerializer).enqueued_at
            except NoSuchJobError:
                return None  # it has just been taken, or cancelled
        return None

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._connection.close()


def _aware(moment: datetime) -> datetime:
    """RQ keeps moments in UTC, and some versions leave that out."""
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
