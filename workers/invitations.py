"""Calendar files of a booking: an invitation that later ones of the same booking move or take back (RFC 5546)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from typing import Literal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from icalendar import Alarm, Calendar, Event, Timezone, vCalAddress

from bot.providers.messages import Invitation
from bot.words import zone_of
from conversations.notices import BookingFacts, Person
from workers.visits import as_name

PRODUCT = "-//Janji//Bookings//EN"
REMINDED_BEFORE = timedelta(hours=1)
GOOGLE_CALENDAR = "https://calendar.google.com/calendar/render"
_GOOGLE_MOMENT = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True, slots=True, kw_only=True)
class Occasion:
    """What a calendar shows of a booking, in the words of the person it is for."""

    summary: str
    description: str
    organizer: str
    """The address that mails come from."""
    location: str | None = None
    link: str | None = None


def invitation(
    method: Literal["REQUEST", "CANCEL"], booking_facts: BookingFacts, person: Person, occasion: Occasion, now: datetime
) -> Invitation:
    """The file for one person; the same booking has the same UID, and a later revision wins by its SEQUENCE."""
    calendar = Calendar()
    for name, value in (("prodid", PRODUCT), ("version", "2.0"), ("method", method)):
        calendar.add(name, value)
    zone = zone_of(person.timezone)
    if isinstance(zone, ZoneInfo) and zone.key != "UTC":
        calendar.add_component(_clocks(zone, booking_facts.starts_at.year))
    calendar.add_component(_event(method, booking_facts, person, occasion, now))
    return Invitation(calendar.to_ical(), method)


def google_calendar_url(booking_facts: BookingFacts, person: Person, occasion: Occasion) -> str:
    """Where somebody without a calendar program adds the visit to the one in their browser."""
    begins, ends = (each.astimezone(UTC) for each in (booking_facts.starts_at, booking_facts.ends_at))
    asked = {
        "action": "TEMPLATE",
        "text": occasion.summary,
        "dates": f"{begins:{_GOOGLE_MOMENT}}/{ends:{_GOOGLE_MOMENT}}",
        "ctz": str(zone_of(person.timezone)),
        "details": occasion.link,
        "location": occasion.location,
    }
    return f"{GOOGLE_CALENDAR}?{urlencode({name: value for name, value in asked.items() if value})}"


@lru_cache(maxsize=256)  # to look for the changes of a clock takes as long as all the rest of a mail
def _clocks(zone: ZoneInfo, year: int) -> Timezone:
    """What a zone's clocks show around a year."""
    return Timezone.from_tzinfo(zone, first_date=date(year - 1, 1, 1), last_date=date(year + 2, 1, 1))


def _event(method: str, booking_facts: BookingFacts, person: Person, occasion: Occasion, now: datetime) -> Event:
    zone = zone_of(person.timezone)
    event = Event.new(
        uid=f"{booking_facts.booking_id}@{occasion.organizer.rpartition('@')[2]}",
        # Taking back is a change too, and a calendar ignores one that is not newer than what it has.
        sequence=booking_facts.revision + (method == "CANCEL"),
        stamp=now,
        start=_on_clocks(booking_facts.starts_at, zone),
        end=_on_clocks(booking_facts.ends_at, zone),
        summary=occasion.summary,
        description=occasion.description,
        location=occasion.location,
        url=occasion.link,
        status="CANCELLED" if method == "CANCEL" else "CONFIRMED",  # type: ignore[arg-type]  # its enum is of strings
        organizer=vCalAddress.new(occasion.organizer, cn=as_name(booking_facts.brand)),
        attendees=[_attendee(person)] if person.email else [],
    )
    if method == "REQUEST":
        alarm = Alarm.new(description=occasion.summary)
        alarm.add("action", "DISPLAY")
        alarm.add("trigger", -REMINDED_BEFORE)
        event.add_component(alarm)
    return event


def _on_clocks(moment: datetime, zone: tzinfo) -> datetime:
    """The local time, but UTC in the second of two equal hours: a file cannot say which of them it means."""
    local = moment.astimezone(zone)
    return moment.astimezone(UTC) if local.fold else local


def _attendee(person: Person) -> vCalAddress:
    """They have accepted by booking: no calendar asks them, or answers to an address that nobody reads."""
    return vCalAddress.new(
        person.email or "", cn=as_name(person.name), partstat="ACCEPTED", rsvp=False, role="REQ-PARTICIPANT"
    )
