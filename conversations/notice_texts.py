"""What a notice says in short, in English: a title and a body by kind and side, for a phone's screen and a feed.

The English text is the msgid of the catalogs. Parameters: `service`, `when` (by the clock, so that a late notice is
still true), `other` (whom the reader meets), `reference`, `amount`, `duration` in minutes, `refund` and `kept`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from conversations import notices
from conversations.money.amounts import Money
from conversations.notices import BookingFacts, Side
from conversations.replies import N_


class Text(NamedTuple):
    """`bare` is said instead of `body` where something that the body mentions is not known."""

    title: str
    body: str
    bare: str


_VISIT_WITH = (N_("{service} with {other}, {when}."), N_("{service}, {when}."))
_VISIT_OF = (N_("{service} for {other}, {when}."), N_("{service}, {when}."))
_WRITTEN = (N_("{other} has written to you."), N_("There is a new message for you."))

TEXTS: Mapping[tuple[str, Side], Text] = {
    (notices.BOOKING_CONFIRMED, "customer"): Text(N_("Your booking is confirmed"), *_VISIT_WITH),
    (notices.NEW_BOOKING, "therapist"): Text(N_("You have a new booking"), *_VISIT_OF),
    (notices.BOOKING_MOVED, "customer"): Text(N_("Your booking has a new time"), *_VISIT_WITH),
    (notices.BOOKING_MOVED, "therapist"): Text(N_("A booking has a new time"), *_VISIT_OF),
    (notices.BOOKING_CANCELLED, "customer"): Text(N_("Your booking was cancelled"), *_VISIT_WITH),
    (notices.BOOKING_CANCELLED, "therapist"): Text(N_("A booking was cancelled"), *_VISIT_OF),
    (notices.PAYMENT_CONFIRMED, "customer"): Text(
        N_("Payment received"),
        N_("We have received {amount} for booking {reference}. Thank you!"),
        N_("We have received your payment for booking {reference}. Thank you!"),
    ),
    (notices.PAYMENT_CONFIRMED, "therapist"): Text(
        N_("Payment received"),
        N_("Booking {reference} of {other} is paid."),
        N_("Booking {reference} is paid."),
    ),
    (notices.PAYMENT_FAILED, "customer"): Text(
        N_("Your payment did not go through"),
        N_("{amount} for booking {reference} could not be paid. Please try again or choose another way to pay."),
        N_("Booking {reference} could not be paid. Please try again or choose another way to pay."),
    ),
    (notices.PAYMENT_FAILED, "therapist"): Text(
        N_("A payment did not go through"),
        N_("Booking {reference} of {other} is not paid yet."),
        N_("Booking {reference} is not paid yet."),
    ),
    (notices.STARTS_SOON, "customer"): Text(N_("Your visit begins soon"), *_VISIT_WITH),
    (notices.STARTS_SOON, "therapist"): Text(N_("Your visit begins soon"), *_VISIT_OF),
    (notices.REMINDER, "customer"): Text(N_("A reminder of your visit"), *_VISIT_WITH),
    (notices.REMINDER, "therapist"): Text(N_("Your next visit"), *_VISIT_OF),
    (notices.NEW_OFFER, "therapist"): Text(
        N_("A guest is looking for you"),
        N_("{service}, {duration} minutes, for {other}. Please answer now."),
        N_("{service}, {duration} minutes. Please answer now."),
    ),
    (notices.MESSAGE_WAITING, "customer"): Text(N_("New message"), *_WRITTEN),
    (notices.MESSAGE_WAITING, "therapist"): Text(N_("New message"), *_WRITTEN),
}

Settlement = Literal["nothing_paid", "refunded", "partly_refunded", "kept", "all_kept"]

# What a customer whose booking was cancelled is told of their money.
SETTLEMENTS: Mapping[str, str] = {
    "nothing_paid": N_("Nothing was charged."),
    "refunded": N_("{refund} will be refunded."),
    "partly_refunded": N_("{refund} will be refunded; {kept} is not refundable."),
    "kept": N_("{kept} is not refundable."),
    "all_kept": N_("The payment is not refundable."),
}

A_VISIT = N_("Your visit")
"""Of a service that nobody has named."""


def text_of(kind: str, side: Side) -> Text | None:
    """What a kind says to this side, or to the other where it is meant for that alone; None of an unknown kind."""
    name = notices.REMINDER if kind.startswith(notices.REMINDER) else kind
    other: Side = "therapist" if side == "customer" else "customer"
    return TEXTS.get((name, side)) or TEXTS.get((name, other))


def settlement_of(booking_facts: BookingFacts) -> tuple[Settlement | None, Money | None]:
    """What becomes of the money of a cancelled booking, and how much of it is kept.

    None while it stands, and where money was taken, by us or another system, and nobody has said what becomes of it.
    """
    refund, price = booking_facts.refund, booking_facts.price
    if booking_facts.status != "cancelled":
        return None, None
    if refund is None:
        is_known_unpaid = booking_facts.conversation_id is not None and booking_facts.paid is None
        return ("nothing_paid" if is_known_unpaid else None), None
    kept = Money(price.amount - refund.amount, price.currency) if price and price.currency == refund.currency else None
    if refund.amount <= 0:
        return ("kept", kept) if kept and kept.amount > 0 else ("all_kept", None)
    return ("partly_refunded", kept) if kept and kept.amount > 0 else ("refunded", None)
