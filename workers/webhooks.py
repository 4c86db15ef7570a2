"""Tells integrators what has happened: signed as Standard Webhooks say, again and again until they have heard it.

The specification: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

import aiohttp
import structlog
from standardwebhooks.webhooks import Webhook

from bot.clock import Now, machine_now
from bot.integrations.public_addresses import NotPublic, PublicResolver, check_url
from bot.providers.exchange import NO_ANSWER, Exchange, exchange, open_session
from bot.settings.channels import ChannelSettings
from bot.store.webhooks import Delivery, Endpoint, Webhooks

# After the first attempt; with it there are eight, over a day and a third.
PAUSES: tuple[timedelta, ...] = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
)
MOST_ATTEMPTS = len(PAUSES) + 1
JITTER = 0.2
DISABLED_AFTER = timedelta(days=5)
# Longer than an attempt can take: whoever holds a claim for this long has died.
LEASE = timedelta(minutes=5)
AT_ONCE_PER_ENDPOINT = 10
ENDPOINTS_AT_ONCE = 20
GONE = 410

log = structlog.get_logger()


class WebhookSender:
    """One attempt at a time for each row; `outcomes` counts how they ended."""

    def __init__(
        self,
        webhooks: Webhooks,
        session: aiohttp.ClientSession,
        now: Now,
        *,
        may_be_private: bool,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._webhooks = webhooks
        self._session = session
        self._now = now
        self._may_be_private = may_be_private
        self._chance = chance
        self._room = asyncio.Semaphore(ENDPOINTS_AT_ONCE)
        self.outcomes: Counter[str] = Counter()

    async def deliver_due(self, now: datetime) -> int:
        """One attempt at what is due, ten rows for each endpoint at most; gives how many attempts there were.

        One that is slow or dead costs the others no more than the time limit of one attempt.
        """
        endpoints = await self._webhooks.active()
        return sum(await asyncio.gather(*(self._deliver_to(each, now) for each in endpoints)))

    async def _deliver_to(self, endpoint: Endpoint, now: datetime) -> int:
        async with self._room:
            due = await self._webhooks.due(endpoint.id, now, AT_ONCE_PER_ENDPOINT)
            return sum(await asyncio.gather(*(self._attempt(endpoint, each, now) for each in due)))

    async def _attempt(self, endpoint: Endpoint, due: Delivery, now: datetime) -> bool:
        delivery = await self._webhooks.claim(due, now, LEASE)
        if delivery is None:
            return False
        with exchange() as noted:
            code = await self._post(endpoint, delivery, noted)
        if code.startswith("2"):
            self.outcomes["delivered"] += 1
            await self._webhooks.settle(delivery, "delivered", code, now)
            await self._webhooks.succeeded(endpoint.id)
        else:
            self.outcomes["failed"] += 1
            await self._fail(endpoint, delivery, code, noted.after_s(self._now()), now)
        return True

    async def _post(self, endpoint: Endpoint, delivery: Delivery, noted: Exchange) -> str:
        """The status of the answer, or a word where there is none. What the answer says is of no interest."""
        try:
            check_url(endpoint.url, may_be_private=self._may_be_private)
            async with self._session.post(
                endpoint.url,
                data=delivery.body.encode(),
                headers=self._headers(endpoint, delivery),
                allow_redirects=False,
            ) as answer:
                return str(answer.status)
        except ValueError:  # the setting was another one when it was added
            return "address"
        except NO_ANSWER as error:
            if isinstance(getattr(error, "os_error", None), NotPublic):
                return "address"
            return noted.silence(error).code

    def _headers(self, endpoint: Endpoint, delivery: Delivery) -> dict[str, str]:
        now = self._now()
        return {
            "Content-Type": "application/json",
            "User-Agent": "Janji-Webhooks/1",
            "webhook-id": delivery.event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(endpoint.secret).sign(delivery.event_id, now, delivery.body),
        }

    async def _fail(
        self, endpoint: Endpoint, delivery: Delivery, code: str, after_s: float | None, now: datetime
    ) -> None:
        if delivery.attempts >= MOST_ATTEMPTS:
            self.outcomes["dead"] += 1
            await self._webhooks.settle(delivery, "dead", code, now)
        else:
            await self._webhooks.put_back(delivery, now + self._pause(delivery.attempts, after_s), code)
        failing_since = await self._webhooks.failed(endpoint.id, now)
        if code == str(GONE):
            await self._disable(endpoint, "it answers 410 Gone", now)
        elif now - failing_since >= DISABLED_AFTER:
            await self._disable(endpoint, f"nothing has arrived for {DISABLED_AFTER.days} days", now)

    def _pause(self, attempts: int, after_s: float | None) -> timedelta:
        """Longer than planned where we are told so, and never shorter; the jitter keeps many from coming at once."""
        planned = PAUSES[attempts - 1] * (1 + JITTER * self._chance())
        return max(planned, timedelta(seconds=after_s or 0.0))

    async def _disable(self, endpoint: Endpoint, reason: str, now: datetime) -> None:
        if await self._webhooks.disable(endpoint.id, reason, now):
            self.outcomes["disabled"] += 1
            log.error("a webhook endpoint is disabled until somebody replays to it", endpoint=endpoint.id, why=reason)


@asynccontextmanager
async def open_webhooks(
    settings: ChannelSettings, webhooks: Webhooks, now: Now = machine_now
) -> AsyncIterator[WebhookSender]:
    """Belongs to the running loop, and must not be opened before a fork."""
    may_be_private = settings.webhooks_to_private_addresses
    connector = aiohttp.TCPConnector(resolver=None if may_be_private else PublicResolver())
    async with open_session(settings.provider_timeout_s, connector) as session:
        yield WebhookSender(webhooks, session, now, may_be_private=may_be_private)
