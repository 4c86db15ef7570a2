"""The life of a booking: what was ordered, who comes, how it ended and who earns what.

A booking moves only when its conversation says so, and waits in no state on its own: the clocks are the conversation's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from conversations.money import Money, split
from conversations.values import Party, Step, Therapist, Visit


class Status(StrEnum):
    NEW = "new"
    SEARCHING = "searching"
    PENDING_ACCEPT = "pending_accept"
    ACTIVE = "active"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    NO_SHOW = "no_show"


@dataclass(frozen=True, slots=True)
class BookingOpened:
    conversation_id: str
    visit: Visit
    commission_basis_points: int


@dataclass(frozen=True, slots=True)
class TherapistProposed:
    therapist: Therapist


@dataclass(frozen=True, slots=True)
class TherapistReturned:
    """The proposed therapist goes back, or the booked one withdrew: the booking looks for another."""


@dataclass(frozen=True, slots=True)
class TherapistBooked:
    """The guest accepted and the therapist's time is reserved; the therapist arrives by `arrives_by`."""

    therapist: Therapist
    reservation_id: str
    arrives_by: datetime


@dataclass(frozen=True, slots=True)
class VisitProgressed:
    step: Step


@dataclass(frozen=True, slots=True)
class VisitCompleted:
    pass


@dataclass(frozen=True, slots=True)
class GuestMissed:
    """Nobody came to the visit, or nobody was there."""


@dataclass(frozen=True, slots=True)
class BookingCancelled:
    by: Party
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class BookingExpired:
    pass


Event = (
    BookingOpened
    | TherapistProposed
    | TherapistReturned
    | TherapistBooked
    | VisitProgressed
    | VisitCompleted
    | GuestMissed
    | BookingCancelled
    | BookingExpired
)


@dataclass(frozen=True, slots=True)
class Booking:
    """The record of one booking; money is filled in when the visit has been completed."""

    id: str
    version: int = 0
    state: Status = Status.NEW
    expires_at: datetime | None = None
    conversation_id: str = ""
    visit: Visit | None = None
    therapist: Therapist | None = None
    reservation_id: str | None = None
    progress: Step | None = None
    created_at: datetime | None = None
    arrives_by: datetime | None = None
    ended_at: datetime | None = None
    cancelled_by: Party | None = None
    cancel_reason: str | None = None
    commission_basis_points: int = 0
    commission: Money | None = None
    earnings: Money | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    record: Booking
    effects: tuple[Any, ...] = ()
    refusal: str | None = None


Handler = Callable[[Booking, Any, datetime], Booking]


def decide(booking: Booking, event: Event, now: datetime) -> Decision:
    """The one way a booking changes; an event without a row changes nothing."""
    handler = TRANSITIONS[booking.state].get(type(event))
    return Decision(booking if handler is None else handler(booking, event, now))


def _open(booking: Booking, event: BookingOpened, now: datetime) -> Booking:
    return replace(
        booking,
        state=Status.SEARCHING,
        conversation_id=event.conversation_id,
        visit=event.visit,
        commission_basis_points=event.commission_basis_points,
        created_at=now,
    )


def _propose(booking: Booking, event: TherapistProposed, now: datetime) -> Booking:
    return replace(booking, state=Status.PENDING_ACCEPT, therapist=event.therapist)


def _return(booking: Booking, event: TherapistReturned, now: datetime) -> Booking:
    return replace(
        booking,
        state=Status.SEARCHING,
        therapist=None,
        reservation_id=None,
        progress=None,
        arrives_by=None,
    )


def _book(booking: Booking, event: TherapistBooked, now: datetime) -> Booking:
    return replace(
        booking,
        state=Status.ACTIVE,
        therapist=event.therapist,
        reservation_id=event.reservation_id,
        arrives_by=event.arrives_by,
    )


def _progress(booking: Booking, event: VisitProgressed, now: datetime) -> Booking:
    return replace(booking, progress=event.step)


def _complete(booking: Booking, event: VisitCompleted, now: datetime) -> Booking:
    assert booking.visit is not None, "an active booking has a visit"
    shares = split(booking.visit.price, booking.commission_basis_points)
    return replace(
        booking, state=Status.COMPLETED, ended_at=now, commission=shares.commission, earnings=shares.earnings
    )


def _miss(booking: Booking, event: GuestMissed, now: datetime) -> Booking:
    return replace(booking, state=Status.NO_SHOW, ended_at=now)


def _cancel(booking: Booking, event: BookingCancelled, now: datetime) -> Booking:
    return replace(booking, state=Status.CANCELLED, ended_at=now, cancelled_by=event.by, cancel_reason=event.reason)


def _expire(booking: Booking, event: BookingExpired, now: datetime) -> Booking:
    return replace(booking, state=Status.EXPIRED, ended_at=now)


_ENDINGS: Mapping[type[Any], Handler] = {BookingCancelled: _cancel, BookingExpired: _expire}

TRANSITIONS: Mapping[Status, Mapping[type[Any], Handler]] = {
    Status.NEW: {BookingOpened: _open},
    Status.SEARCHING: {TherapistProposed: _propose, **_ENDINGS},
    Status.PENDING_ACCEPT: {TherapistReturned: _return, TherapistBooked: _book, **_ENDINGS},
    Status.ACTIVE: {
        VisitProgressed: _progress,
        VisitCompleted: _complete,
        GuestMissed: _miss,
        TherapistReturned: _return,
        **_ENDINGS,
    },
    Status.COMPLETED: {},
    Status.CANCELLED: {},
    Status.EXPIRED: {},
    Status.NO_SHOW: {},
}
