"""Web Push: encrypted for one browser (RFC 8291), signed by us (VAPID), and handed to the service its vendor runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import aiohttp
from py_vapid import Vapid02
from pywebpush import WebPushException, webpush_async

from bot.clock import Now
from bot.providers import verdicts
from bot.providers.exchange import NO_ANSWER, exchange, open_session
from bot.providers.messages import NotSent, Push, Receipt, Verdict
from bot.providers.pushes import data_of, topic_of
from bot.schemas.webpush import has_keys, is_known_service
from bot.settings.vapid import read_private_key

URGENCIES: Mapping[str, str] = {"low": "low", "normal": "normal", "high": "high", "urgent": "high"}


class WebPushChannel:
    """Built inside the loop that it works in. `services` are those that a subscription may lead to."""

    def __init__(
        self, private_key: str, subject: str, services: tuple[str, ...], *, now: Now, timeout_s: float
    ) -> None:
        self._key = Vapid02(read_private_key(private_key))
        self._subject = subject
        self._services = services
        self._now = now
        self._session = open_session(timeout_s)

    async def send(self, push: Push, subscription: Mapping[str, Any]) -> Receipt:
        """`subscription` is what the browser gave: `{endpoint, keys: {p256dh, auth}}`. Raises NotSent."""
        if not is_known_service(str(subscription.get("endpoint")), self._services):
            raise NotSent(Verdict("permanent", "foreign-endpoint", is_address_dead=True))
        if not has_keys(subscription):
            raise NotSent(Verdict("permanent", "malformed", is_address_dead=True))
        with exchange() as noted:
            try:
                answer = await self._post(push, subscription)
            except WebPushException as error:
                if error.status_code is None:
                    raise  # upstream could make nothing of what we gave it
                raise NotSent(verdicts.of_push_service(error.status_code, noted.after_s(self._now()))) from None
            except NO_ANSWER as error:
                raise NotSent(noted.silence(error)) from None
        return Receipt(answer.headers.get("Location"))

    async def close(self) -> None:
        await self._session.close()

    async def _post(self, push: Push, subscription: Mapping[str, Any]) -> aiohttp.ClientResponse:
        answer: aiohttp.ClientResponse = await webpush_async(
            subscription_info=dict(subscription),
            data=json.dumps(data_of(push), ensure_ascii=False, separators=(",", ":")),
            vapid_private_key=self._key,
            vapid_claims={"sub": self._subject},  # upstream writes into it
            ttl=push.ttl_s,
            timeout=self._session.timeout,
            headers={"Urgency": URGENCIES[push.urgency], "Topic": topic_of(push.collapse_key)},
            aiohttp_session=_Unredirected(self._session),
        )
        return answer


class _Unredirected:
    """A push service that sends us elsewhere could send us anywhere."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def post(self, url: str, **more: Any) -> aiohttp.ClientResponse:
        return await self._session.post(url, allow_redirects=False, **more)
