"""Booking notifications in the documents: their routes, what they take and what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field

from bot.contract import answers, story
from bot.contract.operation import Key, Operation
from bot.contract.shapes import Sent
from bot.integrations.booking_news import BookingNews, WizardEvent
from bot.integrations.delivery_desk import PREFIX, PageQuery
from bot.schemas.command import Done
from bot.schemas.shapes import Moment
from bot.schemas.views import moment
from conversations.notices import Channel, Side, Urgency

_EXAMPLE_ID = "n_5f0c7d1e9a3b2468d0f1a2b3"
_WAITING_ID = f"{PREFIX}/notifications/{{id}}"


class NotificationReason(Sent):
    """Something that happened to a notification."""

    at: Moment
    what: str
    """A word of ours: `moved`, `too_late`, `begun`, `retried`, …"""
    code: str | None
    """The provider's own, where there is one."""


class Notification(Sent):
    """One thing that one person is told on one channel, and what became of it; never whom it goes to."""

    id: str
    booking_id: str
    revision: int
    """Of the booking: one that is moved gets a new one, and what was planned for those before is skipped."""
    kind: str
    """`booking_confirmed`, `reminder_24h`, …"""
    side: Side
    channel: Channel
    urgency: Urgency
    status: Literal["pending", "sending", "sent", "delivered", "skipped", "dead"]
    due_at: Moment
    next_at: Moment | None
    """When it is looked at again; null where it is done with."""
    sent_at: Moment | None
    attempts: int
    reason: str | None
    """The last of the reasons."""
    reasons: list[NotificationReason]
    provider_status: str | None
    """What the provider said last: `queued`, `sent`, `delivered`, `undelivered` or `failed`."""
    instead_of: str | None
    """The notification whose channel reached nobody."""


class UnreachableBy(Sent):
    """A channel on which nothing can be told, since a field is missing or wrong."""

    channel: Channel
    field: str
    reason: str


class Planned(answers.Ok):
    """What the people of a booking are told of it as it stands now."""

    booking_id: str
    """The sender's own."""
    id: str
    """Ours; `metadata.booking_id` of a payment may be either."""
    revision: int
    notifications: list[Notification]
    unreachable: list[UnreachableBy]
    server_time: Moment


class NotificationPage(Sent):
    """A part of a list, what was due first in front."""

    notifications: list[Notification]
    total: Annotated[int, Field(ge=0)]
    limit: int
    offset: int
    server_time: Moment


class ProviderHealth(Sent):
    """A provider by which notifications leave."""

    name: Literal["email", "sms", "fcm", "web_push"]
    state: Literal["not_set", "working", "failing", "resting"]
    """`resting`: it failed too often in a row, and what waits for it is not tried before `again_at`."""
    since: Moment | None
    """Since when it rests, however often it was tried between."""
    again_at: Moment | None
    code: str | None
    """The provider's own, of the last failure."""


class InboxCounts(Sent):
    """Events that webhooks have brought: those that wait, and those that lead to nothing."""

    pending: int
    dead: int


class DeskHealth(Sent):
    """Whether notifications go out."""

    channels: list[ProviderHealth]
    pending: int
    dead: int
    oldest_due_at: Moment | None
    """Since when the one waits that should have been looked at first; null where nothing is late."""
    inbox: InboxCounts
    server_time: Moment


_SEED: Mapping[str, Any] = {
    "booking_id": "3f2b8c0d-4e1a-4957-9b8d-2f4a6c1e3075",
    "customer_name": "Budi Santoso",
    "customer_phone": "+1234567890",
    "barbershop_name": "Fade Street",
    "barber_name": "Sam",
    "service_name": "Haircut",
    "appointment_date": "2099-12-01T10:00:00Z",
    "appointment_duration": 60,
    "total_price": 25.00,
    "booking_status": "confirmed",
}
_NEWS: Mapping[str, Any] = {**_SEED, "customer_email": "budi@example.com", "currency": "USD", "locale": "en"}
_NOTIFICATION: Mapping[str, Any] = {
    "id": _EXAMPLE_ID,
    "booking_id": "x_0a1b2c3d4e5f60718293a4b5",
    "revision": 1,
    "kind": "booking_confirmed",
    "side": "customer",
    "channel": "email",
    "urgency": "normal",
    "status": "pending",
    "due_at": moment(story.NOW),
    "next_at": moment(story.NOW),
    "sent_at": None,
    "attempts": 0,
    "reason": None,
    "reasons": [],
    "provider_status": None,
    "instead_of": None,
}
_PLANNED: Mapping[str, Any] = {
    "ok": True,
    "booking_id": _SEED["booking_id"],
    "id": _NOTIFICATION["booking_id"],
    "revision": 1,
    "notifications": [_NOTIFICATION],
    "unreachable": [{"channel": "sms", "field": "customer_phone", "reason": "is not a complete phone number"}],
    "server_time": moment(story.NOW),
}
_PAGE: Mapping[str, Any] = {
    "notifications": [_NOTIFICATION],
    "total": 1,
    "limit": 50,
    "offset": 0,
    "server_time": moment(story.NOW),
}
_KEY_CODES = ("unauthorized", "forbidden", "too_many_requests")
_RETRIED: Mapping[str, Any] = {
    **_NOTIFICATION,
    "reason": "retried",
    "reasons": [{"at": moment(story.NOW), "what": "retried", "code": None}],
}
_DISCARDED: Mapping[str, Any] = {
    **_NOTIFICATION,
    "status": "skipped",
    "next_at": None,
    "reason": "discarded",
    "reasons": [{"at": moment(story.NOW), "what": "discarded", "code": None}],
}


