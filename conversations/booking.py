"""The life of a booking: what was ordered, who comes, how it ended and who earns what.

A booking moves only when its conversation says so, and waits in no state on its own: the clocks are the conversation's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from conversations.money.amounts import Money, split
from conversations.notices import Notify, Occasion
from conversations.values import Party, Rating, Step, Therapist, Visit


class Status(StrEnum):
    NEW = "new"
    SEARCHING = "searching"
    PENDING_ACCEPT = "pending_accept"
    ACTIVE = "active"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    NO_SHOW = "no_show"


FAILED = "failed:"
ENDED_STATUSES = (Status.COMPLETED, Status.CANCELLED, Status.EXPIRED, Status.NO_SHOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What the conversation tells its booking; `told` is the version of it that said so, 0 where nobody counts.

    A slow process may tell again what another has told long ago: only what is newer than the last news counts.
    """

    told: int = 0


@dataclass(frozen=True, slots=True)
class BookingOpened(News):
    conversation_id: str
    visit: Visit
    commission_basis_points: int


@dataclass(frozen=True, slots=True)
class TherapistProposed(News):
    therapist: Therapist


@dataclass(frozen=True, slots=True)
class TherapistReturned(News):
    """The proposed therapist goes back, or the booked one withdrew: the booking looks for another."""


@dataclass(frozen=True, slots=True)
class TherapistBooked(News):
    """The guest accepted and the therapist's time is reserved; the therapist arrives by `arrives_by`."""

    therapist: Therapist
    reservation_id: str
    arrives_by: datetime


@dataclass(frozen=True, slots=True)
class VisitProgressed(News):
    step: Step


@dataclass(frozen=True, slots=True)
class VisitCompleted(News):
    pass


@dataclass(frozen=True, slots=True)
class RatingGiven(News):
    """What the guest thought of the completed visit; the last word counts."""

    rating: Rating


@dataclass(frozen=True, slots=True)
class GuestMissed(News):
    """Nobody came to the visit, or nobody was there."""


@dataclass(frozen=True, slots=True)
class BookingCancelled(News):
    by: Party
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class BookingExpired(News):
    pass


@dataclass(frozen=True, slots=True)
class PaymentConfirmed(News):
    """The provider has the money; `payment_id` is what it calls the payment."""

    payment_id: str
    amount: Money


@dataclass(frozen=True, slots=True)
class PaymentFailed(News):
    payment_id: str


@dataclass(frozen=True, slots=True)
class GuestErased(News):
    """The guest wants to be forgotten: what was ordered, when, for how much and who came stays."""


Event = (
    BookingOpened
    | TherapistProposed
    | TherapistReturned
    | TherapistBooked
    | VisitProgressed
    | VisitCompleted
    | RatingGiven
    | GuestMissed
    | BookingCancelled
    | BookingExpired
    | PaymentConfirmed
    | PaymentFailed
    | GuestErased
)


@dataclass(frozen=True, slots=True)
class Booking:
    """The record of one booking; money is filled in when the visit has been completed."""

    id: str
    version: int = 0
    state: Status = Status.NEW
    told: int = 0
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
    rating: Rating | None = None
    revision: int = 0
    """How often it was agreed on who comes and when: people are told of each."""
    paid: Money | None = None
    payments: tuple[str, ...] = ()
    """The payments that were heard of, each once: confirmed ones, and those that failed, as `failed:<id>`."""


@dataclass(frozen=True, slots=True)
class Decision:
    record: Booking
    effects: tuple[Notify, ...] = ()
    refusal: str | None = None


Handler = Callable[[Booking, Any, datetime], Booking]


def decide(booking: Booking, event: Event, now: datetime) -> Decision:
    """The one way a booking changes; an event without a row, or one that is no news, changes nothing."""
    handler = TRANSITIONS[booking.state].get(type(event))
    if handler is None or 0 < event.told <= booking.told:
        return Decision(booking)
    after = replace(handler(booking, event, now), told=max(event.told, booking.told))
    return Decision(after, _notices(booking, after))


