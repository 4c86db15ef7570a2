"""Ladders of reminders, as an operator writes them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.settings.ladders import parse_rungs, write_rungs
from conversations.notices import DEFAULT_LADDER, Manner, Rung

DAY = Rung(timedelta(hours=24), Manner(("email", "sms")))
ALARM = Rung(timedelta(minutes=90), Manner(("push", "in_app"), "urgent", "reminder-1h"))


@pytest.mark.parametrize(
    ("text", "rungs"),
    [
        ("", ()),
        ("24h:email+sms", (DAY,)),
        ("24h:email+sms, 90m:push+in_app:urgent:reminder-1h", (DAY, ALARM)),
        (" 90m:push+in_app:urgent:reminder-1h , ", (ALARM,)),
    ],
)
def test_a_ladder_is_read_as_it_was_meant(text: str, rungs: tuple[Rung, ...]) -> None:
    assert parse_rungs(text) == rungs


@pytest.mark.parametrize("rungs", [DEFAULT_LADDER.customer, DEFAULT_LADDER.therapist, (DAY, ALARM), ()])
def test_what_is_written_is_read_again(rungs: tuple[Rung, ...]) -> None:
    assert parse_rungs(write_rungs(rungs)) == rungs


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("24h", "must be reminders like"),
        ("24 hours:email", "must be reminders like"),
        ("24h:pigeon", "must use some of the channels"),
        ("24h:sms+sms", "must use some of the channels"),
        ("24h:sms:hot", "must have an urgency"),
        ("24h:in_app:low:fanfare", "must have a sound"),
        ("1m:sms", "must remind between"),
        ("9999h:sms", "must remind between"),
        ("2h:sms, 24h:email", "the earliest first"),
        ("2h:sms, 120m:email", "the earliest first"),
    ],
)
def test_a_ladder_that_makes_no_sense_is_refused_with_its_reason(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        parse_rungs(text)