def _telling(name: str, summary: str, **more: Any) -> Operation:
    return Operation(
        name,
        summary,
        "notifications",
        Planned,
        security="integrator",
        body=BookingNews,
        codes=("invalid", "not_found", "not_now", *_KEY_CODES),
        request={**_NEWS, **more},
        example=_PLANNED,
    )


def _listing(name: str, summary: str) -> Operation:
    return Operation(
        name,
        summary,
        "notifications",
        NotificationPage,
        security="integrator",
        query=PageQuery,
        codes=("invalid", *_KEY_CODES),
        example=_PAGE,
    )


def _one(name: str, summary: str, example: Mapping[str, Any], *codes: str) -> Operation:
    return Operation(
        name,
        summary,
        "notifications",
        Notification,
        security="integrator",
        codes=("not_found", *codes, *_KEY_CODES),
        example=example,
    )


DESK_OPERATIONS: Mapping[Key, Operation] = {
    ("POST", f"{PREFIX}/booking-confirmed"): _telling(
        "booking_confirmed",
        "A booking stands, for the first time or in another way than before: its people are told and reminded.",
    ),
    ("POST", f"{PREFIX}/payment-confirmed"): _telling(
        "payment_confirmed", "The money for a booking has come.", payment_intent="pi_3PqK2c2eZvKYlo2C1"
    ),
    ("POST", f"{PREFIX}/booking-cancelled"): _telling(
        "booking_cancelled",
        "A booking does not take place.",
        booking_status="cancelled",
        reason="The shop is closed that day.",
        refund_amount=25.00,
    ),
    ("POST", f"{PREFIX}/payment-failed"): _telling(
        "payment_failed", "The money for a booking could not be had.", payment_intent="pi_3PqK2c2eZvKYlo2C2"
    ),
    ("POST", f"{PREFIX}/appointment-reminders/schedule"): _telling(
        "schedule_reminders", "The people of a booking know of it, and are only to be reminded."
    ),
    ("GET", f"{PREFIX}/notifications/pending"): _listing("pending_notifications", "What waits to be told."),
    ("GET", f"{PREFIX}/notifications/dead"): _listing(
        "dead_notifications", "What could not be told to anybody, until somebody looks."
    ),
    ("GET", f"{_WAITING_ID}/status"): _one("notification_status", "What became of a notification.", _NOTIFICATION),
    ("POST", f"{_WAITING_ID}/retry"): _one(
        "retry_notification", "Try a dead notification again, from the beginning.", _RETRIED, "not_now"
    ),
    ("POST", f"{_WAITING_ID}/discard"): _one(
        "discard_notification", "Nobody wants a dead or waiting notification any more.", _DISCARDED, "not_now"
    ),
    ("GET", f"{PREFIX}/health"): Operation(
        "notifications_health",
        "Whether notifications go out, and webhooks come in.",
        "notifications",
        DeskHealth,
        security="integrator",
        codes=_KEY_CODES,
        example={
            "channels": [{"name": "email", "state": "working", "since": None, "again_at": None, "code": None}],
            "pending": 12,
            "dead": 0,
            "oldest_due_at": None,
            "inbox": {"pending": 0, "dead": 0},
            "server_time": moment(story.NOW),
        },
    ),
    ("POST", f"{PREFIX}/webhooks/stripe"): Operation(
        "stripe_webhook",
        "Events of Stripe: payments whose `metadata.booking_id` names a booking; all others are answered and left.",
        "webhooks",
        Done,
        security="stripe",
        codes=("invalid", "forbidden", "not_found"),
        example={"ok": True},
    ),
    **{
        ("POST", f"{PREFIX}/webhooks/{name}"): Operation(
            name.replace("-", "_"),
            summary,
            "webhooks",
            security="twilio",
            media="text/xml",
            codes=("forbidden", "not_found"),
        )
        for name, summary in (
            ("twilio-status", "What became of a short message; `n` in the address is the id of its notification."),
            (
                "twilio-inbound",
                "What somebody wrote to the number that short messages come from: STOP and START count.",
            ),
        )
    },
    ("POST", f"{PREFIX}/webhooks/booking-wizard"): Operation(
        "booking_wizard_webhook",
        "Bookings of the booking wizard; what comes again, late or out of order does no harm.",
        "webhooks",
        Done,
        security="standard_webhooks",
        body=WizardEvent,
        codes=("invalid", "forbidden", "not_found"),
        request={"type": "booking.created", "data": {**_NEWS, "revision": 1}},
        example={"ok": True},
    ),
}
