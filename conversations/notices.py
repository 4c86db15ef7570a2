"""What people are told about a booking: when, on which channels, and whether it still makes sense.

A notice is one thing told to one person on one channel. A booking that is moved gets a new `revision`, and the notices
of the one before make no sense any more. Ladders of reminders are data: see `Ladder`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta, tzinfo
from typing import Literal

from conversations.money.amounts import Money
from conversations.values import Locale, Party

Side = Literal["customer", "therapist"]
Channel = Literal["email", "sms", "push", "in_app"]
Urgency = Literal["low", "normal", "high", "urgent"]
Occasion = Literal["confirmed", "scheduled", "moved", "cancelled", "completed", "payment_confirmed", "payment_failed"]
"""`scheduled`: who is concerned knows already, and is only to be reminded."""

BOOKING_CONFIRMED = "booking_confirmed"
NEW_BOOKING = "new_booking"
BOOKING_MOVED = "booking_moved"
BOOKING_CANCELLED = "booking_cancelled"
PAYMENT_CONFIRMED = "payment_confirmed"
PAYMENT_FAILED = "payment_failed"
STARTS_SOON = "starts_soon"
NEW_OFFER = "new_offer"
MESSAGE_WAITING = "message_waiting"
REMINDER = "reminder"
"""Of a rung of the ladder: `reminder_24h`, `reminder_90m`."""

# What begins within this time gets no ladder but one word shortly before.
SOON = timedelta(hours=1)
SHORTLY_BEFORE = timedelta(minutes=15)
# How late each may be and still be worth reading, where the start of the visit does not say it.
USEFUL = {
    BOOKING_CONFIRMED: timedelta(hours=24),
    NEW_BOOKING: timedelta(hours=24),
    BOOKING_MOVED: timedelta(hours=24),
    BOOKING_CANCELLED: timedelta(hours=72),
    PAYMENT_CONFIRMED: timedelta(days=7),
    PAYMENT_FAILED: timedelta(hours=72),
    MESSAGE_WAITING: timedelta(hours=2),
}
# What became of money is worth knowing whenever and wherever the visit takes place, and if it doesn't.
OF_MONEY = frozenset({PAYMENT_CONFIRMED, PAYMENT_FAILED})
# A reminder of a customer that is played with this sound comes with the offer of the app.
OFFERS_APP = "app-download"
# What the visit, the money or the law needs: nobody can switch it off.
NEEDED = frozenset(
    {BOOKING_CONFIRMED, NEW_BOOKING, BOOKING_MOVED, BOOKING_CANCELLED, PAYMENT_CONFIRMED, PAYMENT_FAILED}
)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is told something: `guest:c_…`, `therapist:t_…`, or of another system `customer:…` or `provider:…`.

    `phone` is E.164, `timezone` an IANA name.
    """

    id: str
    name: str
    locale: Locale
    timezone: str
    phone: str | None = None
    email: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BookingFacts:
    """A booking as notices see it, wherever it is kept: ours, or one that another system told us of."""

    booking_id: str
    reference: str
    """What people call it: short, and printed on receipts."""
    revision: int
    status: Literal["confirmed", "cancelled", "over"]
    starts_at: datetime
    duration: int
    """In minutes."""
    customer: Person | None
    """None when they asked to be forgotten."""
    therapist: Person | None
    service_names: Mapping[str, str]
    brand: str
    service_id: str | None = None
    """Of our own catalogue."""
    price: Money | None = None
    address: str | None = None
    conversation_id: str | None = None
    conversation_revision: int = 0
    """Where the conversation stands: a card of an older revision is over."""
    cancelled_by: Party | None = None
    paid: Money | None = None
    """What we have taken for it."""
    refund: Money | None = None
    """What a cancellation gives back, None where nobody has said."""
    has_begun: bool = False
    """Whether the therapist is there already, whatever the clock says."""

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(minutes=self.duration)

    def person(self, side: Side) -> Person | None:
        return self.customer if side == "customer" else self.therapist


@dataclass(frozen=True, slots=True)
class Manner:
    """How something is told: channels in the order of their use, and what a page does when it is shown."""

    channels: tuple[Channel, ...]
    urgency: Urgency = "normal"
    sound: str | None = None


