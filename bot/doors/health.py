"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

import asyncio

from aiohttp import web

from bot.doors.http import SERVICES, json_response
from bot.store.driver import PyMongoError

ANSWER_WITHIN_S = 2.0


async def live(request: web.Request) -> web.Response:
    return json_response({"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """503 while MongoDB cannot be reached or the process is stopping; without Redis it serves, a little slower."""
    services = request.app[SERVICES]
    mongodb = "ok"
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            await services.database.command("ping")
    except (PyMongoError, OSError, TimeoutError):
        mongodb = "unreachable"
    can_serve = mongodb == "ok" and not services.is_stopping
    checks = {
        "mongodb": mongodb,
        "redis": "ok" if services.bus.healthy else "degraded",
        "sweep_laps": services.sweep.laps,
    }
    status = "stopping" if services.is_stopping else "ok" if can_serve else "unavailable"
    return json_response({"status": status, "checks": checks}, 200 if can_serve else 503)


ROUTES = [web.get("/health/live", live), web.get("/health/ready", ready)]
