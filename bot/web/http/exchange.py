"""HTTP for apps and pages: the catalogue, the therapists, signing in, and how the program is doing."""

from __future__ import annotations

import codecs
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, TypeVar

import orjson
import structlog
from aiohttp import web
from pydantic import ValidationError

from bot.access.limits import Asker
from bot.errors import Refusal
from bot.logs.failures import is_outage, why
from bot.providers.gazetteer import gazetteer
from bot.schemas.fields import Payload
from bot.schemas.parsing import parse, refusal_of
from bot.schemas.requests import PlacesQuery, SignIn, SignInConfirm, TherapistsQuery
from bot.schemas.shapes import ShownTherapist
from bot.schemas.views import error_view, known_distance_view, moment, service_view, therapist_view
from bot.services import Services
from bot.settings.settings import DEMO_PHONE
from bot.store.therapists import TherapistRecord
from bot.web.http.client_address import client_address
from bot.web.http.sign_in import SigningIn
from bot.web.sessions.situations import situation_of
from bot.words import LOCALES, negotiate
from conversations.replies import N_
from conversations.values import Locale
from matching.geography import distance_km, on_grid

log = structlog.get_logger()

LARGEST_BODY = 64 * 1024
SHOWN_THERAPISTS = 24
HANDSHAKE = ("Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key", "Sec-WebSocket-Protocol")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
P = TypeVar("P", bound=Payload)

SERVICES: web.AppKey[Services] = web.AppKey("services", Services)


