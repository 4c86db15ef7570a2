"""What the web process asks of the workers: a job by its dotted name, put into a queue of Redis."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Queue
from rq.exceptions import DuplicateJobError

log = structlog.get_logger()

# Redis is a courier: who cannot reach it within this time leaves the job to the sweep, and does not ask again at once.
REDIS_TIMEOUT_S = 0.5
ENQUEUE_WITHIN_S = 1.0
ASK_AGAIN_AFTER_S = 2.0
THREADS = 2
JOB_LIVES_S = 60


class Jobs:
    """Puts jobs into queues; the same job id again puts nothing in while the first one waits or runs."""

    def __init__(self, redis_url: str) -> None:
        self._connection = redis.Redis.from_url(
            redis_url,
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
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
            async with asyncio.timeout(ENQUEUE_WITHIN_S):
                await loop.run_in_executor(self._threads, self._enqueue, queue, function, job_id, args)
        except DuplicateJobError:
            return True
        except (redis.RedisError, OSError) as error:
            self._not_before = time.monotonic() + ASK_AGAIN_AFTER_S
            log.warning("a job waits for redis", function=function, why=type(error).__name__)
            return False
        return True

    def _enqueue(self, queue: str, function: str, job_id: str, args: tuple[Any, ...]) -> None:
        safe_id = job_id.replace(":", "-")
        Queue(queue, connection=self._connection).enqueue(
            function, args=args, job_id=safe_id, unique=True, result_ttl=0, job_timeout=JOB_LIVES_S
        )

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._connection.close()
