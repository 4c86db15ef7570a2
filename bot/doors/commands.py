"""Commands over HTTP: the same payloads, the same answers and the same memory of them as on every other transport."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from bot.doors.answers import Answer
from bot.doors.arrivals import admit_guest, admit_therapist
from bot.doors.bearers import bearer_of, issue_ticket
from bot.doors.guest import Guest, GuestCommands
from bot.doors.http import SERVICES, body_of, json_response, locale_of, raw_body_of
from bot.doors.therapist import Caller, TherapistCommands
from bot.payloads import GuestConnect, TherapistConnect
from bot.services import Services
from bot.store.tickets import Bearer
from bot.views import Audience
from bot.words import negotiate
from conversations.values import Locale


async def execute(services: Services, bearer: Bearer, locale: Locale, name: str, payload: Any) -> Answer:
    """The ack of a command within its time; raises its refusal."""
    async with asyncio.timeout(services.settings.command_timeout_s):
        if bearer.audience == "guest":
            return await GuestCommands(services).execute(Guest(bearer.subject, locale), name, payload)
        return await TherapistCommands(services).execute(Caller(bearer.subject), name, payload)


async def _command(request: web.Request, audience: Audience) -> web.Response:
    services = request.app[SERVICES]
    bearer = await bearer_of(request, audience)
    payload = await raw_body_of(request)
    return json_response(await execute(services, bearer, locale_of(request), request.match_info["command"], payload))


async def guest_command(request: web.Request) -> web.Response:
    return await _command(request, "guest")


async def therapist_command(request: web.Request) -> web.Response:
    return await _command(request, "therapist")


async def guest_session(request: web.Request) -> web.Response:
    """What the connect of the namespace `/guest` gives, for clients that cannot reach it."""
    services = request.app[SERVICES]
    connect = await body_of(request, GuestConnect)
    locale = negotiate(connect.locale, request.headers.get("Accept-Language"), services.settings.default_locale)
    arrival = await admit_guest(services, connect, locale)
    return json_response({"ok": True, **arrival.snapshot.session})


async def therapist_session(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    connect = await body_of(request, TherapistConnect)
    locale = negotiate(connect.locale, request.headers.get("Accept-Language"), services.settings.default_locale)
    arrival = await admit_therapist(services, connect, locale)
    return json_response({"ok": True, **arrival.snapshot.session})


async def ticket(request: web.Request) -> web.Response:
    """A ticket for an address, where a browser cannot set a header: one use, thirty seconds."""
    return json_response(await issue_ticket(request.app[SERVICES], await bearer_of(request)))


ROUTES = [
    web.post("/api/ticket", ticket),
    web.post("/api/guest/session", guest_session),
    web.post("/api/therapist/session", therapist_session),
    web.post("/api/guest/{command:[a-z_]+}", guest_command),
    web.post("/api/therapist/{command:[a-z_]+}", therapist_command),
]
