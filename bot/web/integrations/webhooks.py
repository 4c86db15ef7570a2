"""Webhooks that come in: checked on the very bytes that were signed, kept in the inbox, answered, then worked off.

What is not signed right leaves nothing behind but a count. A sender whose secret is not set is answered that there is
nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bot.access.limits import Asker
from bot.errors import Refusal
from bot.integrations.booking_news import WizardEvent, as_json
from bot.integrations.delivery_desk import PREFIX
from bot.integrations.incoming import PAYMENT_EVENTS, STRIPE, WIZARD, payment_of
from bot.integrations.signatures import is_signed_by_standard, is_signed_by_stripe
from bot.schemas.parsing import parse
from bot.store.codec import to_document
from bot.web.http.exchange import SERVICES, address_of, json_response, raw_body_of
from conversations.replies import N_, REFUSALS

LONGEST_ID = 200


async def stripe(request: web.Request) -> web.Response:
    """https://docs.stripe.com/webhooks: events of PaymentIntents whose `metadata.booking_id` names a booking."""
    services = request.app[SERVICES]
    secret = secret_or_refuse(services.settings.stripe_webhook_secret)
    header, body = request.headers.get("Stripe-Signature", ""), await request.read()
    if not is_signed_by_stripe(header, body, secret, services.clock.now()):
        raise not_signed(request, STRIPE)
    event = await raw_body_of(request)
    is_about_money = isinstance(event, Mapping) and event.get("type") in PAYMENT_EVENTS
    payment = payment_of(event) if is_about_money else None
    if payment is not None:
        await keep(request, STRIPE, event.get("id"), str(event["type"]), to_document(payment))
    return json_response({"ok": True})


async def booking_wizard(request: web.Request) -> web.Response:
    """Signed as Standard Webhooks say; the event's id is its `webhook-id`."""
    services = request.app[SERVICES]
    secret = secret_or_refuse(services.settings.booking_wizard_secret)
    if not is_signed_by_standard(request.headers, await request.read(), secret, services.clock.now()):
        raise not_signed(request, WIZARD)
    event = parse(WizardEvent, await raw_body_of(request), region=services.settings.default_region)
    await keep(request, WIZARD, request.headers["webhook-id"], event.type, dict(as_json(event)))
    return json_response({"ok": True})


def secret_or_refuse(secret: str | None) -> str:
    if secret is None:
        raise Refusal("not_found", REFUSALS["not_found"])
    return secret


def not_signed(request: web.Request, sender: str) -> Refusal:
    """Who goes on guessing is slowed down."""
    services = request.app[SERVICES]
    services.unsigned_webhooks[sender] += 1
    services.limits.spend("desk", Asker(address_of(request)))
    return Refusal("forbidden", N_("The signature is not right."))


async def keep(request: web.Request, sender: str, event_id: Any, kind: str, body: dict[str, Any]) -> None:
    """Durable before it is answered; what came before is answered as it was then."""
    services = request.app[SERVICES]
    if not isinstance(event_id, str) or not 0 < len(event_id) <= LONGEST_ID or not event_id.isprintable():
        raise Refusal("invalid", REFUSALS["invalid"], fields={"id": N_("is not valid")})
    inbox_id = await services.inbox.keep(sender, event_id, kind, body, services.clock.now())
    if inbox_id is not None:
        services.spawn(services.inbox_work.work_off(inbox_id))


WEBHOOKS = f"{PREFIX}/webhooks"
ROUTES = [
    web.post(f"{WEBHOOKS}/stripe", stripe),
    web.post(f"{WEBHOOKS}/booking-wizard", booking_wizard),
]