def json_response(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(body=orjson.dumps(data), status=status, content_type="application/json", headers=headers)


def locale_of(request: web.Request) -> Locale:
    """`?locale=` first, then what the browser prefers."""
    default = request.app[SERVICES].settings.default_locale
    return negotiate(request.query.get("locale"), request.headers.get("Accept-Language"), default)


def address_of(request: web.Request) -> str:
    return client_address(request, trust_proxy=request.app[SERVICES].settings.trust_proxy)


async def body_of(request: web.Request, model: type[P]) -> P:
    """The body as a payload; raises `Refusal` that names what is wrong with it."""
    return parse(model, await raw_body_of(request), region=request.app[SERVICES].settings.default_region)


async def raw_body_of(request: web.Request) -> Any:
    """The body's JSON, with or without a byte order mark (RFC 8259, section 8.1); what is not JSON is invalid.

    Nothing walks into what a model does not know, so depth needs no limit besides the parser's own.
    """
    try:
        return orjson.loads((await request.read()).removeprefix(codecs.BOM_UTF8))
    except (orjson.JSONDecodeError, web.RequestPayloadError):
        raise Refusal("invalid", N_("The body is not JSON."), fields={"": N_("is not JSON")}) from None


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error of an API route has the shape of the contract, in the language of who asked."""
    try:
        _check_handshake(request)
        _check_is_not_packed(request)
        return await handler(request)
    except web.HTTPException as error:
        if not request.path.startswith("/api/"):
            raise
        return _refused(request, _refusal_of_http(error))
    except Exception as error:
        if not isinstance(error, Refusal):
            _note(request, error)
        return _refused(request, situation_of(error))


def _note(request: web.Request, error: Exception) -> None:
    """Nobody is told `unavailable` without a number and a line that say so."""
    route = _route_of(request) or "unknown"
    request.app[SERVICES].failed_requests[route] += 1
    if is_outage(error):
        log.warning("a request met an outage", route=route, why=why(error))
    else:
        log.exception("a request failed", route=route)


def _route_of(request: web.Request) -> str | None:
    """The pattern that the path fits; the path itself is whatever somebody wrote."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else None


def _check_handshake(request: web.Request) -> None:
    """aiohttp repeats what is wrong in a handshake, and fails where that is no text (3.14.5)."""
    for name in HANDSHAKE:
        try:
            request.headers.get(name, "").encode()
        except UnicodeEncodeError:
            raise web.HTTPBadRequest from None


def _check_is_not_packed(request: web.Request) -> None:
    """Fifty megabytes are packed into fifty kilobytes, and are unpacked before any limit is asked."""
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise web.HTTPUnsupportedMediaType


def _refusal_of_http(error: web.HTTPException) -> Refusal:
    if error.status == 415:
        return Refusal("invalid", N_("Please send it without a Content-Encoding."), status=415)
    if error.status == 413:
        return Refusal("too_large", N_("This is too long."))
    if error.status in (404, 405):
        return Refusal("not_found", N_("We can't find that."))
    return Refusal("invalid", N_("Please check what you entered."))


def _refused(request: web.Request, refusal: Refusal) -> web.Response:
    error = error_view(request.app[SERVICES].words, refusal, locale_of(request))
    retry_after_s = refusal.retry_after_s
    headers = {"Retry-After": str(max(1, math.ceil(retry_after_s)))} if retry_after_s is not None else None
    return json_response({"error": error}, refusal.status, headers)


async def list_services(request: web.Request) -> web.Response:
    services, locale = request.app[SERVICES], locale_of(request)
    menu = [service_view(services.words, each, locale) for each in await services.catalogue.all()]
    return json_response({"services": menu, "server_time": moment(services.clock.now())})


async def list_therapists(request: web.Request) -> web.Response:
    """The nearest therapists, available ones first; without a position those around the map's default.

    Where they are is rounded to a grid before it is measured: nobody finds a therapist by asking from three corners.
    """
    services, locale = request.app[SERVICES], locale_of(request)
    query = _query_of(request, TherapistsQuery)
    north, east = services.settings.map_center
    latitude = north if query.latitude is None else query.latitude
    longitude = east if query.longitude is None else query.longitude
    nearest = await services.therapists.nearest(latitude, longitude, limit=SHOWN_THERAPISTS, duration=query.duration)
    away_km = {each.id: _coarse_distance_km(latitude, longitude, each) for each in nearest}
    # The exact order would tell more than the distances that are shown.
    nearest.sort(key=lambda each: (not each.is_available, away_km[each.id], each.id))
    shown: list[ShownTherapist] = [
        {
            **therapist_view(services.words, therapist, locale),
            "available": therapist.is_available,
            **known_distance_view(services.words, away_km[therapist.id], locale),
            "durations": list(therapist.durations),
        }
        for therapist in nearest
    ]
    return json_response({"therapists": shown, "server_time": moment(services.clock.now())})


def _coarse_distance_km(latitude: float, longitude: float, therapist: TherapistRecord) -> float:
    """Whole kilometres, at least one, to the therapist's place on a grid of about a kilometre.

    Anybody may ask, for any position: with exact distances from three of them they would stand at the door.
    """
    away_km = distance_km(latitude, longitude, *on_grid(therapist.latitude, therapist.longitude))
    return max(1.0, float(round(away_km)))


def _query_of(request: web.Request, model: type[P]) -> P:
    known = {name: value for name, value in request.query.items() if name != "locale"}
    try:
        return model.model_validate_strings(known)
    except ValidationError as error:
        raise refusal_of(error) from None


async def sign_in(request: web.Request) -> web.Response:
    payload = await body_of(request, SignIn)
    return json_response(await SigningIn(request.app[SERVICES]).send_code(payload.phone, address_of(request)))


async def confirm_sign_in(request: web.Request) -> web.Response:
    payload = await body_of(request, SignInConfirm)
    signing_in = SigningIn(request.app[SERVICES])
    return json_response(await signing_in.confirm(payload.phone, payload.code, address_of(request)))


async def words(request: web.Request) -> web.Response:
    """The catalog of a language for the pages: English sentence to translation."""
    wanted = request.match_info["locale"]
    locale = next((each for each in LOCALES if each == wanted), None)
    if locale is None:
        raise web.HTTPNotFound
    # The widget asks from whatever website it stands on.
    headers = {"Cache-Control": "max-age=300", "Access-Control-Allow-Origin": "*"}
    return json_response(request.app[SERVICES].words.catalog(locale), headers=headers)


async def client_settings(request: web.Request) -> web.Response:
    settings = request.app[SERVICES].settings
    latitude, longitude = settings.map_center
    return json_response(
        {
            "locale_default": settings.default_locale,
            "locales": list(LOCALES),
            "demo": settings.demo,
            "fallback_after_s": settings.fallback_after_s,
            "patience": asdict(settings.rhythms.pages),
            "app_store_url": settings.app_store_url,
            "play_store_url": settings.play_store_url,
            "demo_therapist_phone": DEMO_PHONE if settings.demo else None,
            "map_default": {"latitude": latitude, "longitude": longitude, "address": settings.map_address},
        }
    )


async def list_places(request: web.Request) -> web.Response:
    """The places that a text names, the likeliest first: a point that a guest may confirm."""
    services = request.app[SERVICES]
    services.limits.spend("commands", Asker(address_of(request)))
    query = _query_of(request, PlacesQuery)
    found = [
        {"name": each.name, "region": each.region, "latitude": each.latitude, "longitude": each.longitude}
        for each in gazetteer().find(query.q)
    ]
    return json_response({"places": found})


ROUTES = [
    web.get("/api/services", list_services),
    web.get("/api/therapists", list_therapists),
    web.get("/api/places", list_places),
    web.post("/api/therapist/sign-in", sign_in),
    web.post("/api/therapist/sign-in/confirm", confirm_sign_in),
    web.get("/api/client-settings", client_settings),
    web.get("/words/{locale}.json", words),
]
