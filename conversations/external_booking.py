"""The life of a booking that is kept by another system: what it told us of it, and what people are to hear.

The other system decides; we only follow. Its news may come twice, late or in the wrong order: each says how new it is
by a revision of its own (`told`) or by its moment (`said_at`), and what is older than the last news changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal

from conversations.money.amounts import Money
from conversations.notices import Notify, Occasion
from conversations.values import Locale

# How long what we were told of a person is kept when their appointment is over.
KEPT = timedelta(days=90)


class Status(StrEnum):
    NEW = "new"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class Customer:
    """Whom it is for; `phone` is E.164. What could not be read of their addresses is None.

    `reference` is what the other system calls the person.
    """

    name: str
    locale: Locale
    timezone: str
    phone: str | None = None
    email: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Details:
    """What was booked, with whom and where, as the other system says it; `duration` is in minutes."""

    customer: Customer
    brand: str
    provider_name: str
    service_name: str
    starts_at: datetime
    duration: int
    price: Money | None = None
    address: str | None = None

    @property
    def ends_at(self) -> datetime:
        return self.starts_at + timedelta(minutes=self.duration)


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """What another system says. `reference` is its own id of the booking; without details nothing new is told of it."""

    reference: str = ""
    details: Details | None = None
    told: int = 0
    """Its own revision of the booking, 0 where it counts none."""
    said_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed(News):
    """The appointment stands like this, for the first time or in another way than before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RemindersWanted(News):
    """The appointment stands and its people know: they are only to be reminded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled(News):
    reason: str | None = None
    refund: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentConfirmed(News):
    """`payment` is what the payment provider calls it, where that is known."""

    money: Money | None = None
    payment: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFailed(News):
    payment: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """A ring: whether the appointment is over is decided by `expires_at` in the record."""


Event = Confirmed | RemindersWanted | Cancelled | PaymentConfirmed | PaymentFailed | DeadlinePassed


@dataclass(frozen=True, slots=True)
class Payment:
    """How the last payment ended; `said_at` is the payment provider's moment of it."""

    state: Literal["paid", "failed"]
    money: Money | None = None
    payment: str | None = None
    said_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ExternalBooking:
    """The record of one booking of another system. `revision` rises when the time or the place changes."""

    id: str
    version: int = 0
    state: Status = Status.NEW
    revision: int = 0
    reference: str = ""
    details: Details | None = field(default=None, repr=False)
    told: int = 0
    said_at: datetime | None = None
    payment: Payment | None = None
    cancel_reason: str | None = field(default=None, repr=False)
    refund: Money | None = None
    is_announced: bool = False
    """Whether people have been told that it is confirmed."""
    created_at: datetime | None = None
    expires_at: datetime | None = None
    remove_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    record: ExternalBooking
    effects: tuple[Notify, ...] = ()
    refusal: str | None = None


Handler = Callable[[ExternalBooking, Any, datetime], Decision]


def decide(booking: ExternalBooking, event: Event, now: datetime) -> Decision:
    """The one way such a booking changes; an event without a row, or one that is no news, changes nothing."""
    handler = TRANSITIONS[booking.state].get(type(event))
    return handler(booking, event, now) if handler else Decision(booking)


def _confirm(booking: ExternalBooking, event: Confirmed, now: datetime) -> Decision:
    if _is_old(booking, event):
        return Decision(booking)
    confirmed = _standing(booking, event, now)
    if confirmed.state is Status.OVER:
        return Decision(confirmed)
    if not booking.is_announced or booking.state is Status.CANCELLED:
        return _notified(replace(confirmed, is_announced=True), "confirmed")
    return _notified(confirmed, "moved") if confirmed.revision > booking.revision else Decision(confirmed)


def _remind(booking: ExternalBooking, event: RemindersWanted, now: datetime) -> Decision:
    if _is_old(booking, event):
        return Decision(booking)
    standing = replace(_standing(booking, event, now), is_announced=True)
    return Decision(standing) if standing.state is Status.OVER else _notified(standing, "scheduled")


def _cancel(booking: ExternalBooking, event: Cancelled, now: datetime) -> Decision:
    if _is_old(booking, event):
        return Decision(booking)
    known = _informed(booking, event, now)
    cancelled = replace(
        known,
        state=Status.CANCELLED,
        cancel_reason=event.reason,
        refund=event.refund,
        expires_at=None,
        remove_at=now + KEPT,
    )
    if booking.state is Status.CANCELLED:
        return Decision(replace(cancelled, remove_at=booking.remove_at))
    return _notified(cancelled, "cancelled") if known.details else Decision(cancelled)


