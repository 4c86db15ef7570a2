"""Ladders of reminders as they are written in settings: `24h:email+sms, 3h:push+in_app:normal:app-download`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise
from typing import Any, cast, get_args

from conversations.notices import OFFERS_APP, Channel, Manner, Rung, Urgency

SOUNDS = (
    *("therapist-alert", "urgent-booking", "reminder-5h", "reminder-4h", "reminder-3h", "reminder-2h", "reminder-1h"),
    *("customer-reminder", "booking-success", OFFERS_APP),
)
_RUNG = re.compile(
    r"(?P<count>\d{1,4})(?P<unit>[hm]):(?P<channels>[a-z_+]+)(?::(?P<urgency>[a-z]+))?(?::(?P<sound>[a-z0-9-]+))?"
)
LONGEST_LEAD = timedelta(days=30)
MOST_RUNGS = 12


def parse_rungs(text: str) -> tuple[Rung, ...]:
    """The reminders of one side, longest lead first; none where the text is empty. Raises ValueError."""
    rungs = tuple(_rung(part.strip()) for part in text.split(",") if part.strip())
    if len(rungs) > MOST_RUNGS or not all(earlier.lead > later.lead for earlier, later in pairwise(rungs)):
        raise ValueError(f"must be at most {MOST_RUNGS} reminders, the earliest first")
    return rungs


def write_rungs(rungs: Sequence[Rung]) -> str:
    """The text that `parse_rungs` reads."""
    return ", ".join(map(_text, rungs))


def as_rungs(value: Any) -> Any:
    return parse_rungs(value) if isinstance(value, str) else value


def _rung(text: str) -> Rung:
    parts = _RUNG.fullmatch(text)
    if parts is None:
        raise ValueError("must be reminders like 24h:email+sms, 90m:push+in_app:urgent:reminder-1h")
    lead = timedelta(minutes=int(parts["count"]) * (60 if parts["unit"] == "h" else 1))
    channels, urgency, sound = parts["channels"].split("+"), parts["urgency"] or "normal", parts["sound"]
    if not timedelta(minutes=5) <= lead <= LONGEST_LEAD:
        raise ValueError("must remind between 5m and 720h before")
    if not set(channels) <= set(get_args(Channel)) or len(set(channels)) < len(channels):
        raise ValueError(f"must use some of the channels {', '.join(get_args(Channel))}")
    if urgency not in get_args(Urgency):
        raise ValueError(f"must have an urgency of {', '.join(get_args(Urgency))}")
    if sound is not None and sound not in SOUNDS:
        raise ValueError(f"must have a sound of {', '.join(SOUNDS)}")
    return Rung(lead, Manner(cast(tuple[Channel, ...], tuple(channels)), cast(Urgency, urgency), sound))


def _text(rung: Rung) -> str:
    minutes = int(rung.lead.total_seconds() // 60)
    lead = f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"
    parts = [lead, "+".join(rung.manner.channels), rung.manner.urgency]
    return ":".join([*parts, rung.manner.sound] if rung.manner.sound else parts)
