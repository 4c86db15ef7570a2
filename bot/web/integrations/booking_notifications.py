"""Booking notifications over HTTP: other systems tell what happened to their bookings, and ask what became of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from bot.integrations.booking_news import BookingNews
from bot.integrations.delivery_desk import DEAD, PREFIX, WAITING, PageQuery
from bot.integrations.incoming import Occurrence
from bot.schemas.parsing import parse, refusal_of
from bot.store.notifications import Status
from bot.web.http.exchange import SERVICES, json_response
from bot.web.integrations.integrators import key_of, once

Handler = Callable[[web.Request], Awaitable[web.Response]]


def _telling(occurrence: Occurrence) -> Handler:
    async def tell(request: web.Request) -> web.Response:
        services = request.app[SERVICES]
        key = await key_of(request, "notifications:send")

        async def do(body: Any) -> dict[str, Any]:
            news = parse(BookingNews, body, region=services.settings.default_region)
            return await services.booking_intake.tell(occurrence, news, key)

        return await once(request, key, do)

    return tell


async def show(request: web.Request) -> web.Response:
    await key_of(request, "notifications:read")
    return json_response(await request.app[SERVICES].delivery_desk.show(request.match_info["id"]))


def _listing(statuses: tuple[Status, ...]) -> Handler:
    async def list_page(request: web.Request) -> web.Response:
        await key_of(request, "notifications:read")
        query = _page_query(request)
        return json_response(await request.app[SERVICES].delivery_desk.page(statuses, query.limit, query.offset))

    return list_page


def _page_query(request: web.Request) -> PageQuery:
    known = {name: value for name, value in request.query.items() if name != "locale"}
    try:
        return PageQuery.model_validate_strings(known)
    except ValidationError as error:
        raise refusal_of(error) from None


async def retry(request: web.Request) -> web.Response:
    key, desk = await key_of(request, "notifications:manage"), request.app[SERVICES].delivery_desk
    return await once(request, key, lambda _: desk.retry(request.match_info["id"]))


async def discard(request: web.Request) -> web.Response:
    key, desk = await key_of(request, "notifications:manage"), request.app[SERVICES].delivery_desk
    return await once(request, key, lambda _: desk.discard(request.match_info["id"]))


async def health(request: web.Request) -> web.Response:
    await key_of(request, "notifications:read")
    return json_response(await request.app[SERVICES].delivery_desk.health())


ROUTES = [
    web.post(f"{PREFIX}/booking-confirmed", _telling("booking-confirmed")),
    web.post(f"{PREFIX}/payment-confirmed", _telling("payment-confirmed")),
    web.post(f"{PREFIX}/booking-cancelled", _telling("booking-cancelled")),
    web.post(f"{PREFIX}/payment-failed", _telling("payment-failed")),
    web.post(f"{PREFIX}/appointment-reminders/schedule", _telling("scheduled")),
    web.get(f"{PREFIX}/notifications/pending", _listing(WAITING)),
    web.get(f"{PREFIX}/notifications/dead", _listing(DEAD)),
    web.get(f"{PREFIX}/notifications/{{id}}/status", show),
    web.post(f"{PREFIX}/notifications/{{id}}/retry", retry),
    web.post(f"{PREFIX}/notifications/{{id}}/discard", discard),
    web.get(f"{PREFIX}/health", health),
]
