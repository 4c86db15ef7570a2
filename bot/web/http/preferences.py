"""What guests and therapists do not want to be told, and when they sleep: read and chosen anew over HTTP."""

from __future__ import annotations

from datetime import time
from typing import Any

from aiohttp import web

from bot.access.limits import Asker
from bot.identity import key_of
from bot.schemas.requests import ChosenPreferences
from bot.store.tickets import Bearer
from bot.web.http.bearers import bearer_of
from bot.web.http.exchange import SERVICES, address_of, body_of, json_response
from conversations.notices import Preferences

PATH = "/api/users/preferences"


async def _caller(request: web.Request) -> Bearer:
    bearer = await bearer_of(request)
    request.app[SERVICES].limits.spend("commands", Asker(address_of(request), bearer.subject))
    return bearer


async def show(request: web.Request) -> web.Response:
    bearer = await _caller(request)
    return json_response(await _view(request, bearer))


async def choose(request: web.Request) -> web.Response:
    services, bearer = request.app[SERVICES], await _caller(request)
    chosen = await body_of(request, ChosenPreferences)
    hours = chosen.quiet_hours
    quiet = (time.fromisoformat(hours.begins), time.fromisoformat(hours.ends)) if hours else None
    person_id = key_of(bearer.audience, bearer.subject)
    await services.preferences.choose(person_id, set(chosen.off), quiet, services.clock.now())
    return json_response(await _view(request, bearer))


async def _view(request: web.Request, bearer: Bearer) -> dict[str, Any]:
    preferences = await request.app[SERVICES].preferences.chosen(key_of(bearer.audience, bearer.subject))
    return {"ok": True, "off": sorted(preferences.off), "quiet_hours": _hours_view(preferences)}


def _hours_view(preferences: Preferences) -> dict[str, str] | None:
    if preferences.quiet is None:
        return None
    begins, ends = preferences.quiet
    return {"begins": f"{begins:%H:%M}", "ends": f"{ends:%H:%M}"}


ROUTES = [web.get(PATH, show), web.put(PATH, choose)]
