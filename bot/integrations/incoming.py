"""What the events of other systems mean here: the turns that the webhooks of each sender lead to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from bot.clock import Now
from bot.errors import Refusal
from bot.integrations.booking_news import BookingNews, Understood, WizardEvent, understand
from bot.integrations.inbox import Handle, Senseless, TooEarly
from bot.schemas.parsing import parse
from bot.settings.settings import Settings
from bot.store.codec import from_document
from bot.store.inbox import InboxEvent
from bot.store.kinds import BOOKING, EXTERNAL_BOOKING
from bot.store.preferences import PreferencesStore
from bot.store.records import Records
from bot.turns.turns import Actor, Integrator, Turns
from conversations import booking as ours
from conversations import external_booking as theirs
from conversations.ids import derived_id
from conversations.money.amounts import Money

STRIPE, WIZARD, TWILIO = "stripe", "booking-wizard", "twilio"
SENDERS = (STRIPE, WIZARD, TWILIO)
OUR_BOOKING = re.compile(r"b_[0-9a-f]{24}")
LATEST_MOMENT = 2**32
PAYMENT_EVENTS = frozenset({"payment_intent.succeeded", "payment_intent.payment_failed"})

Occurrence = Literal["booking-confirmed", "payment-confirmed", "booking-cancelled", "payment-failed", "scheduled"]


def record_id(owner: str, reference: str) -> str:
    """Ours for a booking of another system; two systems may well have the same ids."""
    return derived_id("x", owner, reference)


def event_of(occurrence: Occurrence, news: BookingNews, understood: Understood) -> theirs.Event:
    """What happened to a booking of another system."""
    told: dict[str, Any] = {
        "reference": news.booking_id,
        "details": understood.details,
        "told": news.revision or 0,
        "said_at": understood.said_at,
    }
    match occurrence:
        case "booking-confirmed":
            return theirs.Confirmed(**told)
        case "scheduled":
            return theirs.RemindersWanted(**told)
        case "booking-cancelled":
            return theirs.Cancelled(**told, reason=news.reason, refund=understood.refund)
        case "payment-confirmed":
            return theirs.PaymentConfirmed(**told, money=understood.details.price, payment=news.payment_intent)
        case "payment-failed":
            return theirs.PaymentFailed(**told, payment=news.payment_intent, reason=news.reason)


@dataclass(frozen=True, slots=True)
class Incoming:
    """`handlers()` is for the inbox."""

    settings: Settings
    turns: Turns
    bookings: Records[ours.Booking]
    external_bookings: Records[theirs.ExternalBooking]
    preferences: PreferencesStore
    now: Now

    def handlers(self) -> Mapping[str, Handle]:
        return {STRIPE: self._stripe, WIZARD: self._wizard, TWILIO: self._twilio}

    async def _wizard(self, event: InboxEvent) -> None:
        try:
            told = parse(WizardEvent, event.body)
        except Refusal:  # it was valid when it came, by the rules of that day
            raise Senseless("invalid") from None
        is_cancelled = told.type == "booking.cancelled" or told.data.booking_status == "cancelled"
        occurrence: Occurrence = "booking-cancelled" if is_cancelled else "booking-confirmed"
        news = event_of(occurrence, told.data, understand(told.data, self.settings))
        await self.turns.take(EXTERNAL_BOOKING, record_id(WIZARD, told.data.booking_id), news, by=Integrator(WIZARD))

    async def _twilio(self, event: InboxEvent) -> None:
        """A word that somebody wrote to the number that our short messages come from."""
        subject_id = event.body["subject_id"]
        if event.kind == "stop":
            await self.preferences.stop(subject_id, "sms", self.now())
        else:
            await self.preferences.start_again(subject_id, "sms", self.now())

    async def _stripe(self, event: InboxEvent) -> None:
        payment: StripePayment = from_document(event.body, StripePayment)
        if OUR_BOOKING.fullmatch(payment.booking_id):
            await self._pay_ours(payment, Integrator(STRIPE))
        else:
            await self._pay_theirs(payment, Integrator(STRIPE))

    async def _pay_ours(self, payment: StripePayment, by: Actor) -> None:
        if await self.bookings.load(payment.booking_id) is None:
            raise TooEarly
        event: ours.Event = ours.PaymentFailed(payment.id)
        if payment.is_paid:
            event = ours.PaymentConfirmed(payment.id, payment.money)
        await self.turns.take(BOOKING, payment.booking_id, event, by=by)

    async def _pay_theirs(self, payment: StripePayment, by: Actor) -> None:
        """By our id of the booking, or by the id that its own system has for it."""
        known = {"$or": [{"_id": payment.booking_id}, {"reference": payment.booking_id}]}
        found = await self.external_bookings.find(known, limit=2)
        if not found:
            raise TooEarly
        if len(found) > 1:
            raise Senseless("ambiguous")
        event: theirs.Event = theirs.PaymentFailed(payment=payment.id, reason=payment.why, said_at=payment.said_at)
        if payment.is_paid:
            event = theirs.PaymentConfirmed(money=payment.money, payment=payment.id, said_at=payment.said_at)
        await self.turns.take(EXTERNAL_BOOKING, found[0].id, event, by=by)


@dataclass(frozen=True, slots=True)
class StripePayment:
    """What a PaymentIntent of Stripe says that concerns us."""

    id: str
    booking_id: str
    is_paid: bool
    money: Money
    said_at: datetime
    why: str | None


def payment_of(body: Mapping[str, Any]) -> StripePayment | None:
    """The payment of an event, None where it is not about a booking or is not put as Stripe puts it."""
    intent = _mapping(_mapping(body, "data"), "object")
    booking_id = _mapping(intent, "metadata").get("booking_id")
    payment_id, amount, currency = intent.get("id"), intent.get("amount_received"), intent.get("currency")
    created = body.get("created")
    is_dated = isinstance(created, int) and 0 < created < LATEST_MOMENT
    is_whole = isinstance(payment_id, str) and isinstance(currency, str) and is_dated
    if not is_whole or not isinstance(booking_id, str) or not booking_id:
        return None
    why = _mapping(intent, "last_payment_error").get("code")
    return StripePayment(
        id=str(payment_id),
        booking_id=booking_id,
        is_paid=body.get("type") == "payment_intent.succeeded",
        money=Money(amount if isinstance(amount, int) else 0, str(currency).upper()),
        said_at=datetime.fromtimestamp(int(created or 0), UTC),
        why=why if isinstance(why, str) else None,
    )


def _mapping(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = value.get(name)
    return found if isinstance(found, Mapping) else {}
