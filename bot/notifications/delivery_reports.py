"""What Twilio says of a short message that it has taken: it has arrived, or it has not, and another try may help.

Its words come in any order, and some of them before the answer to the request itself.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from bot.clock import Now
from bot.notifications.notification_news import NotificationNews
from bot.store.breakers import Breakers
from bot.store.notifications import Notifications, Reason, Row

log = structlog.get_logger()

FAILED = frozenset({"undelivered", "failed"})
# Twilio's error codes (https://www.twilio.com/docs/api/errors) of a full queue, a phone that is off, no known reason:
# such a number may be tried again, and not soon.
UNREACHABLE = frozenset({"30001", "30003", "30008"})
SUSPENDED = "30002"
AGAIN_AFTER = timedelta(minutes=30)
MOST_ATTEMPTS = 3


class DeliveryReports:
    """Moves rows that were sent: on to their end, or back among those that wait."""

    def __init__(self, ledger: Notifications, breakers: Breakers, tell_integrators: NotificationNews, now: Now) -> None:
        self._ledger = ledger
        self._breakers = breakers
        self._tell_integrators = tell_integrators
        self._now = now

    async def take(self, row_id: str, provider_id: str, said: str, code: str | None) -> None:
        """`provider_id` is Twilio's for the message; what is said of another, or late, changes nothing."""
        row = await self._ledger.get(row_id)
        if row is None:
            return
        if said in FAILED:
            await self._failed(row, provider_id, Reason(self._now(), said, code))
        elif await self._ledger.advance(row_id, provider_id, said, self._now()) and said == "delivered":
            await self._tell_integrators(row, "delivered", None)

    async def _failed(self, row: Row, provider_id: str, why: Reason) -> None:
        again_at = await self._again_at(row, why)
        if await self._ledger.bounce(row.id, provider_id, why, again_at) and again_at is None:
            await self._tell_integrators(row, "dead", why.what)

    async def _again_at(self, row: Row, why: Reason) -> datetime | None:
        """When another try may help, None where it would not."""
        if why.code == SUSPENDED:
            log.error("a channel rests", channel="sms", code=why.code, misconfigured=True)
            breaker = await self._breakers.failed("sms", SUSPENDED, why.at, is_misconfigured=True)
            return breaker.open_until
        at = why.at + AGAIN_AFTER
        may_help = why.code in UNREACHABLE and row.attempts < MOST_ATTEMPTS and at < row.useful_until
        return at if may_help else None