@dataclass(frozen=True, slots=True)
class Rung:
    """One reminder of a ladder: so long before the visit begins."""

    lead: timedelta
    manner: Manner

    @property
    def kind(self) -> str:
        minutes = int(self.lead.total_seconds() // 60)
        return f"{REMINDER}_{minutes // 60}h" if minutes % 60 == 0 else f"{REMINDER}_{minutes}m"


@dataclass(frozen=True, slots=True)
class Ladder:
    """The reminders of one service for each side, longest lead first."""

    customer: tuple[Rung, ...]
    therapist: tuple[Rung, ...]

    def of(self, side: Side) -> tuple[Rung, ...]:
        return self.customer if side == "customer" else self.therapist


@dataclass(frozen=True, slots=True)
class Notice:
    """One row of the ledger as it is planned: due at one moment, and useless after another."""

    kind: str
    side: Side
    person_id: str
    channel: Channel
    due_at: datetime
    useful_until: datetime
    urgency: Urgency
    sound: str | None


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a person wants: channels and kinds that they switched off, and the hours in which they sleep."""

    off: frozenset[str] = frozenset()
    """Channels, kinds, or `reminder` for all reminders."""
    quiet: tuple[time, time] | None = None
    stopped: frozenset[str] = field(default_factory=frozenset)
    """Channels on which nothing at all may be sent, as after STOP by SMS."""


@dataclass(frozen=True, slots=True)
class Notify:
    """Write into the ledger what this occasion deserves; the effect of a booking's turn, wherever it is kept."""

    occasion: Occasion
    revision: int
    about: str = ""
    """Which of several of one revision: a payment, by its provider's id where that is known."""


def _hours(count: int) -> timedelta:
    return timedelta(hours=count)


DEFAULT_LADDER = Ladder(
    customer=(
        Rung(_hours(24), Manner(("email", "sms"))),
        Rung(_hours(3), Manner(("push", "in_app"), "normal", OFFERS_APP)),
        Rung(_hours(2), Manner(("sms",))),
    ),
    therapist=(
        Rung(_hours(5), Manner(("in_app", "push"), "low", "reminder-5h")),
        Rung(_hours(4), Manner(("in_app", "push"), "low", "reminder-4h")),
        Rung(_hours(3), Manner(("in_app", "push"), "normal", "reminder-3h")),
        Rung(_hours(2), Manner(("in_app", "push"), "high", "reminder-2h")),
        Rung(_hours(1), Manner(("in_app", "push"), "urgent", "reminder-1h")),
    ),
)

MANNERS: Mapping[tuple[str, Side], Manner] = {
    (BOOKING_CONFIRMED, "customer"): Manner(("email", "sms", "in_app"), "normal", "booking-success"),
    (NEW_BOOKING, "therapist"): Manner(("in_app", "push"), "urgent", "urgent-booking"),
    (BOOKING_MOVED, "customer"): Manner(("email", "sms", "in_app"), "normal", "customer-reminder"),
    (BOOKING_MOVED, "therapist"): Manner(("in_app", "push"), "high", "therapist-alert"),
    (BOOKING_CANCELLED, "customer"): Manner(("email", "sms", "in_app"), "normal", "customer-reminder"),
    (BOOKING_CANCELLED, "therapist"): Manner(("in_app", "push"), "high", "therapist-alert"),
    (PAYMENT_CONFIRMED, "customer"): Manner(("email", "in_app"), "low", "booking-success"),
    (PAYMENT_CONFIRMED, "therapist"): Manner(("in_app",), "low"),
    (PAYMENT_FAILED, "customer"): Manner(("email", "sms", "in_app"), "high", "customer-reminder"),
    (PAYMENT_FAILED, "therapist"): Manner(("in_app",), "normal"),
    (STARTS_SOON, "customer"): Manner(("push", "in_app"), "normal", "customer-reminder"),
    (STARTS_SOON, "therapist"): Manner(("in_app", "push"), "urgent", "reminder-1h"),
    (NEW_OFFER, "therapist"): Manner(("push",), "urgent", "urgent-booking"),
    (MESSAGE_WAITING, "customer"): Manner(("push",), "normal"),
    (MESSAGE_WAITING, "therapist"): Manner(("push",), "high"),
}

_TOLD: Mapping[Occasion, tuple[tuple[str, Side], ...]] = {
    "confirmed": ((BOOKING_CONFIRMED, "customer"), (NEW_BOOKING, "therapist")),
    "scheduled": (),
    "moved": ((BOOKING_MOVED, "customer"), (BOOKING_MOVED, "therapist")),
    "cancelled": ((BOOKING_CANCELLED, "customer"), (BOOKING_CANCELLED, "therapist")),
    "completed": (),
    "payment_confirmed": ((PAYMENT_CONFIRMED, "customer"), (PAYMENT_CONFIRMED, "therapist")),
    "payment_failed": ((PAYMENT_FAILED, "customer"), (PAYMENT_FAILED, "therapist")),
}


def plan(occasion: Occasion, booking_facts: BookingFacts, ladder: Ladder, now: datetime) -> tuple[Notice, ...]:
    """What is told at once, and of an appointment that stands the reminders that are still ahead."""
    told = [
        notice
        for kind, side in _TOLD[occasion]
        for notice in _notices(kind, side, MANNERS[kind, side], booking_facts, now, now + USEFUL[kind])
    ]
    if occasion in ("confirmed", "scheduled", "moved"):
        told += plan_reminders(booking_facts, ladder, now)
    return tuple(told)


def plan_reminders(booking_facts: BookingFacts, ladder: Ladder, now: datetime) -> list[Notice]:
    """The rungs that are still ahead; where none is and the visit begins within the hour, one word shortly before."""
    planned = []
    for side in ("customer", "therapist"):
        ahead = [rung for rung in ladder.of(side) if booking_facts.starts_at - rung.lead > now]
        for rung in ahead:
            due_at = booking_facts.starts_at - rung.lead
            # Half of its lead later it would say what the next one says, or come when all is packed.
            planned += _notices(rung.kind, side, rung.manner, booking_facts, due_at, due_at + rung.lead / 2)
        if not ahead and now < booking_facts.starts_at <= now + SOON:
            due_at = max(now, booking_facts.starts_at - SHORTLY_BEFORE)
            manner = MANNERS[STARTS_SOON, side]
            planned += _notices(STARTS_SOON, side, manner, booking_facts, due_at, booking_facts.starts_at)
    return planned


def _notices(
    kind: str, side: Side, manner: Manner, booking_facts: BookingFacts, due_at: datetime, useful_until: datetime
) -> list[Notice]:
    """One for each channel on which this person can be reached at all."""
    person = booking_facts.person(side)
    if person is None:
        return []
    return [
        Notice(kind, side, person.id, channel, due_at, useful_until, manner.urgency, manner.sound)
        for channel in manner.channels
        if _has_address(person, channel)
    ]


def _has_address(person: Person, channel: Channel) -> bool:
    """Whether a channel can reach them. Who is known by a name of another system has no page of ours."""
    match channel:
        case "email":
            return person.email is not None
        case "sms":
            return person.phone is not None
        case _:
            return person.id.startswith(("guest:", "therapist:"))


def offers_app(side: Side, sound: str | None) -> bool:
    return (side, sound) == ("customer", OFFERS_APP)


def is_reminder(kind: str) -> bool:
    return kind == STARTS_SOON or kind.startswith(REMINDER)


def why_not(kind: str, revision: int, useful_until: datetime, booking_facts: BookingFacts, now: datetime) -> str | None:
    """Why a notice that is due makes no sense any more, as a word for the ledger; None where it does."""
    if kind in OF_MONEY:
        return "too_late" if now > useful_until else None
    if revision < booking_facts.revision:
        return "moved"
    if kind != BOOKING_CANCELLED and booking_facts.status == "cancelled":
        return "cancelled"
    if is_reminder(kind):
        if booking_facts.status == "over":
            return "over"
        if booking_facts.has_begun or now >= booking_facts.starts_at:
            return "begun"
    return "too_late" if now > useful_until else None


def is_wanted(kind: str, channel: Channel, preferences: Preferences) -> bool:
    """What is needed comes by every channel that was not stopped; the page itself shows everything."""
    if channel == "in_app":
        return True
    if channel in preferences.stopped:
        return False
    if kind in NEEDED:
        return True
    return not preferences.off & {channel, kind, REMINDER if is_reminder(kind) else kind}


def after_quiet_hours(
    moment: datetime, quiet: tuple[time, time] | None, zone: tzinfo, urgency: Urgency, useful_until: datetime
) -> datetime:
    """When it may disturb: now, or at the end of the quiet hours of the person's own clock.

    What is urgent, or would be useless by then, does not wait.
    """
    if quiet is None or urgency == "urgent":
        return moment
    local = moment.astimezone(zone)
    begins, ends = quiet
    is_quiet = begins <= local.time() < ends if begins <= ends else not ends <= local.time() < begins
    if not is_quiet:
        return moment
    day = local.date() if local.time() < ends else local.date() + timedelta(days=1)
    wakes_at = datetime.combine(day, ends, tzinfo=zone)
    return moment if wakes_at >= useful_until else wakes_at.astimezone(moment.tzinfo)


def instead_of(kind: str, side: Side, channel: Channel, urgency: Urgency) -> Channel | None:
    """Which channel takes over where one reaches nobody: SMS for a push that is urgent, or that a customer waits for.

    An offer is open for a minute and goes to several: a paid message that comes too late helps nobody.
    """
    if channel != "push" or kind == NEW_OFFER:
        return None
    return "sms" if urgency == "urgent" or (kind, side) == (MESSAGE_WAITING, "customer") else None
