"""`python -m workers`: an RQ worker that has imported everything before it forks, and the sweep beside it.

The two are processes of their own: `python -m workers rq` and `python -m workers sweep` run them one by one.
"""

from __future__ import annotations

import sys
from functools import partial

import structlog

from bot.clock import Now
from bot.logs.failures import why
from bot.logs.setup import configure
from bot.rounds import keep_doing
from bot.runtime.embedded import ServerFailed
from bot.runtime.ending import leave, run, until_told_to_stop
from bot.runtime.launch import environment_of, with_servers
from bot.runtime.supervisor import run_together
from bot.services import running
from bot.settings.loading import SettingsError, load_settings
from bot.settings.settings import Settings
from bot.store.driver import PyMongoError
from bot.store.migrations import NewerSchema
from workers.dispatch import Dispatch
from workers.rq_worker import run_rq
from workers.webhooks import WebhookSender, open_webhooks

log = structlog.get_logger()


async def _tell(sender: WebhookSender, now: Now) -> None:
    await sender.deliver_due(now())


def run_sweep(settings: Settings) -> int:
    """Ring and perform for records whose web process has died or is busy elsewhere, and hand out what is due."""

    async def sweep() -> None:
        stop = until_told_to_stop()
        async with (
            running(settings) as services,
            open_webhooks(settings, services.webhooks, services.clock.now) as sender,
        ):
            dispatch = Dispatch(
                services.notifications,
                services.announcements,
                services.jobs,
                services.heartbeats,
                services.clock.now,
                every_s=settings.dispatch_s,
            )
            services.spawn(dispatch.run())
            services.spawn(services.unread.run())
            telling = partial(_tell, sender, services.clock.now)
            services.spawn(keep_doing("webhooks", telling, settings.sweep_s))
            log.info("the sweep runs")
            await stop.wait()

    run(sweep())
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
    except (SettingsError, ServerFailed, NewerSchema) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except PyMongoError as error:
        sys.stderr.write(f"MongoDB cannot be used: {why(error)}\n")
        return 1


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