def _notices(before: Booking, after: Booking) -> tuple[Notify, ...]:
    """What people are told follows from what has changed, whoever changed it."""
    notices = []
    if after.revision > before.revision:
        notices.append(Notify("confirmed", after.revision))
    if before.state is Status.ACTIVE and after.state in (Status.SEARCHING, Status.CANCELLED):
        notices.append(Notify("cancelled", after.revision))
    if after.state is Status.COMPLETED and before.state is not Status.COMPLETED:
        notices.append(Notify("completed", after.revision))
    for payment in after.payments[len(before.payments) :]:
        notices.append(_money_notice(payment, after.revision))
    return tuple(notices)


def _money_notice(payment: str, revision: int) -> Notify:
    occasion: Occasion = "payment_failed" if payment.startswith(FAILED) else "payment_confirmed"
    return Notify(occasion, revision, payment.removeprefix(FAILED))


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
        revision=booking.revision + 1,
    )


def _progress(booking: Booking, event: VisitProgressed, now: datetime) -> Booking:
    return replace(booking, progress=event.step)


def _complete(booking: Booking, event: VisitCompleted, now: datetime) -> Booking:
    assert booking.visit is not None, "an active booking has a visit"
    shares = split(booking.visit.price, booking.commission_basis_points)
    return replace(
        booking, state=Status.COMPLETED, ended_at=now, commission=shares.commission, earnings=shares.earnings
    )


def _rate(booking: Booking, event: RatingGiven, now: datetime) -> Booking:
    return replace(booking, rating=event.rating)


def _miss(booking: Booking, event: GuestMissed, now: datetime) -> Booking:
    return replace(booking, state=Status.NO_SHOW, ended_at=now)


def _cancel(booking: Booking, event: BookingCancelled, now: datetime) -> Booking:
    return replace(booking, state=Status.CANCELLED, ended_at=now, cancelled_by=event.by, cancel_reason=event.reason)


def _expire(booking: Booking, event: BookingExpired, now: datetime) -> Booking:
    return replace(booking, state=Status.EXPIRED, ended_at=now)


def _pay(booking: Booking, event: PaymentConfirmed, now: datetime) -> Booking:
    if event.payment_id in booking.payments:
        return booking
    return replace(booking, paid=event.amount, payments=(*booking.payments, event.payment_id))


def _fail_payment(booking: Booking, event: PaymentFailed, now: datetime) -> Booking:
    known = f"{FAILED}{event.payment_id}"
    if known in booking.payments or event.payment_id in booking.payments:
        return booking
    return replace(booking, payments=(*booking.payments, known))


def _erase(booking: Booking, event: GuestErased, now: datetime) -> Booking:
    assert booking.visit is not None, "a booking is opened with a visit"
    visit = replace(booking.visit, location=None, contact=None, gender_preference="any", notes=None)
    rating = replace(booking.rating, comment=None) if booking.rating else None
    return replace(booking, visit=visit, rating=rating, cancel_reason=None)


_PAYMENTS: Mapping[type[Any], Handler] = {PaymentConfirmed: _pay, PaymentFailed: _fail_payment}
_ERASURE: Mapping[type[Any], Handler] = {GuestErased: _erase}
_ENDINGS: Mapping[type[Any], Handler] = {BookingCancelled: _cancel, BookingExpired: _expire}

TRANSITIONS: Mapping[Status, Mapping[type[Any], Handler]] = {
    Status.NEW: {BookingOpened: _open},
    Status.SEARCHING: {TherapistProposed: _propose, **_ENDINGS, **_PAYMENTS, **_ERASURE},
    Status.PENDING_ACCEPT: {TherapistReturned: _return, TherapistBooked: _book, **_ENDINGS, **_PAYMENTS, **_ERASURE},
    Status.ACTIVE: {
        VisitProgressed: _progress,
        VisitCompleted: _complete,
        GuestMissed: _miss,
        TherapistReturned: _return,
        **_ENDINGS,
        **_PAYMENTS,
        **_ERASURE,
    },
    Status.COMPLETED: {RatingGiven: _rate, **_PAYMENTS, **_ERASURE},
    Status.CANCELLED: {**_PAYMENTS, **_ERASURE},
    Status.EXPIRED: {**_PAYMENTS, **_ERASURE},
    Status.NO_SHOW: {**_PAYMENTS, **_ERASURE},
}
