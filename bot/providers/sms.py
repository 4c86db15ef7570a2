"""Short messages by Twilio. It has no idempotency: what was asked without an answer may have been sent."""

from __future__ import annotations

import logging
from typing import Any

import aiohttp
from twilio.base.exceptions import TwilioRestException
from twilio.http import AsyncHttpClient
from twilio.http.response import Response
from twilio.rest import Client
from twilio.rest.api import Api  # noqa: F401 - upstream imports most of itself at first use, for a quarter of a second

from bot.clock import Now
from bot.providers import verdicts
from bot.providers.exchange import NO_ANSWER, exchange, open_session
from bot.providers.messages import NotSent, Receipt, Sms

# Upstream writes every request into its log, with the parameters in the address.
_silent = logging.Logger("twilio", logging.CRITICAL)


class SmsChannel:
    """Built inside the loop that it works in."""

    def __init__(
        self, account_sid: str, auth_token: str, sender: str, *, api_url: str, now: Now, timeout_s: float
    ) -> None:
        self._now = now
        self._session = open_session(timeout_s)
        self._client = Client(account_sid, auth_token, http_client=_Http(self._session))
        self._client.api.base_url = api_url
        self._sender = {"messaging_service_sid" if sender.startswith("MG") else "from_": sender}

    async def send(self, message: Sms) -> Receipt:
        """Raises NotSent."""
        more = self._sender | ({"status_callback": message.status_url} if message.status_url else {})
        with exchange() as noted:
            try:
                sent = await self._client.messages.create_async(to=message.to, body=message.text, **more)
            except TwilioRestException as error:
                raise NotSent(verdicts.of_twilio(error.status, error.code, noted.after_s(self._now()))) from None
            except NO_ANSWER as error:
                raise NotSent(noted.silence(error)) from None
        return Receipt(sent.sid)

    async def close(self) -> None:
        await self._session.close()


class _Http(AsyncHttpClient):  # type: ignore[misc]  # upstream has no types
    """Upstream's own client knows no time limit, repeats itself if asked to, and warns about its way to log in."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        super().__init__(_silent, is_async=True)
        self._session = session

    async def request(
        self,
        method: str,
        uri: str,
        params: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the session's own counts
        allow_redirects: bool = False,
    ) -> Response:
        login = {"Authorization": aiohttp.encode_basic_auth(*auth)} if auth else {}
        async with self._session.request(
            method, uri, params=params, data=data, headers={**(headers or {}), **login}, allow_redirects=False
        ) as answer:
            return Response(answer.status, await answer.text(), answer.headers)
