"""A browser vendor's push service together with the browser behind it: it checks who sends, and reads what they say."""

from __future__ import annotations

import base64
import json
import os
import uuid
from collections.abc import Mapping
from typing import Any

import http_ece
import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.fakes.provider import Provider

MOST_BYTES = 4096


class PushService(Provider):
    """`shown` is what arrived at the browsers, in order: the headers of the request and the decrypted payload."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[tuple[Mapping[str, str], Any]] = []
        self._browsers: dict[str, tuple[ec.EllipticCurvePrivateKey, bytes]] = {}

    def subscribe(self) -> dict[str, Any]:
        """What a browser hands to its page: the subscription of a new device."""
        device, key, secret = uuid.uuid4().hex, ec.generate_private_key(ec.SECP256R1()), os.urandom(16)
        self._browsers[device] = key, secret
        point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        keys = {"p256dh": _text(point), "auth": _text(secret)}
        return {"endpoint": f"{self.url}/push/{device}", "expirationTime": None, "keys": keys}

    def unsubscribe(self, subscription: dict[str, Any]) -> None:
        del self._browsers[subscription["endpoint"].rpartition("/")[2]]

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/push/{device}", self._push)]

    async def _push(self, request: web.Request) -> web.Response:
        browser = self._browsers.get(request.match_info["device"])
        if browser is None:
            return web.Response(status=410)
        if not self._knows_the_sender(request):
            return web.Response(status=403)
        if "TTL" not in request.headers:
            return web.Response(status=400)
        body = await request.read()
        if len(body) > MOST_BYTES:
            return web.Response(status=413)
        key, secret = browser
        assert request.headers["Content-Encoding"] == "aes128gcm"
        text = http_ece.decrypt(body, private_key=key, auth_secret=secret, version="aes128gcm")
        self.shown.append((request.headers, json.loads(text)))
        return web.Response(status=201, headers={"Location": f"{self.url}/message/{uuid.uuid4().hex}"})

    def _knows_the_sender(self, request: web.Request) -> bool:
        """RFC 8292: `vapid t=<a JWT>,k=<the public key that signed it>`, made out for this service."""
        scheme, _, fields = request.headers.get("Authorization", "").partition(" ")
        parts = dict(part.strip().split("=", 1) for part in fields.split(","))
        point = base64.urlsafe_b64decode(f"{parts['k']}==")
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        try:
            claims = jwt.decode(parts["t"], key, algorithms=["ES256"], audience=self.url)
        except jwt.InvalidTokenError:
            return False
        return scheme == "vapid" and claims["sub"].startswith(("mailto:", "https:"))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
