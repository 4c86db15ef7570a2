"""What the tests of the channels send, and how they hear what came of it."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any

from bot.providers.messages import Email, Invitation, NotSent, Push, Receipt, Sms, Verdict

NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
# Long enough for an answer on a busy machine, short enough to wait for none.
SOON_S = 1.0
PATIENT_S = 10.0
CALENDAR = b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nSUMMARY:Pijat \xe2\x98\x95\r\nEND:VCALENDAR\r\n"


def now() -> datetime:
    return NOW


def an_email(**more: Any) -> Email:
    fields: dict[str, Any] = {
        "message_id": "n_1@example.com",
        "to": "budi@example.org",
        "to_name": "Budi Santoso",
        "from_name": "Janji",
        "subject": "Your booking",
        "text": "See you at ten.",
        "html": "<p>See you at ten.</p>",
    }
    return Email(**{**fields, **more})


def an_invitation() -> Invitation:
    return Invitation(CALENDAR, "REQUEST")


def an_sms(**more: Any) -> Sms:
    return Sms(**{"to": "+6281234567890", "text": "Sari is on her way.", **more})


def a_push(**more: Any) -> Push:
    fields: dict[str, Any] = {
        "title": "New booking",
        "body": "Balinese massage ☕ at 10:00",
        "url": "https://janji.example/therapist#b_1",
        "collapse_key": "booking-b_1",
        "ttl_s": 3600,
        "urgency": "urgent",
        "sound": "therapist-alert",
        "data": {"booking_id": "b_1"},
    }
    return Push(**{**fields, **more})


async def verdict_on(sending: Awaitable[Receipt]) -> Verdict | None:
    """None where it was sent."""
    try:
        await sending
    except NotSent as error:
        return error.verdict
    return None
