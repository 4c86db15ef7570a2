"""Works off what webhooks have brought: at once where it came in, and by the sweep of any process what was left.

An event may come before the booking that it is about; it is kept and tried again, ever more rarely, for three days.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import structlog

from bot.clock import Now
from bot.errors import Outage
from bot.logs.failures import why
from bot.rounds import keep_doing
from bot.store.driver import PyMongoError
from bot.store.inbox import Inbox, InboxEvent

log = structlog.get_logger()

# After each attempt that came too early; from the last one on always that long.
PAUSES = (timedelta(seconds=2), timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1))
WAITED_FOR = timedelta(days=3)
AFTER_OUTAGE = timedelta(seconds=5)


class TooEarly(Exception):
    """What the event is about is not known yet."""


class Senseless(Exception):
    """Nothing will ever come of the event; the text says why, in a word that tells nothing of anybody."""


Handle = Callable[[InboxEvent], Awaitable[None]]


class InboxWork:
    """`handlers` by sender. Each may be called twice with the same event, and must come to the same."""

    def __init__(self, inbox: Inbox, handlers: Mapping[str, Handle], now: Now, *, every_s: float = 1.0) -> None:
        self._inbox = inbox
        self._handlers = handlers
        self._now = now
        self._every_s = every_s
        self.failures = 0

    async def run(self) -> None:
        await keep_doing("inbox", self.once, self._every_s)

    async def once(self) -> None:
        for inbox_id in await self._inbox.due(self._now()):
            await self.work_off(inbox_id)

    async def work_off(self, inbox_id: str) -> None:
        """One event, if it is due and nobody else has it; raises nothing, since the sweep comes back to it."""
        try:
            event = await self._inbox.claim(inbox_id, self._now())
            if event is not None:
                await self._handle(event)
        except (PyMongoError, OSError) as error:
            log.warning("an event waits in the inbox", id=inbox_id, why=why(error))

    async def _handle(self, event: InboxEvent) -> None:
        now = self._now()
        try:
            await self._handlers[event.sender](event)
            await self._inbox.done(event.id, now)
        except Senseless as error:
            await self._bury(event, str(error))
        except TooEarly:
            await self._wait(event, "too_early")
        except Outage:
            await self._inbox.postpone(event.id, now + AFTER_OUTAGE, "outage")
        except (PyMongoError, OSError):
            raise
        except Exception:
            self.failures += 1
            log.exception("an event of the inbox failed", id=event.id, kind=event.kind)
            await self._wait(event, "failed")

    async def _wait(self, event: InboxEvent, reason: str) -> None:
        if self._now() - event.received_at >= WAITED_FOR:
            await self._bury(event, reason)
            return
        pause = PAUSES[min(event.attempts, len(PAUSES)) - 1]
        await self._inbox.postpone(event.id, self._now() + pause, reason)

    async def _bury(self, event: InboxEvent, reason: str) -> None:
        log.warning("an event of the inbox leads to nothing", id=event.id, kind=event.kind, why=reason)
        await self._inbox.bury(event.id, self._now(), reason)
