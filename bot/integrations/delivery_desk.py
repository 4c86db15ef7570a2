"""The delivery desk: what became of each notification, for whoever has a key and for the operator's command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import Field

from bot.clock import Now
from bot.errors import Refusal
from bot.schemas.fields import Payload
from bot.schemas.views import moment, moment_or_none
from bot.settings.settings import Settings
from bot.store.breakers import Breaker, Breakers
from bot.store.inbox import Inbox
from bot.store.notifications import Notifications, Reason, Row, Status
from conversations.replies import N_, REFUSALS

PREFIX = "/api/v1/booking-notifications"
WAITING: tuple[Status, ...] = ("pending", "sending")
DEAD: tuple[Status, ...] = ("dead",)
# Whoever tries a dead letter again has looked at it; whether its visit still stands is asked again when it is sent.
RETRIED_IS_USEFUL = timedelta(hours=1)
# The providers by the names of their breakers, and the setting without which there is none.
PROVIDERS = {
    "email": "smtp_url",
    "sms": "twilio_account_sid",
    "fcm": "fcm_service_account",
    "web_push": "vapid_private_key",
}


def providers_of(settings: Settings) -> tuple[str, ...]:
    """Those that are set."""
    return tuple(name for name, setting in PROVIDERS.items() if getattr(settings, setting) is not None)


class PageQuery(Payload):
    """Which part of a list, whose values come as text."""

    limit: Annotated[int, Field(ge=1, le=100)] = 50
    offset: Annotated[int, Field(ge=0, le=100_000)] = 0


@dataclass(frozen=True, slots=True)
class DeliveryDesk:
    """Reads the ledger, and changes of it only what a person has decided: to try again, or to give up."""

    settings: Settings
    notifications: Notifications
    breakers: Breakers
    inbox: Inbox
    now: Now

    async def health(self) -> dict[str, Any]:
        """Whether notifications go out: what waits and since when, what came to nothing, and which provider rests."""
        now, breakers, providers = self.now(), await self.breakers.all(), providers_of(self.settings)
        return {
            "channels": [_channel_view(name, name in providers, breakers.get(name)) for name in PROVIDERS],
            "pending": await self.notifications.count(WAITING),
            "dead": await self.notifications.count(DEAD),
            "oldest_due_at": moment_or_none(await self.notifications.oldest_due(now)),
            "inbox": await self.inbox.counts(),
            "server_time": moment(now),
        }

    async def show(self, notification_id: str) -> dict[str, Any]:
        row = await self.notifications.get(notification_id)
        if row is None:
            raise Refusal("not_found", REFUSALS["not_found"])
        return notification_view(row)

    async def page(self, statuses: Sequence[Status], limit: int, offset: int) -> dict[str, Any]:
        rows = await self.notifications.page(statuses, limit, offset)
        return {
            "notifications": [notification_view(row) for row in rows],
            "total": await self.notifications.count(statuses),
            "limit": limit,
            "offset": offset,
            "server_time": moment(self.now()),
        }

    async def retry(self, notification_id: str) -> dict[str, Any]:
        """A dead letter goes out again; nothing else needs to be told to."""
        now = self.now()
        is_revived = await self.notifications.revive(notification_id, now, now + RETRIED_IS_USEFUL)
        return await self._changed(notification_id, is_revived, N_("Only a dead notification can be tried again."))

    async def discard(self, notification_id: str) -> dict[str, Any]:
        is_discarded = await self.notifications.discard(notification_id, self.now())
        return await self._changed(notification_id, is_discarded, N_("This notification is not waiting any more."))

    async def _changed(self, notification_id: str, is_changed: bool, why_not: str) -> dict[str, Any]:
        view = await self.show(notification_id)
        if not is_changed:
            raise Refusal("not_now", why_not)
        return view


def _channel_view(name: str, is_set: bool, breaker: Breaker | None) -> dict[str, Any]:
    known = breaker or Breaker(name)
    state = "resting" if known.open_until else "failing" if known.failures else "working"
    return {
        "name": name,
        "state": state if is_set else "not_set",
        "since": moment_or_none(known.open_since),
        "again_at": moment_or_none(known.open_until),
        "code": known.code,
    }


def notification_view(row: Row) -> dict[str, Any]:
    """A row of the ledger, without a word of whom it goes to."""
    return {
        "id": row.id,
        "booking_id": row.booking_id,
        "revision": row.revision,
        "kind": row.kind,
        "side": row.side,
        "channel": row.channel,
        "urgency": row.urgency,
        "status": row.status,
        "due_at": moment(row.due_at),
        "next_at": moment_or_none(row.next_at),
        "sent_at": moment_or_none(row.sent_at),
        "attempts": row.attempts,
        "reason": row.reasons[-1].what if row.reasons else None,
        "reasons": [_reason_view(reason) for reason in row.reasons],
        "provider_status": row.provider_status,
        "instead_of": row.instead_of,
    }


def _reason_view(reason: Reason) -> dict[str, Any]:
    return {"at": moment(reason.at), "what": reason.what, "code": reason.code}
