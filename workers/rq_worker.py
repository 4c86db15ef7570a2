"""The RQ worker: it outlives every outage of Redis, and ends in order however often it is told to."""

from __future__ import annotations

import os
import threading
from types import FrameType
from typing import Any

import redis
import structlog
from rq.exceptions import StopRequested
from rq.worker import HerokuWorker

from bot.clock import machine_now
from bot.logs.failures import why
from bot.messaging.driver import DRIVER
from bot.messaging.jobs import QUEUES
from bot.runtime.ending import end_for_certain, on_signal
from bot.runtime.launch import environment_of
from bot.settings.settings import Settings
from bot.store import driver
from bot.words import LOCALES, Words
from workers import jobs  # noqa: F401 - imported before the fork, so that a job starts in milliseconds

# A worker that died is noticed, and its job taken up again, within this time (RQ's own default is seven minutes).
WORKER_TTL_S = 30
MAINTENANCE_INTERVAL_S = 10
COME_BACK_AFTER_S = 1.0
UNSUBSCRIBED_WITHIN_S = 1.0

log = structlog.get_logger()


class Worker(HerokuWorker):
    """HerokuWorker lets a running job finish when all processes are signalled at once."""

    told: threading.Event
    has_unsubscribed: bool = False
    is_waiting: bool = False

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Only the wait for a job is interrupted; upstream raises wherever the signal finds it.

        Platforms send several signals, and upstream kills the job at the second.
        """
        if self.told.is_set():
            return
        self.told.set()
        end_for_certain()
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


def run_rq(settings: Settings) -> int:
    """Work through the queues until told to stop; upstream's worker quits when Redis does, and another one begins."""
    assert settings.redis_url is not None, "the caller has found Redis"
    os.environ.update(environment_of(settings))
    _prepare_jobs(settings)
    told = threading.Event()
    while not told.is_set():
        on_signal(told.set)
        try:
            _work(settings.redis_url, told)
        except StopRequested:
            break
        except redis.RedisError as error:
            log.warning("the worker waits for redis", why=why(error))
        told.wait(COME_BACK_AFTER_S)
    return 0


def _prepare_jobs(settings: Settings) -> None:
    """What each job would load again, since it is a fork of this process; nothing is connected to."""
    driver.load(settings.mongo_driver)
    words = Words()
    for locale in LOCALES:  # the names of days and months are read when they are first needed
        words.when(locale, machine_now(), settings.default_timezone)


def _work(redis_url: str, told: threading.Event) -> None:
    worker = Worker(
        QUEUES,
        connection=redis.Redis.from_url(redis_url, driver_info=DRIVER),
        worker_ttl=WORKER_TTL_S,
        maintenance_interval=MAINTENANCE_INTERVAL_S,
    )
    worker.told = told
    # Without RQ's scheduler: moments are kept in the records and rung from there, so that Redis may lose everything.
    worker.work(logging_level="WARNING")
