"""The documents of the public contract: `/openapi.json` and `/asyncapi.json`, made when somebody first asks.

Only then are their models built: no process waits a third of a second for them at its start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from bot.web.http.exchange import SERVICES

# Tools that show a document run on websites of their own.
HEADERS = {"Access-Control-Allow-Origin": "*", "Cache-Control": "max-age=300"}


def routes_of(app: web.Application) -> set[tuple[str, str]]:
    """Method and path of every route; who can GET can ask for the head alone, which is not said again."""
    routes = ((route.method, route.resource) for route in app.router.routes())
    return {(method, resource.canonical) for method, resource in routes if resource is not None and method != "HEAD"}


def _openapi(request: web.Request) -> dict[str, Any]:
    from bot.contract.openapi import openapi_document

    services = request.app[SERVICES]
    return openapi_document(routes_of(request.app), services.words, services.settings.public_url)


def _asyncapi(request: web.Request) -> dict[str, Any]:
    from bot.contract.asyncapi import asyncapi_document

    services = request.app[SERVICES]
    return asyncapi_document(services.words, services.settings.public_url)


def _published(write: Callable[[web.Request], dict[str, Any]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    written: list[bytes] = []

    async def serve(request: web.Request) -> web.Response:
        if not written:
            # A tenth of a second, which nobody else shall wait.
            written.append(orjson.dumps(await asyncio.to_thread(write, request)))
        return web.Response(body=written[0], content_type="application/json", headers=HEADERS)

    return serve


def routes() -> list[web.RouteDef]:
    """For one application: what it publishes is written once."""
    return [
        web.get("/openapi.json", _published(_openapi)),
        web.get("/asyncapi.json", _published(_asyncapi)),
    ]
