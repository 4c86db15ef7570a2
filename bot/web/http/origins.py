"""Which websites may use us, and whose word about addresses counts: asked of every request before any door.

A browser names the website whose page asks. Other programs name none, and an origin is no proof of anything: it keeps
strangers' pages from using a person's browser, and bearer tokens keep out everybody else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import hdrs, web

from bot.errors import Refusal
from bot.web.http.client_address import FORWARDED_FOR
from bot.web.http.exchange import SERVICES
from conversations.replies import N_, REFUSALS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# What answers data or takes commands; pages and files are for everybody, and Socket.IO asks in its own handshake.
GUARDED = ("/api/", "/ws/")
PREFLIGHT = {
    hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST, PUT, DELETE",
    hdrs.ACCESS_CONTROL_ALLOW_HEADERS: "Authorization, Content-Type, Idempotency-Key, Last-Event-ID",
    hdrs.ACCESS_CONTROL_MAX_AGE: "600",
}


def is_welcome(origin: str, host: str, allowed: Sequence[str]) -> bool:
    """Our own pages, whatever the scheme that a router hides from us, and those of the listed websites."""
    return origin in allowed or origin.partition("://")[2] == host


@web.middleware
async def known_origins(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers preflights; raises `forbidden` for the page of a website that is not listed."""
    if request.headers.get(hdrs.ORIGIN) is None or not request.path.startswith(GUARDED):
        return await handler(request)
    if not _is_welcome(request):
        raise Refusal("forbidden", N_("This website may not use our service."))
    if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
        return web.Response(status=204, headers=PREFLIGHT)
    return await handler(request)


async def say_who_is_welcome(request: web.Request, response: web.StreamResponse) -> None:
    """The headers with which a browser lets the page of a listed website read the answer, be it a refusal."""
    if not request.path.startswith(GUARDED):
        return
    response.headers[hdrs.VARY] = hdrs.ORIGIN
    if hdrs.ORIGIN in request.headers and _is_welcome(request):
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = request.headers[hdrs.ORIGIN]
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = hdrs.RETRY_AFTER


def _is_welcome(request: web.Request) -> bool:
    allowed = request.app[SERVICES].settings.welcome_origins
    return is_welcome(request.headers[hdrs.ORIGIN], request.host, allowed)


@web.middleware
async def one_sender(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A router writes one line about who sends; who adds a second one wants to be taken for somebody else."""
    if request.app[SERVICES].settings.trust_proxy and len(request.headers.getall(FORWARDED_FOR, ())) > 1:
        raise Refusal("invalid", REFUSALS["invalid"], fields={FORWARDED_FOR: N_("must be one line")})
    return await handler(request)
