"""Whether the process lives, and whether it can take commands: for platforms, which ask often and wait little."""

from __future__ import annotations

from aiohttp import web

from bot.schemas.views import moment
from bot.web.http.exchange import SERVICES, json_response


async def live(request: web.Request) -> web.Response:
    return json_response({"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """503 while no command can be taken: MongoDB does not answer, or the process stops.

    Without Redis it is ready: bookings and messages go on, a little slower, and the body says so.
    """
    services = request.app[SERVICES]
    mongodb, redis = await services.vitals.mongodb(), services.vitals.redis()
    can_serve = mongodb.state == "ok" and not services.is_stopping
    status = "stopping" if services.is_stopping else "ok" if can_serve else "unavailable"
    body = {
        "status": status,
        "checks": {part.name: part.state for part in (mongodb, redis)},
        "away_since": {part.name: moment(part.since) for part in (mongodb, redis) if part.since},
    }
    return json_response(body, 200 if can_serve else 503)


ROUTES = [web.get("/health/live", live), web.get("/health/ready", ready)]
