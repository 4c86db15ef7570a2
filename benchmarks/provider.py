"""A provider of short messages, as cheap as can be, in a process of its own: it takes everything and notes when.

It speaks as much of Twilio's API as its library needs. What it has taken can be asked for, and is forgotten then.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from time import time
from urllib.parse import parse_qsl

import uvloop
from aiohttp import web

ACCOUNT = "AC" + "0" * 32
TOKEN = "the token of nobody"
SENDER = "+15005550006"


class Provider:
    """`taken` is what came in, in order, each with its moment on the wall clock."""

    def __init__(self) -> None:
        self._taken: list[Mapping[str, object]] = []

    async def take(self, request: web.Request) -> web.Response:
        form = dict(parse_qsl((await request.read()).decode()))
        self._taken.append({"at": time(), **form})
        told = {"sid": f"SM{len(self._taken):032x}", "account_sid": ACCOUNT, "status": "queued"}
        return web.json_response(told, status=201)

    async def count(self, _: web.Request) -> web.Response:
        return web.json_response(len(self._taken))

    async def hand_over(self, _: web.Request) -> web.Response:
        taken, self._taken = self._taken, []
        return web.json_response(taken)


async def _serve(port: int) -> None:
    provider, application = Provider(), web.Application()
    application.add_routes(
        [
            web.post("/2010-04-01/Accounts/{account}/Messages.json", provider.take),
            web.get("/count", provider.count),
            web.post("/hand_over", provider.hand_over),
        ]
    )
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
