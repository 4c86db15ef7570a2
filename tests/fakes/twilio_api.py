"""A double of Twilio's messages: its magic numbers, its errors, and callbacks signed as Twilio signs them.

Shapes are those of https://www.twilio.com/docs/messaging/api/message-resource, the magic numbers those of
https://www.twilio.com/docs/iam/test-credentials: the same tests hold against an account's test credentials.
"""

from __future__ import annotations

import base64
import uuid
from urllib.parse import parse_qsl

import aiohttp
from aiohttp import web
from twilio.request_validator import RequestValidator

from tests.fakes.provider import Provider

ACCOUNT = "AC" + "0" * 32
TOKEN = "the-auth-token"
MAGIC_NUMBERS = {
    "+15005550001": 21211,
    "+15005550002": 21612,
    "+15005550003": 21408,
    "+15005550004": 21610,
    "+15005550009": 21614,
}
STATUSES = {20003: 401, 20429: 429, 21408: 403}
MOST_CHARACTERS = 1600


class TwilioApi(Provider):
    """`messages` is what was taken, in order; `undeliverable` says with which code a number is not reached later."""

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[dict[str, str]] = []
        self.undeliverable: dict[str, int] = {}
        self.callbacks: list[int] = []
        """With which statuses the callbacks were answered."""

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/2010-04-01/Accounts/{account}/Messages.json", self._create)]

    async def _create(self, request: web.Request) -> web.Response:
        login = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {login}" or request.match_info["account"] != ACCOUNT:
            return _error(20003)
        form = dict(parse_qsl((await request.read()).decode(), keep_blank_values=True))
        if code := _what_is_wrong(form):
            return _error(code)
        message = {"sid": f"SM{uuid.uuid4().hex}", **form}
        self.messages.append(message)
        if "StatusCallback" in form:
            self.spawn(self._call_back(message))
        taken = {
            "sid": message["sid"],
            "account_sid": ACCOUNT,
            "body": form["Body"],
            "to": form["To"],
            "from": form.get("From"),
            "status": "queued" if "From" in form else "accepted",
        }
        return web.json_response(taken, status=201)

    async def _call_back(self, message: dict[str, str]) -> None:
        failed = self.undeliverable.get(message["To"])
        for status in ("sent", "undelivered" if failed else "delivered"):
            form = {
                "AccountSid": ACCOUNT,
                "MessageSid": message["sid"],
                "MessageStatus": status,
                "To": message["To"],
                "From": message.get("From", ""),
            }
            if failed and status == "undelivered":
                form["ErrorCode"] = str(failed)
            signature = RequestValidator(TOKEN).compute_signature(message["StatusCallback"], form)
            async with (
                aiohttp.ClientSession() as session,
                session.post(message["StatusCallback"], data=form, headers={"X-Twilio-Signature": signature}) as answer,
            ):
                self.callbacks.append(answer.status)


def _what_is_wrong(form: dict[str, str]) -> int | None:
    to, body = form.get("To", ""), form.get("Body", "")
    if not to:
        return 21604
    if not body:
        return 21602
    if len(body) > MOST_CHARACTERS:
        return 21617
    return MAGIC_NUMBERS.get(to) or (None if to.startswith("+") else 21211)


def _error(code: int) -> web.Response:
    status = STATUSES.get(code, 400)
    return web.json_response({"code": code, "message": f"error {code}", "status": status}, status=status)
