"""The settings of the notices: what is told before a visit, how often at most, and how long that is kept."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, FiniteFloat
from pydantic_settings import BaseSettings

from bot.settings.kinds import LongSeconds, Seconds
from bot.settings.ladders import as_rungs
from conversations.notices import DEFAULT_LADDER, Rung


class NoticeSettings(BaseSettings):
    reminders_customer: Annotated[tuple[Rung, ...], BeforeValidator(as_rungs)] = DEFAULT_LADDER.customer
    """Before each visit, as `lead:channels:urgency:sound`; a service of the catalogue may have a ladder of its own."""
    reminders_therapist: Annotated[tuple[Rung, ...], BeforeValidator(as_rungs)] = DEFAULT_LADDER.therapist
    keep_notifications_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """Rows of the ledger that are done; dead letters stay until somebody looks."""
    keep_reminders_days: Annotated[int, Field(ge=1, le=3650)] = 7
    dispatch_s: Annotated[FiniteFloat, Field(ge=0.05, le=30)] = 0.5
    """How often it is looked for what is due in the ledger of notifications."""
    unread_after_s: LongSeconds = 120.0
    """How long a message waits for a reader who is not there before they are told of it elsewhere."""
    unread_look_s: Seconds = 10.0
    cap_sms_per_hour: Annotated[int, Field(ge=1, le=1_000)] = 4
    """Of what is neither urgent nor needed, to one person; what is too much waits."""
    cap_email_per_hour: Annotated[int, Field(ge=1, le=1_000)] = 8
    cap_push_per_hour: Annotated[int, Field(ge=1, le=1_000)] = 20
