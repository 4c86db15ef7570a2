"""The RQ worker's process: it outlives every outage of Redis, and ends in order however often it is told to."""

from __future__ import annotations

import asyncio
import os
import threading

import structlog

from bot.clock import machine_now
from bot.logs.failures import why
from bot.messaging.driver import RedisError
from bot.messaging.worker import StopRequested, work
from bot.runtime.ending import end_for_certain, on_signal
from bot.runtime.launch import environment_of
from bot.services import connected, epoch_of
from bot.settings.settings import Settings
from bot.store import driver
from bot.store.driver import PyMongoError
from bot.words import LOCALES, Words
from workers import jobs  # noqa: F401 - imported before the fork, so that a job starts in milliseconds

log = structlog.get_logger()


def run_rq(settings: Settings) -> int:
    """Work through the queues until told to stop; upstream's worker quits when Redis does, and another one begins."""
    assert settings.redis_url is not None, "the caller has found Redis"
    os.environ.update(environment_of(settings))
    _prepare_jobs(settings)
    told = threading.Event()
    while not told.is_set():
        on_signal(told.set)
        try:
            work(settings.redis_url, asyncio.run(_namespace(settings)), told, end_for_certain)
        except StopRequested:
            break
        except RedisError as error:
            log.warning("the worker waits for redis", why=why(error))
        except PyMongoError as error:
            log.warning("the worker waits for mongodb", why=why(error))
        told.wait(settings.rhythms.workers.come_back_after_s)
    return 0


async def _namespace(settings: Settings) -> str:
    async with connected(settings) as database:
        return await epoch_of(database)


def _prepare_jobs(settings: Settings) -> None:
    """What each job would load again, since it is a fork of this process; nothing is connected to."""
    driver.load(settings.mongo_driver)
    words = Words()
    for locale in LOCALES:  # the names of days and months are read when they are first needed
        words.when(locale, machine_now(), settings.default_timezone)
