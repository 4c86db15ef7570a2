"""What became of a notification, for the systems that have asked to hear of it."""

from __future__ import annotations

from collections.abc import Mapping

from bot.clock import Now
from bot.store.notifications import Row, Status
from bot.store.webhooks import Event, EventType, Webhooks
from conversations.ids import derived_id

EVENTS: Mapping[Status, EventType] = {
    "sent": "notification.sent",
    "delivered": "notification.delivered",
    "dead": "notification.dead",
}


class NotificationNews:
    """Called with a row, what has become of it and why; what is told of nobody is left out."""

    def __init__(self, webhooks: Webhooks, now: Now) -> None:
        self._webhooks = webhooks
        self._now = now

    async def __call__(self, row: Row, status: Status, why: str | None) -> None:
        kind = EVENTS.get(status)
        if kind is None:
            return
        data = {
            "notification_id": row.id,
            "booking_id": row.booking_id,
            "kind": row.kind,
            "channel": row.channel,
            "reason": why,
        }
        now = self._now()
        await self._webhooks.publish(Event(derived_id("ev", row.id, status, row.attempts), kind, now, data), now)
