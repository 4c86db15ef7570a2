"""What a notice says in short, in English: a title and a body by kind and side, for a phone's screen and a feed.

The English text is the msgid of the catalogs. Parameters: `service`, `when` (by the clock, so that a late notice is
still true), `other` (whom the reader meets), `reference`, `amount`, `duration` in minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from conversations import notices
from conversations.notices import Side
from conversations.replies import N_


class Text(NamedTuple):
    """`bare` is said instead of `body` where something that the body mentions is not known."""

    title: str
    body: str
    bare: str


_NEXT_VISIT = (N_("{service} for {other}, {when}."), N_("{service}, {when}."))
_WHEN = (N_("{service} with {other}, {when}."), N_("{service}, {when}."))
_WRITTEN = (N_("{other} has written to you."), N_("There is a new message for you."))

TEXTS: Mapping[tuple[str, Side], Text] = {
    (notices.BOOKING_CONFIRMED, "customer"): Text(N_("Your booking is confirmed"), *_WHEN),
    (notices.NEW_BOOKING, "therapist"): Text(N_("You have a new booking"), *_NEXT_VISIT),
    (notices.BOOKING_MOVED, "customer"): Text(
        N_("Your booking has a new time"),
        N_("New time of {service} with {other}: {when}."),
        N_("New time of {service}: {when}."),
    ),
    (notices.BOOKING_MOVED, "therapist"): Text(
        N_("A booking has a new time"),
        N_("New time of {service} for {other}: {when}."),
        N_("New time of {service}: {when}."),
    ),
    (notices.BOOKING_CANCELLED, "customer"): Text(
        N_("Your booking was cancelled"),
        N_("Cancelled: {service} with {other}, {when}."),
        N_("Cancelled: {service}, {when}."),
    ),
    (notices.BOOKING_CANCELLED, "therapist"): Text(
        N_("A booking was cancelled"),
        N_("Cancelled: {service} for {other}, {when}."),
        N_("Cancelled: {service}, {when}."),
    ),
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
    (notices.STARTS_SOON, "customer"): Text(N_("Your visit begins soon"), *_WHEN),
    (notices.STARTS_SOON, "therapist"): Text(N_("Your visit begins soon"), *_NEXT_VISIT),
    (notices.REMINDER, "customer"): Text(N_("A reminder of your visit"), *_WHEN),
    (notices.REMINDER, "therapist"): Text(N_("Your next visit"), *_NEXT_VISIT),
    (notices.NEW_OFFER, "therapist"): Text(
        N_("A guest is looking for you"),
        N_("{service}, {duration} minutes, for {other}. Please answer now."),
        N_("{service}, {duration} minutes. Please answer now."),
    ),
    (notices.MESSAGE_WAITING, "customer"): Text(N_("New message"), *_WRITTEN),
    (notices.MESSAGE_WAITING, "therapist"): Text(N_("New message"), *_WRITTEN),
}

A_VISIT = N_("Your visit")
"""Of a service that nobody has named."""


def text_of(kind: str, side: Side) -> Text | None:
    """What a kind says to this side, or to the other where it is meant for that alone; None of an unknown kind."""
    name = notices.REMINDER if kind.startswith(notices.REMINDER) else kind
    other: Side = "therapist" if side == "customer" else "customer"
    return TEXTS.get((name, side)) or TEXTS.get((name, other))
