"""The devices of guests and therapists over HTTP: where they can be reached, and a word to try it with."""

from __future__ import annotations

from aiohttp import web

from bot.access.limits import Asker
from bot.errors import Refusal
from bot.identity import key_of, new_id, own_feed
from bot.schemas.requests import FcmDevice, FcmTokenGone, WebPushEndpointGone, WebPushSubscription
from bot.schemas.webpush import is_known_service
from bot.settings.vapid import public_key_of
from bot.store.devices import Device, device_id, fcm_device, webpush_device
from bot.store.tickets import Bearer
from bot.web.http.bearers import bearer_of
from bot.web.http.exchange import SERVICES, address_of, body_of, json_response, locale_of
from bot.web.sessions.answers import refusal
from conversations.replies import N_, REFUSALS

TEST_NOTIFICATION = {"kind": "test", "params": {}, "sound": "booking-success", "urgency": "normal"}
SIDES = {"guest": "customer", "therapist": "therapist"}


async def _caller(request: web.Request) -> Bearer:
    """Who asks, counted like anybody with a command."""
    bearer = await bearer_of(request)
    request.app[SERVICES].limits.spend("commands", Asker(address_of(request), bearer.subject))
    return bearer


def _person_of(bearer: Bearer) -> str:
    return key_of(bearer.audience, bearer.subject)


async def _keep(request: web.Request, device: Device) -> web.Response:
    services = request.app[SERVICES]
    await services.devices.keep(device, services.clock.now())
    return json_response({"ok": True})


async def keep_fcm_token(request: web.Request) -> web.Response:
    bearer = await _caller(request)
    payload = await body_of(request, FcmDevice)
    return await _keep(request, fcm_device(_person_of(bearer), payload.token, locale_of(request)))


async def keep_webpush_subscription(request: web.Request) -> web.Response:
    bearer = await _caller(request)
    payload = await body_of(request, WebPushSubscription)
    if not is_known_service(payload.endpoint, request.app[SERVICES].settings.push_services):
        raise Refusal(
            "invalid", REFUSALS["invalid"], fields={"endpoint": N_("is not an address of a push service we know")}
        )
    subscription = {"endpoint": payload.endpoint, "keys": payload.keys.model_dump()}
    return await _keep(request, webpush_device(_person_of(bearer), subscription, locale_of(request)))


async def remove_fcm_token(request: web.Request) -> web.Response:
    """One that is somebody else's, or nobody's, is answered alike: it is not the caller's any more."""
    bearer = await _caller(request)
    payload = await body_of(request, FcmTokenGone)
    return await _remove(request, bearer, device_id("fcm", payload.token))


async def remove_webpush_subscription(request: web.Request) -> web.Response:
    bearer = await _caller(request)
    payload = await body_of(request, WebPushEndpointGone)
    return await _remove(request, bearer, device_id("webpush", payload.endpoint))


async def _remove(request: web.Request, bearer: Bearer, id_: str) -> web.Response:
    await request.app[SERVICES].devices.remove(id_, person_id=_person_of(bearer))
    return json_response({"ok": True})


async def webpush_key(request: web.Request) -> web.Response:
    private_key = request.app[SERVICES].settings.vapid_private_key
    if private_key is None:
        raise refusal("not_found")
    return json_response({"ok": True, "key": public_key_of(private_key)})


async def test_notification(request: web.Request) -> web.Response:
    """An entry on the caller's own feed, at once; how many devices hear of real ones while no page is open."""
    bearer = await _caller(request)
    services = request.app[SERVICES]
    data = {**TEST_NOTIFICATION, "side": SIDES[bearer.audience]}
    await services.feeds.append(own_feed(bearer.audience, bearer.subject), new_id("e"), "notification", data)
    return json_response({"ok": True, "devices": len(await services.devices.of(_person_of(bearer)))})


ROUTES = [
    web.post("/api/users/fcm-token", keep_fcm_token),
    web.delete("/api/users/fcm-token", remove_fcm_token),
    web.post("/api/users/webpush-subscription", keep_webpush_subscription),
    web.delete("/api/users/webpush-subscription", remove_webpush_subscription),
    web.get("/api/users/webpush-key", webpush_key),
    web.post("/api/test-notification", test_notification),
]
