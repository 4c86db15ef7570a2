"""What each route of HTTP is for: one row for every route that the router has, commands besides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

from bot import __version__
from bot.contract import answers, story
from bot.contract.booking_notifications import DESK_OPERATIONS
from bot.contract.operation import Key, Operation
from bot.contract.story import Story
from bot.schemas.command import Done
from bot.schemas.guest import GuestConnect
from bot.schemas.requests import (
    ChosenPreferences,
    FcmDevice,
    FcmTokenGone,
    PlacesQuery,
    SignIn,
    SignInConfirm,
    StreamQuery,
    TherapistsQuery,
    WebPushEndpointGone,
    WebPushSubscription,
)
from bot.schemas.therapist import TherapistConnect
from bot.schemas.views import moment
from bot.settings.rhythms import PEOPLE
from bot.settings.settings import JAKARTA

_STREAM = {"security": "ticket", "query": StreamQuery, "codes": ("invalid", "unauthorized", "not_found")}
_PAGE = {"tag": "pages", "is_api": False, "media": "text/html"}
_SOCKET_IO = {"tag": "realtime", "is_api": False, "media": "text/plain"}
_PREFERENCES = {"ok": True, "off": ["reminder"], "quiet_hours": {"begins": "22:00", "ends": "07:00"}}
_SIGN_IN_PHONE = {"phone": "0812-3456-7890"}


def _session_of_guest(tale: Story) -> dict[str, Any]:
    return {"ok": True, **tale.session_of_guest}


def _session_of_therapist(tale: Story) -> dict[str, Any]:
    return {"ok": True, **tale.session_of_therapist}


OPERATIONS: Mapping[Key, Operation] = {
    ("GET", "/api/services"): Operation(
        "list_services",
        "The menu with its prices.",
        "catalogue",
        answers.Menu,
        example=lambda tale: tale.menu,
    ),
    ("GET", "/api/therapists"): Operation(
        "list_therapists",
        "The nearest therapists, those who are available first.",
        "catalogue",
        answers.NearbyTherapists,
        query=TherapistsQuery,
        codes=("invalid",),
        example=lambda tale: tale.therapists,
    ),
    ("GET", "/api/places"): Operation(
        "list_places",
        "The places that an address names, for a guest to confirm where they are.",
        "catalogue",
        answers.FoundPlaces,
        query=PlacesQuery,
        codes=("invalid", "too_many_requests"),
        example={"places": [{"name": "Kuta", "region": "Bali", "latitude": -8.72332, "longitude": 115.17234}]},
    ),
    ("GET", "/api/client-settings"): Operation(
        "client_settings",
        "What pages must know before they can begin.",
        "catalogue",
        answers.ClientSettings,
        example={
            "locale_default": "id",
            "locales": ["en", "id"],
            "demo": False,
            "demo_therapist_phone": None,
            "app_store_url": None,
            "play_store_url": "https://play.google.com/store/apps/details?id=com.example.janji",
            "map_default": {"latitude": JAKARTA[0], "longitude": JAKARTA[1], "address": ""},
            "fallback_after_s": 10.0,
            "patience": asdict(PEOPLE.pages),
        },
    ),
    ("GET", "/words/{locale}.json"): Operation(
        "words",
        "The translations of a language, for the pages.",
        "catalogue",
        answers.Words,
        is_api=False,
        example={"Search again": "Cari lagi"},
    ),
    ("POST", "/api/therapist/sign-in"): Operation(
        "send_code",
        "Have a code of six digits sent to a therapist's phone.",
        "signing in",
        answers.CodeSent,
        body=SignIn,
        codes=("invalid", "too_many_requests"),
        request=_SIGN_IN_PHONE,
        example={"ok": True, "expires_at": moment(story.NOW), "demo_code": None},
    ),
    ("POST", "/api/therapist/sign-in/confirm"): Operation(
        "confirm_code",
        "Give the code, and get the token.",
        "signing in",
        answers.SignedIn,
        body=SignInConfirm,
        codes=("invalid", "unauthorized"),
        request={**_SIGN_IN_PHONE, "code": "123456"},
        example={
            "ok": True,
            "token": story.TOKEN,
            "therapist": {"id": story.THERAPIST_ID, "name": story.SARI.name, "photo": story.SARI.photo},
        },
    ),
    ("POST", "/api/guest/session"): Operation(
        "guest_session",
        "Come in as a guest, as the namespace `/guest` has it; without a token a new conversation begins.",
        "sessions",
        answers.GuestSessionAnswer,
        body=GuestConnect,
        codes=("invalid",),
        request={"locale": "en", "timezone": "Asia/Jakarta"},
        example=_session_of_guest,
    ),
    ("POST", "/api/therapist/session"): Operation(
        "therapist_session",
        "Come in as a therapist, as the namespace `/therapist` has it.",
        "sessions",
        answers.TherapistSessionAnswer,
        body=TherapistConnect,
        codes=("invalid", "unauthorized"),
        request={"token": story.TOKEN, "locale": "en"},
        example=_session_of_therapist,
    ),
    ("POST", "/api/ticket"): Operation(
        "ticket",
        "A ticket to open one stream with, for browsers that cannot set a header there: one use, thirty seconds.",
        "sessions",
        answers.Ticket,
        security="anybody_known",
        codes=("unauthorized",),
        example={"ok": True, "ticket": "pYx3-kQ0r1sV9mZ2cT7w", "expires_at": moment(story.NOW)},
    ),
    ("POST", "/api/users/fcm-token"): Operation(
        "keep_fcm_token",
        "Be reached by Firebase on this device; a token that somebody else had is the caller's from now on.",
        "devices",
        Done,
        security="anybody_known",
        body=FcmDevice,
        codes=("invalid", "unauthorized", "too_many_requests"),
        request={"token": story.FCM_TOKEN, "platform": "android"},
        example={"ok": True},
    ),
    ("DELETE", "/api/users/fcm-token"): Operation(
        "remove_fcm_token",
        "Be reached on this device no more.",
        "devices",
        Done,
        security="anybody_known",
        body=FcmTokenGone,
        codes=("invalid", "unauthorized", "too_many_requests"),
        request={"token": story.FCM_TOKEN},
        example={"ok": True},
    ),
    ("POST", "/api/users/webpush-subscription"): Operation(
        "keep_webpush_subscription",
        "Be reached by Web Push in this browser: what `PushSubscription.toJSON()` gives.",
        "devices",
        Done,
        security="anybody_known",
        body=WebPushSubscription,
        codes=("invalid", "unauthorized", "too_many_requests"),
        request=story.SUBSCRIPTION,
        example={"ok": True},
    ),
    ("DELETE", "/api/users/webpush-subscription"): Operation(
        "remove_webpush_subscription",
        "Be reached in this browser no more.",
        "devices",
        Done,
        security="anybody_known",
        body=WebPushEndpointGone,
        codes=("invalid", "unauthorized", "too_many_requests"),
        request={"endpoint": story.SUBSCRIPTION["endpoint"]},
        example={"ok": True},
    ),
    ("GET", "/api/users/webpush-key"): Operation(
        "webpush_key",
        "The key that a browser subscribes to Web Push with; `not_found` where none is configured.",
        "devices",
        answers.WebPushKey,
        codes=("not_found",),
        example={"ok": True, "key": story.SUBSCRIPTION["keys"]["p256dh"]},
    ),
    ("POST", "/api/test-notification"): Operation(
        "test_notification",
        "Have a notification written to the caller's own feed, as any other comes.",
        "devices",
        answers.Tried,
        security="anybody_known",
        codes=("unauthorized", "too_many_requests"),
        example={"ok": True, "devices": 1},
    ),
    ("GET", "/api/poll/bookings"): Operation(
        "poll",
        "Long poll: what comes after `since`, at once where there is something, or as soon as there is.",
        "realtime",
        answers.PageOfGuest | answers.PageOfTherapist,
        example=lambda tale: tale.page("guest"),
        **_STREAM,  # type: ignore[arg-type]
    ),
    ("GET", "/api/sse/bookings"): Operation(
        "events",
        "Server-sent events; what they say stands in the AsyncAPI document. `Last-Event-ID` counts more than `since`.",
        "realtime",
        media="text/event-stream",
        **_STREAM,  # type: ignore[arg-type]
    ),
    **{
        ("GET", path): Operation(
            name,
            "A plain WebSocket; what it carries stands in the AsyncAPI document.",
            "realtime",
            status=101,
            media="",
            **_STREAM,  # type: ignore[arg-type]
        )
        for path, name in (("/ws/bookings", "websocket"), ("/api/bookings/realtime", "realtime"))
    },
    **DESK_OPERATIONS,
    ("GET", "/api/users/preferences"): Operation(
        "preferences",
        "What the caller does not want to be told, and when they sleep.",
        "notifications",
        answers.ChosenPreferences,
        security="anybody_known",
        codes=("unauthorized", "too_many_requests"),
        example=_PREFERENCES,
    ),
    ("PUT", "/api/users/preferences"): Operation(
        "choose_preferences",
        "Choose anew: what is left out is wanted. What a visit needs is told all the same.",
        "notifications",
        answers.ChosenPreferences,
        security="anybody_known",
        body=ChosenPreferences,
        codes=("invalid", "unauthorized", "too_many_requests"),
        request={"off": ["reminder"], "quiet_hours": {"begins": "22:00", "ends": "07:00"}},
        example=_PREFERENCES,
    ),
    ("GET", "/health/live"): Operation(
        "live", "Whether the process lives.", "operations", answers.Alive, is_api=False, example={"status": "ok"}
    ),
    ("GET", "/health/ready"): Operation(
        "ready",
        "Whether the process can take commands; 503 while MongoDB does not answer or the process stops.",
        "operations",
        answers.Readiness,
        is_api=False,
        also={503: answers.Readiness},
        example={
            "status": "ok",
            "checks": {"mongodb": "ok", "redis": "away"},
            "away_since": {"redis": moment(story.NOW)},
        },
    ),
    ("GET", "/api/status"): Operation(
        "status",
        "Whether bookings and messages are going on, part by part, in words too.",
        "operations",
        answers.Status,
        example={
            "state": "degraded",
            "title": "Some things are slower than usual",
            "text": "Bookings and messages are going on. What is slow catches up by itself.",
            "parts": [
                {
                    "name": "redis",
                    "state": "away",
                    "label": "Live delivery",
                    "state_text": "Away",
                    "text": "Away for 5 minutes: what is written arrives up to two seconds later.",
                    "age_s": 312.4,
                }
            ],
            "version": __version__,
            "commit": None,
            "uptime_s": 86_400,
            "as_of_text": "As of Tuesday, 1 December 2026, 10:00 WIB",
            "server_time": moment(story.NOW),
        },
    ),
    ("GET", "/metrics"): Operation(
        "metrics",
        "The numbers of the process that answers, for Prometheus; 404 where no token for it is set.",
        "operations",
        media="text/plain",
        security="collector",
        codes=("unauthorized",),
        is_api=False,
    ),
    ("GET", "/openapi.json"): Operation(
        "openapi", "This document.", "documents", answers.Document, is_api=False, example={"openapi": "3.1.0"}
    ),
    ("GET", "/asyncapi.json"): Operation(
        "asyncapi",
        "What the realtime transports carry.",
        "documents",
        answers.Document,
        is_api=False,
        example={"asyncapi": "3.0.0"},
    ),
    ("GET", "/"): Operation("shop", "A shop with the three places to book from.", **_PAGE),  # type: ignore[arg-type]
    ("GET", "/chat"): Operation("chat", "The guest's chat.", **_PAGE),  # type: ignore[arg-type]
    ("GET", "/therapist"): Operation("console", "The therapist's console.", **_PAGE),  # type: ignore[arg-type]
    ("GET", "/status"): Operation("status_page", "What `/api/status` says, as a page.", **_PAGE),  # type: ignore[arg-type]
    ("GET", "/unsubscribe"): Operation("unsubscribe_page", "Asks who opens the link in a mail.", **_PAGE),  # type: ignore[arg-type]
    ("POST", "/unsubscribe"): Operation("unsubscribe", "Ends mails to the address of the link.", **_PAGE),  # type: ignore[arg-type]
    ("GET", "/vendor/{name}"): Operation(
        "vendor_file", "A file of the official Socket.IO client.", "pages", media="text/javascript", is_api=False
    ),
    ("GET", "/{name}"): Operation(
        "file", "A file of the pages: scripts, styles, pictures.", "pages", media="*/*", is_api=False
    ),
    ("GET", "/socket.io/"): Operation(
        "socket_io_handshake",
        "Engine.IO 4, for any official Socket.IO client of version 4, over WebSocket.",
        "realtime",
        status=101,
        media="",
        is_api=False,
    ),
    ("POST", "/socket.io/"): Operation(
        "socket_io_polling",
        "Engine.IO's own polling, refused with 400 unless it is switched on.",
        status=400,
        **_SOCKET_IO,  # type: ignore[arg-type]
    ),
    ("OPTIONS", "/socket.io/"): Operation(
        "socket_io_preflight",
        "What a browser asks first on another website's page.",
        **_SOCKET_IO,  # type: ignore[arg-type]
    ),
}
# The routes that take every command by its name; each is a path of its own in the document.
COMMAND_ROUTES: Mapping[Key, Literal["guest", "therapist"]] = {
    ("POST", "/api/guest/{command}"): "guest",
    ("POST", "/api/therapist/{command}"): "therapist",
}
# What any route of the API may answer.
CODES_EVERYWHERE = ("unavailable",)
CODES_WITH_A_BODY = ("too_large",)
