"""A calendar takes an invitation, moves it with the booking, and takes it out again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

import pytest
from icalendar import Calendar

from tests.workers.mails import BUDI, NOW, SENDER, VISIT
from workers.invitations import Occasion, google_calendar_url, invitation

OCCASION = Occasion(
    summary="Pijat Bali – Janji; ya, betul",
    description="Layanan: Pijat Bali\nReferensi: JNJ-4C1F",
    organizer=SENDER,
    location=VISIT.address,
    link="https://janji.example/chat",
)


def calendar(content: bytes) -> Calendar:
    """What a calendar program reads, which is what it would write again."""
    parsed = Calendar.from_ical(content)
    assert Calendar.from_ical(parsed.to_ical()) == parsed
    return parsed


def event(parsed: Calendar) -> Any:
    [found] = parsed.walk("VEVENT")
    return found


def test_an_invitation_says_what_where_when_and_who() -> None:
    parsed = calendar(invitation("REQUEST", VISIT, BUDI, OCCASION, NOW).content)
    visit = event(parsed)

    assert (parsed["METHOD"], parsed["VERSION"]) == ("REQUEST", "2.0")
    assert visit["SUMMARY"] == OCCASION.summary
    assert visit["DESCRIPTION"] == OCCASION.description
    assert visit["LOCATION"] == VISIT.address
    assert (visit.start, visit.end) == (VISIT.starts_at, VISIT.ends_at)
    assert visit["DTSTART"].params["TZID"] == "Asia/Jakarta"
    assert visit["DTSTAMP"].dt == NOW
    assert (visit["ORGANIZER"], visit["ORGANIZER"].params["CN"]) == (f"mailto:{SENDER}", "Janji")
    assert (visit["ATTENDEE"], visit["ATTENDEE"].params["RSVP"]) == (f"mailto:{BUDI.email}", "FALSE")
    assert (visit["STATUS"], visit["SEQUENCE"]) == ("CONFIRMED", 2)
    [alarm] = visit.walk("VALARM")
    assert [zone["TZID"] for zone in parsed.walk("VTIMEZONE")] == ["Asia/Jakarta"]
    assert (alarm["ACTION"], alarm["TRIGGER"].dt) == ("DISPLAY", -timedelta(hours=1))


def test_a_later_revision_and_a_cancellation_win_over_the_invitation() -> None:
    first = event(calendar(invitation("REQUEST", VISIT, BUDI, OCCASION, NOW).content))
    moved = event(calendar(invitation("REQUEST", replace(VISIT, revision=3), BUDI, OCCASION, NOW).content))
    taken_back = calendar(invitation("CANCEL", replace(VISIT, revision=3), BUDI, OCCASION, NOW).content)
    gone = event(taken_back)

    assert first["UID"] == moved["UID"] == gone["UID"] == "b_4c1f7a2e9d3b6058@janji.example"
    assert first["SEQUENCE"] < moved["SEQUENCE"] < gone["SEQUENCE"]
    assert (taken_back["METHOD"], gone["STATUS"]) == ("CANCEL", "CANCELLED")
    assert not gone.walk("VALARM")


@pytest.mark.parametrize("starts_at", [datetime(2027, 3, 28, 0, 30, tzinfo=UTC), datetime(2027, 10, 31, 1, tzinfo=UTC)])
def test_a_visit_across_a_change_of_clocks_lasts_as_long_as_it_lasts(starts_at: datetime) -> None:
    berliner, tonight = replace(BUDI, timezone="Europe/Berlin"), replace(VISIT, starts_at=starts_at)
    parsed = calendar(invitation("REQUEST", tonight, berliner, OCCASION, NOW).content)

    assert event(parsed).start.astimezone(UTC) == starts_at
    assert event(parsed).end.astimezone(UTC) == tonight.ends_at


@pytest.mark.parametrize("month", range(1, 13))
@pytest.mark.parametrize("timezone", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Jayapura"])
def test_the_clocks_in_the_file_are_those_of_the_zone(timezone: str, month: int) -> None:
    moment = datetime(2026, month, 15, 12, tzinfo=UTC)
    visit = replace(VISIT, starts_at=moment)
    parsed = calendar(invitation("REQUEST", visit, replace(BUDI, timezone=timezone), OCCASION, NOW).content)
    [zone] = parsed.walk("VTIMEZONE")
    clocks = zone.to_tz(lookup_tzid=False)

    assert moment.astimezone(clocks).utcoffset() == moment.astimezone(ZoneInfo(timezone)).utcoffset()


@pytest.mark.parametrize("timezone", ["Nowhere/Land", "UTC", ""])
def test_a_zone_that_nobody_knows_is_utc(timezone: str) -> None:
    parsed = calendar(invitation("REQUEST", VISIT, replace(BUDI, timezone=timezone), OCCASION, NOW).content)

    assert b"T080000Z" in parsed.to_ical()
    assert not parsed.walk("VTIMEZONE")


def test_what_is_not_known_is_not_said() -> None:
    bare = replace(OCCASION, location=None)
    visit = event(calendar(invitation("REQUEST", VISIT, replace(BUDI, email=None), bare, NOW).content))

    assert not {"LOCATION", "ATTENDEE"} & set(visit)


def test_lines_are_folded_and_nothing_in_a_name_begins_a_new_one() -> None:
    hostile = replace(OCCASION, summary="Pijat\r\nATTENDEE:mailto:eve@evil.example", description="ü" * 300)
    content = invitation("REQUEST", VISIT, replace(BUDI, name='Budi";X=1\r\nX-EVIL:1'), hostile, NOW).content

    assert all(len(line) <= 75 for line in content.split(b"\r\n"))
    visit = event(calendar(content))
    assert visit["ATTENDEE"] == f"mailto:{BUDI.email}"
    assert "X-EVIL" not in visit


def test_the_browsers_calendar_gets_the_same_visit() -> None:
    asked = parse_qs(urlsplit(google_calendar_url(VISIT, BUDI, OCCASION)).query)

    assert asked["dates"] == ["20261202T080000Z/20261202T093000Z"]
    assert asked["ctz"] == ["Asia/Jakarta"]
    assert (asked["text"], asked["location"]) == ([OCCASION.summary], [VISIT.address])
