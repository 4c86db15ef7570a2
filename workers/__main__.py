"""`python -m workers`: an RQ worker that has imported everything before it forks, and the sweep beside it.

The two are processes of their own: `python -m workers rq` and `python -m workers sweep` run them one by one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import redis
import structlog
from rq.worker import HerokuWorker

from bot.embedded import ServerFailed
from bot.launch import environment_of, with_servers
from bot.logs import configure
from bot.services import running
from bot.settings import Settings, SettingsError, load_settings
from bot.supervisor import run_together
from workers import jobs  # noqa: F401 - imported before the fork, so that a job starts in milliseconds

QUEUES = ("critical", "notify", "default")
# A worker that died is noticed, and its job taken up again, within this time (RQ's own default is seven minutes).
WORKER_TTL_S = 30
MAINTENANCE_INTERVAL_S = 10

log = structlog.get_logger()


def run_rq(settings: Settings) -> int:
    """Work through the queues until told to stop; HerokuWorker lets a running job finish when all are signalled."""
    assert settings.redis_url is not None, "the caller has found Redis"
    os.environ.update(environment_of(settings))
    worker = HerokuWorker(
        QUEUES,
        connection=redis.Redis.from_url(settings.redis_url),
        worker_ttl=WORKER_TTL_S,
        maintenance_interval=MAINTENANCE_INTERVAL_S,
    )
    worker.work(with_scheduler=True, logging_level="WARNING")
    return 0


def run_sweep(settings: Settings) -> int:
    """Ring and perform, for records whose web process has died or is busy elsewhere."""

    async def sweep() -> None:
        stop = asyncio.Event()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
        async with running(settings):
            log.info("the sweep runs")
            await stop.wait()

    asyncio.run(sweep())
    return 0


def run_both(settings: Settings) -> int:
    commands = {"rq worker": ("workers", "rq"), "sweep": ("workers", "sweep")}
    return run_together(commands, environment_of(settings))


COMMANDS = {"both": run_both, "rq": run_rq, "sweep": run_sweep}


def main(arguments: list[str]) -> int:
    command = COMMANDS.get(arguments[0] if arguments else "both")
    if command is None:
        sys.stderr.write(f"usage: python -m workers [{' | '.join(COMMANDS)}]\n")
        return 2
    try:
        settings = load_settings()
        configure(settings)
        with with_servers(settings) as ready:
            return command(ready)
    except (SettingsError, ServerFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