def _pay(booking: ExternalBooking, event: PaymentConfirmed, now: datetime) -> Decision:
    price = booking.details.price if booking.details else None
    return _settle(booking, event, now, Payment("paid", event.money or price, event.payment, event.said_at))


def _fail(booking: ExternalBooking, event: PaymentFailed, now: datetime) -> Decision:
    return _settle(booking, event, now, Payment("failed", None, event.payment, event.said_at))


def _settle(
    booking: ExternalBooking, event: PaymentConfirmed | PaymentFailed, now: datetime, payment: Payment
) -> Decision:
    """Money has an order of its own, and says nothing of when and where, but of a booking that nobody knew."""
    if booking.payment is not None and not _is_newer(payment, booking.payment):
        return Decision(booking)
    news = News(reference=event.reference, details=None if booking.details else event.details)
    known = _informed(booking, news, now)
    if known.details is None:
        return Decision(booking)
    occasion: Occasion = "payment_confirmed" if payment.state == "paid" else "payment_failed"
    remove_at = known.details.ends_at + KEPT if known.state is Status.NEW else known.remove_at
    return _notified(replace(known, payment=payment, remove_at=remove_at), occasion, payment.payment or "")


def _ring(booking: ExternalBooking, event: DeadlinePassed, now: datetime) -> Decision:
    if booking.expires_at is None or now < booking.expires_at:
        return Decision(booking)
    return Decision(replace(booking, state=Status.OVER, expires_at=None, remove_at=now + KEPT))


def _is_old(booking: ExternalBooking, event: News) -> bool:
    """Where both count, the numbers decide; else the moments, where both have one."""
    if event.told and booking.told:
        return event.told <= booking.told
    return event.said_at is not None and booking.said_at is not None and event.said_at <= booking.said_at


def _is_newer(payment: Payment, known: Payment) -> bool:
    if payment.said_at and known.said_at:
        # Providers count in whole seconds: of the same one, the money that came is the later news.
        return (payment.said_at, payment.state == "paid") > (known.said_at, known.state == "paid")
    if payment.state == "failed":
        return payment.payment is None or payment.payment != known.payment or known.state == "failed"
    return replace(payment, said_at=None) != replace(known, said_at=None)


def _standing(booking: ExternalBooking, event: News, now: datetime) -> ExternalBooking:
    """The appointment as it stands after this; what it gave back when it was cancelled is forgotten."""
    known = _informed(booking, event, now)
    assert known.details is not None, "an appointment that stands has been described"
    # Cancelled and confirmed again: nobody may take the old notices for news of this one.
    is_revived = booking.state is Status.CANCELLED and known.revision == booking.revision
    is_over = known.details.ends_at <= now
    return replace(
        known,
        state=Status.OVER if is_over else Status.CONFIRMED,
        cancel_reason=None,
        refund=None,
        revision=known.revision + is_revived,
        expires_at=None if is_over else known.details.ends_at,
        remove_at=now + KEPT if is_over else None,
    )


def _informed(booking: ExternalBooking, event: News, now: datetime) -> ExternalBooking:
    """The record with what the news says of the booking itself."""
    details = _merged(booking.details, event.details)
    is_moved = details is not None and (booking.details is None or _visit(details) != _visit(booking.details))
    return replace(
        booking,
        reference=event.reference or booking.reference,
        details=details,
        revision=booking.revision + is_moved,
        told=max(event.told, booking.told),
        said_at=_latest(event.said_at, booking.said_at),
        created_at=booking.created_at or now,
    )


def _merged(known: Details | None, said: Details | None) -> Details | None:
    """What is not said again still holds."""
    if known is None or said is None:
        return said or known
    customer = replace(
        said.customer,
        phone=said.customer.phone or known.customer.phone,
        email=said.customer.email or known.customer.email,
    )
    return replace(said, customer=customer, price=said.price or known.price, address=said.address or known.address)


def _visit(details: Details) -> tuple[datetime, int, str | None]:
    """When and where: what makes people come at another time or to another place."""
    return details.starts_at, details.duration, details.address


def _latest(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)


def _notified(booking: ExternalBooking, occasion: Occasion, about: str = "") -> Decision:
    return Decision(booking, (Notify(occasion, booking.revision, about),))


_NEWS: Mapping[type[Any], Handler] = {
    Confirmed: _confirm,
    RemindersWanted: _remind,
    Cancelled: _cancel,
    PaymentConfirmed: _pay,
    PaymentFailed: _fail,
}

TRANSITIONS: Mapping[Status, Mapping[type[Any], Handler]] = {
    Status.NEW: _NEWS,
    Status.CONFIRMED: {**_NEWS, DeadlinePassed: _ring},
    Status.CANCELLED: _NEWS,
    Status.OVER: _NEWS,
}
