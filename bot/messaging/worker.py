"""RQ's worker, kept in order: it waits for no signal twice, and leaves nothing behind when Redis hangs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from redis import Redis
from rq.exceptions import StopRequested
from rq.serializers import JSONSerializer
from rq.worker import HerokuWorker

from bot.messaging.driver import DRIVER
from bot.messaging.jobs import QUEUES
from bot.messaging.named_jobs import NamedJob, queue_name

__all__ = ["StopRequested", "Worker", "work"]

# A worker that died is noticed, and its job taken up again, within this time (RQ's own default is seven minutes).
WORKER_TTL_S = 30
MAINTENANCE_INTERVAL_S = 10
UNSUBSCRIBED_WITHIN_S = 1.0


class Worker(HerokuWorker):
    """HerokuWorker lets a running job finish when all processes are signalled at once."""

    told: threading.Event
    on_stop: Callable[[], None]
    """Called in the handler of the first signal."""
    has_unsubscribed: bool = False
    is_waiting: bool = False

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Only the wait for a job is interrupted; upstream raises wherever the signal finds it.

        Platforms send several signals, and upstream kills the job at the second.
        """
        if self.told.is_set():
            return
        self.told.set()
        self.on_stop()
        self._stop_requested = True
        if self.horse_pid:  # without a job under way upstream warns of it
            self.handle_warm_shutdown_request()  # type: ignore[no-untyped-call]  # upstream has no types
        if self.is_waiting:
            raise StopRequested

    def dequeue_job_and_maintain_ttl(self, *arguments: Any, **more: Any) -> Any:
        self.is_waiting = True
        try:
            if self._stop_requested:  # by a signal that came before it could interrupt
                raise StopRequested
            return super().dequeue_job_and_maintain_ttl(*arguments, **more)
        finally:
            self.is_waiting = False

    def unsubscribe(self) -> None:
        """Upstream closes the connection even under a thread that still listens, as it does where Redis hangs.

        Here the thread closes it when it ends, and it need not end before the process does.
        """
        if self.pubsub_thread is None or self.pubsub is None:
            return
        self.has_unsubscribed = True
        self.pubsub_thread.stop()
        self.pubsub.unsubscribe()
        self.pubsub_thread.join(timeout=UNSUBSCRIBED_WITHIN_S)

    def _pubsub_exception_handler(self, exc: Exception, pubsub: Any, pubsub_thread: Any) -> None:
        if not self.has_unsubscribed:
            super()._pubsub_exception_handler(exc, pubsub, pubsub_thread)

    def _install_signal_handlers(self) -> None:
        super()._install_signal_handlers()  # type: ignore[no-untyped-call]
        if self.told.is_set():  # while it was still registering itself
            self._stop_requested = True


def work(redis_url: str, namespace: str, told: threading.Event, on_stop: Callable[[], None]) -> None:
    """Work through the queues of this installation until a signal sets `told`.

    Raises RedisError when Redis goes, and StopRequested.
    """
    worker = Worker(
        [queue_name(name, namespace) for name in QUEUES],
        connection=Redis.from_url(redis_url, driver_info=DRIVER),
        job_class=NamedJob,
        worker_ttl=WORKER_TTL_S,
        maintenance_interval=MAINTENANCE_INTERVAL_S,
        serializer=JSONSerializer,
    )
    worker.told, worker.on_stop = told, on_stop
    # Without RQ's scheduler: moments are kept in the records and rung from there, so that Redis may lose everything.
    worker.work(logging_level="WARNING")
