"""Work that is done round by round, for ever, in every process that does it at all."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import structlog

from bot.errors import Outage
from bot.logs.failures import why
from bot.store.driver import PyMongoError

log = structlog.get_logger()

SPREAD = 0.25


async def keep_doing(what: str, once: Callable[[], Awaitable[object]], every_s: float) -> None:
    """An outage, or a fault of ours, ends a round and nothing else; the log says of which work."""
    while True:
        try:
            await once()
        except (PyMongoError, Outage, OSError) as error:
            log.warning("a round waits", work=what, why=why(error))
        except Exception:
            log.exception("a round failed", work=what)
        # Processes that were started together drift apart, so that they do not all ask at once.
        await asyncio.sleep(every_s * random.uniform(1 - SPREAD, 1 + SPREAD))
