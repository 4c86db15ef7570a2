"""What the web process asks of the workers: a job by its dotted name, put into a queue of Redis."""

from __future__ import annotations

import asyncio
from typing import Any

import redis
import structlog
from rq import Queue
from rq.exceptions import DuplicateJobError

log = structlog.get_logger()

# Redis is a courier: who cannot reach it within this time leaves the job to the sweep.
REDIS_TIMEOUT_S = 1.0
JOB_LIVES_S = 60


class Jobs:
    """Puts jobs into queues; the same job id again puts nothing in while the first one waits or runs."""

    def __init__(self, redis_url: str) -> None:
        self._connection = redis.Redis.from_url(
            redis_url, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S
        )

    async def enqueue(self, queue: str, function: str, job_id: str, *args: Any) -> bool:
        """True when the job is in the queue; False when Redis could not be reached."""
        try:
            await asyncio.to_thread(self._enqueue, queue, function, job_id, args)
        except DuplicateJobError:
            return True
        except (redis.RedisError, OSError) as error:
            log.warning("a job waits for redis", function=function, why=type(error).__name__)
            return False
        return True

    def _enqueue(self, queue: str, function: str, job_id: str, args: tuple[Any, ...]) -> None:
        safe_id = job_id.replace(":", "-")
        Queue(queue, connection=self._connection).enqueue(
            function, args=args, job_id=safe_id, unique=True, result_ttl=0, job_timeout=JOB_LIVES_S
        )

    def close(self) -> None:
        self._connection.close()
