"""Jobs as they may stand in Redis: JSON, and names of one list. Who can write to Redis runs nothing else by it.

RQ unpickles what it finds, and imports any dotted name; here neither is done (https://python-rq.org/docs/jobs/).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import redis
from rq import Queue
from rq.job import Job
from rq.serializers import JSONSerializer

# What workers do, by the functions of `workers.jobs`.
JOBS = ("beat", "count_visits", "deliver", "send_sign_in_code")
NAMES = frozenset(f"workers.jobs.{name}" for name in JOBS)


class UnknownJob(Exception):
    """Nobody of ours asked for this."""


class NamedJob(Job):
    """A job of the list; what else stands in its place in Redis is refused, whoever wrote it."""

    @property
    def func(self) -> Any:
        if self.func_name not in NAMES or self.instance is not None:
            raise UnknownJob("a job of no known name was found in a queue")
        return super().func

    @property
    def success_callback(self) -> Callable[..., Any] | None:
        return None

    @property
    def failure_callback(self) -> Callable[..., Any] | None:
        return None

    @property
    def stopped_callback(self) -> Callable[..., Any] | None:
        return None


def queue_of(name: str, namespace: str, connection: redis.Redis) -> Queue:
    """The queue of one installation: two on one Redis do not do each other's jobs."""
    return Queue(queue_name(name, namespace), connection=connection, job_class=NamedJob, serializer=JSONSerializer)


def queue_name(name: str, namespace: str) -> str:
    return f"{name}:{namespace}"
