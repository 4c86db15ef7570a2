"""A double of Firebase Cloud Messaging: the token endpoint of Google, and `messages:send` of the HTTP v1 API.

Errors are those of https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode.
"""

from __future__ import annotations

import json
import uuid
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.fakes.provider import Provider

PROJECT = "janji-tests"
AUDIENCE = "https://oauth2.googleapis.com/token"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
DETAIL = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
# code -> the HTTP status, the platform's own code, what it says
ERRORS = {
    "UNREGISTERED": (404, "NOT_FOUND", "Requested entity was not found."),
    "INVALID_TOKEN": (400, "INVALID_ARGUMENT", "The registration token is not a valid FCM registration token"),
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT", "Request contains an invalid argument."),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED", "SenderId mismatch"),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED", "Quota exceeded."),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED", "Auth error from APNS or Web Push Service"),
}


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class FcmApi(Provider):
    """`sent` is what was taken, in order; `errors` says which device is answered with which error."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, Any]] = []
        self.errors: dict[str, str] = {}
        self._access_tokens: set[str] = set()

    def service_account(self) -> dict[str, str]:
        return {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "1",
            "private_key": _key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
            "client_email": f"fcm@{PROJECT}.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{self.url}/token",
        }

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/token", self._grant),
            web.post(f"/v1/projects/{PROJECT}/messages:send", self._send),
        ]

    async def _grant(self, request: web.Request) -> web.Response:
        form = dict(parse_qsl((await request.read()).decode()))
        assert form["grant_type"] == GRANT
        jwt.decode(form["assertion"], _key().public_key(), algorithms=["RS256"], audience=AUDIENCE)
        token = f"ya29.{uuid.uuid4().hex}"
        self._access_tokens.add(token)
        return web.json_response({"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    async def _send(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self._access_tokens:
            return web.json_response({"error": {"code": 401, "status": "UNAUTHENTICATED"}}, status=401)
        message = json.loads(await request.read())["message"]
        if code := self.errors.get(message["token"]):
            return error(code)
        self.sent.append(message)
        return web.json_response({"name": f"projects/{PROJECT}/messages/{uuid.uuid4().hex}"})


def error(code: str) -> web.Response:
    status, platform_code, text = ERRORS[code]
    details = [] if code == "INVALID_TOKEN" else [{"@type": DETAIL, "errorCode": code}]
    told = {"code": status, "status": platform_code, "message": text, "details": details}
    headers = {"Retry-After": "90"} if status == 429 else {}
    return web.json_response({"error": told}, status=status, headers=headers)
