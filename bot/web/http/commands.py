"""Commands over HTTP: the same payloads, the same answers and the same memory of them as on every other transport."""

from __future__ import annotations

import asyncio
from typing import Any, assert_never

from aiohttp import web

from bot.access.limits import Asker
from bot.identity import Audience
from bot.schemas.commands import COMMANDS, counts_as
from bot.schemas.guest import GuestConnect
from bot.schemas.therapist import TherapistConnect
from bot.services import Services
from bot.store.tickets import Bearer
from bot.web.http.bearers import bearer_of, issue_ticket
from bot.web.http.exchange import SERVICES, address_of, body_of, json_response, locale_of, raw_body_of
from bot.web.sessions.answers import Answer
from bot.web.sessions.arrivals import admit_guest, admit_therapist
from bot.web.sessions.attendance import Attendance
from bot.web.sessions.guest import Guest, GuestCommands
from bot.web.sessions.situations import situation_of
from bot.web.sessions.therapist import Caller, TherapistCommands
from bot.words import negotiate
from conversations.values import Locale


async def execute(
    services: Services,
    bearer: Bearer,
    address: str,
    locale: Locale,
    name: str,
    payload: Any,
    attendance: Attendance | None = None,
) -> Answer:
    """The ack of a command within its time; raises its refusal. `attendance` is the connection's that it came on."""
    counted_as = name if name in COMMANDS[bearer.audience] else "unknown"
    try:
        answer = await _execute(services, bearer, address, locale, name, payload, attendance)
    except Exception as error:
        services.outcomes[counted_as, situation_of(error).code] += 1
        raise
    services.outcomes[counted_as, "ok"] += 1
    return answer


async def _execute(
    services: Services,
    bearer: Bearer,
    address: str,
    locale: Locale,
    name: str,
    payload: Any,
    attendance: Attendance | None,
) -> Answer:
    services.limits.spend(counts_as(bearer.audience, name), Asker(address, bearer.subject))
    async with asyncio.timeout(services.settings.command_timeout_s):
        match bearer.audience:
            case "guest":
                guest = Guest(bearer.subject, locale, attendance=attendance, address=address)
                return await GuestCommands(services).execute(guest, name, payload)
            case "therapist":
                caller = Caller(bearer.subject, attendance=attendance)
                return await TherapistCommands(services).execute(caller, name, payload)
            case nobody:
                assert_never(nobody)


async def _command(request: web.Request, audience: Audience) -> web.Response:
    services = request.app[SERVICES]
    bearer = await bearer_of(request, audience)
    payload = await raw_body_of(request)
    name = request.match_info["command"]
    return json_response(await execute(services, bearer, address_of(request), locale_of(request), name, payload))


async def guest_command(request: web.Request) -> web.Response:
    return await _command(request, "guest")


async def therapist_command(request: web.Request) -> web.Response:
    return await _command(request, "therapist")


async def guest_session(request: web.Request) -> web.Response:
    """What the connect of the namespace `/guest` gives, for clients that cannot reach it."""
    services = request.app[SERVICES]
    connect = await body_of(request, GuestConnect)
    locale = negotiate(connect.locale, request.headers.get("Accept-Language"), services.settings.default_locale)
    arrival = await admit_guest(services, connect, locale, address_of(request))
    return json_response({"ok": True, **arrival.snapshot.session})


async def therapist_session(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    connect = await body_of(request, TherapistConnect)
    locale = negotiate(connect.locale, request.headers.get("Accept-Language"), services.settings.default_locale)
    arrival = await admit_therapist(services, connect, locale, address_of(request))
    return json_response({"ok": True, **arrival.snapshot.session})


async def ticket(request: web.Request) -> web.Response:
    """A ticket for an address, where a browser cannot set a header: one use, thirty seconds."""
    services, bearer = request.app[SERVICES], await bearer_of(request)
    await services.limits.take("streams", Asker(address_of(request), bearer.subject))
    return json_response(await issue_ticket(services, bearer))


ROUTES = [
    web.post("/api/ticket", ticket),
    web.post("/api/guest/session", guest_session),
    web.post("/api/therapist/session", therapist_session),
    web.post("/api/guest/{command:[a-z_]+}", guest_command),
    web.post("/api/therapist/{command:[a-z_]+}", therapist_command),
]
