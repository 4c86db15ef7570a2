"""Who asks over HTTP: a bearer token in the header, or a ticket where a browser can set none; what they may read."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bot.identity import Audience, conversation_of, own_feed
from bot.schemas.views import moment
from bot.services import Motion
from bot.store.tickets import Bearer
from bot.web.http.exchange import SERVICES
from bot.web.sessions.answers import refusal

AUDIENCES: tuple[Audience, ...] = ("guest", "therapist")


@dataclass(frozen=True, slots=True)
class Stretch:
    """The part of a feed that somebody may read: from `first` on, and up to `last` where it has ended for them.

    `booking_id` is whose room it is, for a therapist.
    """

    feed: str
    first: int = 1
    last: int | None = None
    booking_id: str | None = None


async def bearer_of(request: web.Request, audience: Audience | None = None, *, with_ticket: bool = False) -> Bearer:
    """Raises `unauthorized` where there is no token, or not one of this audience; tickets open streams only."""
    services = request.app[SERVICES]
    ticket = request.query.get("ticket")
    if ticket and with_ticket:
        bearer = await services.tickets.use(_hash(ticket), services.clock.now())
        bearer = bearer if bearer and await services.access.is_good(bearer) else None
    else:
        bearer = await _bearer_of_header(services, request.headers.get("Authorization", ""))
    if bearer is None or audience not in (None, bearer.audience):
        raise refusal("unauthorized")
    return bearer


async def _bearer_of_header(services: Motion, header: str) -> Bearer | None:
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        return None
    for audience in AUDIENCES:
        bearer = await services.access.bearer_of(audience, token.strip())
        if bearer is not None:
            return bearer
    return None


async def issue_ticket(services: Motion, bearer: Bearer) -> dict[str, Any]:
    ticket = secrets.token_urlsafe(24)
    expires_at = await services.tickets.issue(_hash(ticket), bearer, services.clock.now())
    return {"ok": True, "ticket": ticket, "expires_at": moment(expires_at)}


def _hash(ticket: str) -> str:
    return hashlib.blake2b(ticket.encode(errors="replace"), digest_size=16).hexdigest()


async def stretch_of(services: Motion, bearer: Bearer, feed: str | None) -> Stretch:
    """What they may read of this feed, their own one by default; somebody else's is answered as if it were not."""
    own = own_feed(bearer.audience, bearer.subject)
    if feed in (None, own):
        return Stretch(own)
    if bearer.audience == "therapist" and feed is not None:
        query = {"conversation_id": {"$eq": conversation_of(feed)}, "therapist.id": {"$eq": bearer.subject}}
        for booking in await services.bookings.find(query, limit=1):
            room = await services.rooms.of(booking.id, bearer.subject)
            if room is not None:
                return Stretch(room.feed, room.opens_at, room.closes_at, booking.id)
    raise refusal("not_found")
