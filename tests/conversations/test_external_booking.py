"""A booking of another system follows its news, however late, often or out of order they come."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from conversations.external_booking import (
    KEPT,
    TRANSITIONS,
    Cancelled,
    Confirmed,
    Customer,
    DeadlinePassed,
    Details,
    ExternalBooking,
    PaymentConfirmed,
    PaymentFailed,
    RemindersWanted,
    Status,
    decide,
)
from conversations.money.amounts import Money
from conversations.notices import Notify

NOW = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
PRICE = Money(2_500, "USD")
CUSTOMER = Customer("Budi", "en", "Asia/Jakarta", "+6281234567890", "budi@example.com")
DETAILS = Details(CUSTOMER, "Fade Street", "Sam", "Haircut", NOW + 24 * HOUR, 60, PRICE, "Jl. Melati 1")
LATER = replace(DETAILS, starts_at=DETAILS.starts_at + HOUR)
ELSEWHERE = replace(DETAILS, address="Jl. Kenanga 2")
NEW = ExternalBooking("x_1")


def told(*events: Any, to: ExternalBooking = NEW, now: datetime = NOW) -> tuple[ExternalBooking, list[tuple[str, int]]]:
    """The record after all of these, and of what its people were told: the occasion, and of which revision."""
    said: list[tuple[str, int]] = []
    for event in events:
        decision = decide(to, event, now)
        assert decision.refusal is None
        assert all(isinstance(effect, Notify) for effect in decision.effects)
        said += [(effect.occasion, effect.revision) for effect in decision.effects]
        to = decision.record
    return to, said


def said_by(*events: Any) -> list[tuple[str, int]]:
    return told(*events)[1]


CONFIRMED = Confirmed(reference="77", details=DETAILS)
CANCELLED = Cancelled(reference="77", details=DETAILS, reason="ill", refund=PRICE)


def test_a_confirmed_booking_is_told_once_however_often_it_is_said() -> None:
    booking, said = told(CONFIRMED, CONFIRMED, replace(CONFIRMED, told=0))
    assert said == [("confirmed", 1)]
    assert (booking.state, booking.details, booking.revision) == (Status.CONFIRMED, DETAILS, 1)
    assert (booking.reference, booking.created_at, booking.expires_at) == ("77", NOW, DETAILS.ends_at)
    assert booking.remove_at is None


@pytest.mark.parametrize("moved", [LATER, ELSEWHERE, replace(DETAILS, duration=90)], ids=["time", "place", "length"])
def test_another_time_or_place_is_a_move_with_a_revision_of_its_own(moved: Details) -> None:
    booking, said = told(CONFIRMED, replace(CONFIRMED, details=moved))
    assert said == [("confirmed", 1), ("moved", 2)]
    assert (booking.details, booking.expires_at) == (moved, moved.ends_at)


def test_another_name_or_number_is_kept_and_moves_nobody() -> None:
    renamed = replace(DETAILS, customer=replace(CUSTOMER, name="Budi Santoso", phone="+6281377788899"))
    booking, said = told(CONFIRMED, replace(CONFIRMED, details=renamed))
    assert said == [("confirmed", 1)]
    assert booking.details == renamed


def test_what_is_not_said_again_still_holds() -> None:
    silent = replace(DETAILS, price=None, address=None, customer=replace(CUSTOMER, phone=None, email=None))
    booking, said = told(CONFIRMED, replace(CONFIRMED, details=silent))
    assert said == [("confirmed", 1)]
    assert booking.details == DETAILS


def test_reminders_alone_are_planned_for_people_who_know() -> None:
    wanted = RemindersWanted(details=DETAILS)
    assert said_by(wanted, CONFIRMED) == [("scheduled", 1)]
    assert said_by(CONFIRMED, wanted) == [("confirmed", 1), ("scheduled", 1)]


def test_a_cancelled_booking_says_why_and_what_is_given_back() -> None:
    booking, said = told(CONFIRMED, CANCELLED, CANCELLED)
    assert said == [("confirmed", 1), ("cancelled", 1)]
    assert decide(booking, CANCELLED, NOW + HOUR).record == booking, "once more is no news"
    assert (booking.state, booking.cancel_reason, booking.refund) == (Status.CANCELLED, "ill", PRICE)
    assert (booking.expires_at, booking.remove_at) == (None, NOW + KEPT)


def test_a_booking_that_comes_back_is_told_again_under_a_new_revision() -> None:
    booking, said = told(CONFIRMED, CANCELLED, CONFIRMED)
    assert said == [("confirmed", 1), ("cancelled", 1), ("confirmed", 2)]
    assert (booking.cancel_reason, booking.refund, booking.remove_at) == (None, None, None)
    assert said_by(CONFIRMED, CANCELLED, replace(CONFIRMED, details=LATER))[-1] == ("confirmed", 2)


# --- late, often and out of order -------------------------------------------------------------------------------------


def test_older_news_by_its_number_changes_nothing() -> None:
    created, moved = replace(CONFIRMED, told=1), replace(CONFIRMED, told=2, details=LATER)
    cancelled = replace(CANCELLED, told=3)
    assert said_by(moved, created) == [("confirmed", 1)]
    assert said_by(created, moved, created, moved) == [("confirmed", 1), ("moved", 2)]
    booking, said = told(cancelled, created, moved)
    assert said == [("cancelled", 1)], "the cancellation overtook the booking"
    assert booking.state is Status.CANCELLED


def test_older_news_by_its_moment_changes_nothing() -> None:
    created = replace(CONFIRMED, said_at=NOW)
    cancelled = replace(CANCELLED, said_at=NOW + HOUR)
    assert said_by(cancelled, created) == [("cancelled", 1)]
    assert said_by(created, created, cancelled, cancelled) == [("confirmed", 1), ("cancelled", 1)]


def test_a_number_counts_more_than_a_moment() -> None:
    first = replace(CONFIRMED, told=1, said_at=NOW + HOUR)
    second = replace(CONFIRMED, told=2, said_at=NOW, details=LATER)
    assert said_by(first, second) == [("confirmed", 1), ("moved", 2)]


# --- money ------------------------------------------------------------------------------------------------------------

PAID = PaymentConfirmed(money=PRICE, payment="pi_1", said_at=NOW)
FAILED = PaymentFailed(payment="pi_1", reason="card_declined", said_at=NOW)


def test_a_payment_is_told_once() -> None:
    booking, said = told(CONFIRMED, PAID, PAID, replace(PAID, said_at=None))
    assert said == [("confirmed", 1), ("payment_confirmed", 1)]
    assert booking.payment is not None
    assert booking.payment.money == PRICE


def test_money_that_came_is_not_undone_by_an_older_failure() -> None:
    later = replace(PAID, said_at=NOW + HOUR)
    assert said_by(CONFIRMED, later, FAILED) == [("confirmed", 1), ("payment_confirmed", 1)]
    assert said_by(CONFIRMED, PAID, FAILED) == [("confirmed", 1), ("payment_confirmed", 1)], "in the same second"
    assert said_by(CONFIRMED, replace(PAID, said_at=None), FAILED)[1:] == [("payment_confirmed", 1)]


def test_a_failed_payment_may_be_mended() -> None:
    assert said_by(CONFIRMED, FAILED, PAID)[1:] == [("payment_failed", 1), ("payment_confirmed", 1)]
    without = (replace(FAILED, said_at=None), replace(PAID, said_at=None))
    assert said_by(CONFIRMED, *without)[1:] == [("payment_failed", 1), ("payment_confirmed", 1)]


def test_each_payment_that_fails_is_told_by_its_own_id() -> None:
    booking, said = decide(NEW, CONFIRMED, NOW).record, []
    for payment in ("pi_1", "pi_2", None):
        decision = decide(booking, replace(FAILED, payment=payment, said_at=None), NOW)
        booking = decision.record
        said += [effect.about for effect in decision.effects]
    assert said == ["pi_1", "pi_2", ""]


def test_a_payment_without_an_amount_is_of_the_price() -> None:
    booking, _ = told(CONFIRMED, PaymentConfirmed())
    assert booking.payment is not None
    assert booking.payment.money == PRICE


def test_a_payment_moves_no_booking_and_may_introduce_one() -> None:
    booking, said = told(CONFIRMED, replace(PAID, details=LATER))
    assert said == [("confirmed", 1), ("payment_confirmed", 1)]
    assert booking.details == DETAILS
    booking, said = told(replace(PAID, details=DETAILS), CONFIRMED)
    assert said == [("payment_confirmed", 1), ("confirmed", 1)]
    assert booking.remove_at is None


def test_a_payment_of_nothing_that_is_known_changes_nothing() -> None:
    assert told(PAID, FAILED) == (NEW, [])


def test_a_payment_does_not_make_news_of_the_booking_old() -> None:
    paid = replace(PAID, said_at=NOW + HOUR)
    assert said_by(CONFIRMED, paid, replace(CONFIRMED, said_at=NOW, details=LATER))[-1] == ("moved", 2)


# --- the end ----------------------------------------------------------------------------------------------------------


def test_an_appointment_is_over_when_its_time_has_passed_and_not_before() -> None:
    confirmed, _ = told(CONFIRMED)
    assert decide(confirmed, DeadlinePassed(), DETAILS.ends_at - HOUR).record == confirmed
    over = decide(confirmed, DeadlinePassed(), DETAILS.ends_at).record
    assert (over.state, over.expires_at, over.remove_at) == (Status.OVER, None, DETAILS.ends_at + KEPT)


def test_what_is_over_is_not_confirmed_any_more_but_may_come_again() -> None:
    confirmed, _ = told(CONFIRMED)
    after = DETAILS.ends_at + HOUR
    over = decide(confirmed, DeadlinePassed(), after).record
    for event in (CONFIRMED, RemindersWanted(details=DETAILS)):
        booking, said = told(event, to=over, now=after)
        assert (booking.state, said) == (Status.OVER, [])
    again = replace(DETAILS, starts_at=after + 24 * HOUR)
    booking, said = told(replace(CONFIRMED, details=again), to=over, now=after)
    assert (booking.state, said) == (Status.CONFIRMED, [("moved", 2)])


def test_every_row_is_a_kind_of_news() -> None:
    assert {event for rows in TRANSITIONS.values() for event in rows} == {
        *(Confirmed, RemindersWanted, Cancelled, PaymentConfirmed, PaymentFailed),
        DeadlinePassed,
    }
