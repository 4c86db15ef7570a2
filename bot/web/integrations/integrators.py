"""Other systems at the door: the key that they show, what it may do, and requests that are done once."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import orjson
from aiohttp import web

from bot.access.limits import Asker
from bot.errors import Refusal
from bot.store.api_keys import ApiKey, Scope
from bot.store.idempotency import Answered, Begun, Different, UnderWay
from bot.web.http.exchange import SERVICES, address_of, json_response, raw_body_of
from bot.web.sessions.answers import refusal
from conversations.replies import N_, REFUSALS

HEADER = "Idempotency-Key"
LONGEST_KEY = 255
# Some seconds more than a request may take: who holds the key for longer has died.
LEASE_BEYOND_TIMEOUT_S = 5.0

Answer = dict[str, Any]


async def key_of(request: web.Request, scope: Scope) -> ApiKey:
    """Who asks. Raises `unauthorized` without a key that is good, and `forbidden` that names the missing scope."""
    services = request.app[SERVICES]
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    is_bearer = scheme.lower() == "bearer"
    key = await services.api_keys.recognise(text.strip(), services.clock.now()) if is_bearer else None
    services.limits.spend("desk", Asker(address_of(request), key.id if key else ""))
    if key is None:
        raise refusal("unauthorized")
    if scope not in key.scopes:
        raise Refusal("forbidden", N_("This key may not do that."), fields={"scope": scope})
    return key


async def once(request: web.Request, key: ApiKey, do: Callable[[Any], Awaitable[Answer]]) -> web.Response:
    """`do` with the body; under an `Idempotency-Key` it is done once, and answered with the first answer again."""
    body = await raw_body_of(request) if request.can_read_body else None
    async with asyncio.timeout(request.app[SERVICES].settings.command_timeout_s):
        name = request.headers.get(HEADER)
        if name is None:
            return json_response(await do(body))
        begun = await _begin(request, key, name, body)
        if isinstance(begun, Answered):
            return json_response(begun.body, begun.status)
        return json_response(await _do(request, begun, lambda: do(body)))


async def _begin(request: web.Request, key: ApiKey, name: str, body: Any) -> Begun | Answered:
    services = request.app[SERVICES]
    if not (0 < len(name) <= LONGEST_KEY and name.isascii() and name.isprintable()):
        raise Refusal("invalid", REFUSALS["invalid"], fields={HEADER: N_("is not valid")})
    said = hashlib.sha256(request.path.encode() + b"\n" + await _said(request, body)).hexdigest()
    lease = timedelta(seconds=services.settings.command_timeout_s + LEASE_BEYOND_TIMEOUT_S)
    begun = await services.idempotency.begin(f"{key.id}:{name}", said, services.clock.now(), lease)
    if isinstance(begun, Different):
        raise Refusal("invalid", REFUSALS["invalid"], fields={HEADER: N_("was used for something else")})
    if isinstance(begun, UnderWay):
        wait_s = max(1, math.ceil(begun.seconds_left))
        raise Refusal("not_now", N_("The same request is still being answered."), retry_after_s=wait_s)
    return begun


async def _said(request: web.Request, body: Any) -> bytes:
    """What tells whether two bodies say the same: in whatever order, unless they are too deep to be written again."""
    try:
        return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return await request.read()


async def _do(request: web.Request, begun: Begun, do: Callable[[], Awaitable[Answer]]) -> Answer:
    """What was refused or failed has left nothing behind that could be answered again."""
    requests = request.app[SERVICES].idempotency
    try:
        answer = await do()
    except Exception:
        await requests.give_up(begun)
        raise
    await requests.finish(begun, 200, answer)
    return answer
