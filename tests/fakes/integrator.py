"""A system that wants to hear of us, on loopback: it believes nothing that is not signed."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web
from standardwebhooks.webhooks import Webhook

from tests.fakes.provider import Provider


class Integrator(Provider):
    """`told` is what it was told, in order: the id of the message, and what it says."""

    def __init__(self) -> None:
        super().__init__()
        self.secrets: list[str] = []
        self.told: list[tuple[str, Any]] = []

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/{any:.*}", self._hear)]

    async def _hear(self, request: web.Request) -> web.Response:
        body = await request.read()
        for secret in self.secrets:
            try:
                Webhook(secret).verify(body, dict(request.headers))
            except Exception:
                continue
            self.told.append((request.headers["webhook-id"], json.loads(body)))
            return web.Response(status=204)
        return web.Response(status=401)
