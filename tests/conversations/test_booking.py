"""The life of a booking in sentences: what was ordered, who comes, how it ended and who earns what."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from conversations.booking import (
    ENDED_STATUSES,
    TRANSITIONS,
    Booking,
    BookingCancelled,
    BookingExpired,
    BookingOpened,
    GuestErased,
    GuestMissed,
    PaymentConfirmed,
    PaymentFailed,
    RatingGiven,
    Status,
    TherapistBooked,
    TherapistProposed,
    TherapistReturned,
    VisitCompleted,
    VisitProgressed,
    decide,
)
from conversations.money.amounts import Money
from conversations.notices import Occasion
from conversations.values import Rating
from tests.conversations.scenes import AYU, BAGUS, CONTACT, NOW, PLACE, VISIT, after

OPENED = BookingOpened("c_1", VISIT, commission_basis_points=3000)
PROPOSED, RETURNED = TherapistProposed(AYU), TherapistReturned()
BOOKED = TherapistBooked(AYU, "r_1", arrives_by=after(3600))
CANCELLED = BookingCancelled("guest", "changed my mind")
EXPIRED, MISSED, COMPLETED, ON_THE_WAY = (
    BookingExpired(),
    GuestMissed(),
    VisitCompleted(),
    VisitProgressed("on_the_way"),
)
ERASED = GuestErased()
RATED = RatingGiven(Rating(4, "calm hands"))
PAID, UNPAID = PaymentConfirmed("pi_1", VISIT.price), PaymentFailed("pi_1")
EVENTS = (
    *(OPENED, PROPOSED, RETURNED, BOOKED, ON_THE_WAY, COMPLETED, RATED, MISSED, CANCELLED, EXPIRED, ERASED),
    *(PAID, UNPAID),
)


def after_all(*events: Any) -> Booking:
    """The booking after these events, each of them saved."""
    booking = Booking("b_1")
    for event in events:
        booking = replace(decide(booking, event, NOW).record, version=booking.version + 1)
    return booking


NEW = Booking("b_1")
SEARCHING = after_all(OPENED)
PROPOSAL = after_all(OPENED, PROPOSED)
ACTIVE = after_all(OPENED, PROPOSED, BOOKED)
ENDED = (
    after_all(OPENED, PROPOSED, BOOKED, COMPLETED),
    after_all(OPENED, CANCELLED),
    after_all(OPENED, EXPIRED),
    after_all(OPENED, PROPOSED, BOOKED, MISSED),
)


@dataclass(frozen=True, slots=True)
class Row:
    sentence: str
    booking: Booking
    event: Any
    leads_to: Status
    told: tuple[Occasion, ...] = ()


ROWS = (
    Row("a confirmed form opens a booking", NEW, OPENED, Status.SEARCHING),
    Row("a found therapist is proposed", SEARCHING, PROPOSED, Status.PENDING_ACCEPT),
    Row("a search can be cancelled", SEARCHING, CANCELLED, Status.CANCELLED),
    Row("a request without a therapist is closed in the end", SEARCHING, EXPIRED, Status.EXPIRED),
    Row("a proposed therapist can be given back", PROPOSAL, RETURNED, Status.SEARCHING),
    Row("an accepted therapist is booked", PROPOSAL, BOOKED, Status.ACTIVE, ("confirmed",)),
    Row("a choice can be cancelled", PROPOSAL, CANCELLED, Status.CANCELLED),
    Row("a choice can be closed", PROPOSAL, EXPIRED, Status.EXPIRED),
    Row("a visit has its news", ACTIVE, ON_THE_WAY, Status.ACTIVE),
    Row("a visit takes place", ACTIVE, COMPLETED, Status.COMPLETED, ("completed",)),
    Row("a completed visit is rated", ENDED[0], RATED, Status.COMPLETED),
    Row("a visit is missed", ACTIVE, MISSED, Status.NO_SHOW),
    Row("a booked therapist can withdraw", ACTIVE, RETURNED, Status.SEARCHING, ("cancelled",)),
    Row("a visit can be cancelled", ACTIVE, CANCELLED, Status.CANCELLED, ("cancelled",)),
    Row("a visit can be closed", ACTIVE, EXPIRED, Status.EXPIRED),
    *(
        Row(f"the guest of a booking that is {each.state} can be erased", each, ERASED, each.state)
        for each in (SEARCHING, PROPOSAL, ACTIVE, *ENDED)
    ),
    *(
        Row(f"a booking that is {each.state} can be paid for", each, PAID, each.state, ("payment_confirmed",))
        for each in (SEARCHING, PROPOSAL, ACTIVE, *ENDED)
    ),
    *(
        Row(f"the payment of a booking that is {each.state} can fail", each, UNPAID, each.state, ("payment_failed",))
        for each in (SEARCHING, PROPOSAL, ACTIVE, *ENDED)
    ),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.sentence)
def test_every_row_of_the_table(row: Row) -> None:
    decision = decide(row.booking, row.event, after(60))
    assert decision.record.state is row.leads_to
    assert [effect.occasion for effect in decision.effects] == list(row.told)
    assert decision.refusal is None
    has_just_ended = row.leads_to in ENDED_STATUSES and row.booking.state not in ENDED_STATUSES
    assert (decision.record.ended_at == after(60)) == has_just_ended
    assert decision.record.expires_at is None, "the clocks are the conversation's"


def test_no_row_is_without_its_sentence() -> None:
    told = {(row.booking.state, type(row.event)) for row in ROWS}
    assert told == {(state, event) for state, rows in TRANSITIONS.items() for event in rows}


@pytest.mark.parametrize("booking", [NEW, SEARCHING, PROPOSAL, ACTIVE, *ENDED], ids=lambda each: each.state)
def test_an_event_without_a_row_changes_nothing(booking: Booking) -> None:
    for event in EVENTS:
        if type(event) not in TRANSITIONS[booking.state]:
            assert decide(booking, event, after(60)).record == booking


def test_an_opened_booking_says_what_was_ordered_and_when() -> None:
    assert (SEARCHING.conversation_id, SEARCHING.visit, SEARCHING.created_at) == ("c_1", VISIT, NOW)
    assert SEARCHING.therapist is None


def test_a_booked_visit_says_who_comes_by_when_and_which_reservation_stands_for_it() -> None:
    assert (ACTIVE.therapist, ACTIVE.reservation_id, ACTIVE.arrives_by) == (AYU, "r_1", after(3600))


def test_the_therapist_who_was_booked_counts_whoever_was_proposed() -> None:
    assert decide(PROPOSAL, replace(BOOKED, therapist=BAGUS), NOW).record.therapist == BAGUS


def test_nothing_of_a_therapist_who_withdrew_is_left() -> None:
    search = after_all(OPENED, PROPOSED, BOOKED, ON_THE_WAY, RETURNED)
    assert (search.therapist, search.reservation_id, search.progress, search.arrives_by) == (None, None, None, None)
    assert (search.visit, search.created_at) == (VISIT, NOW)


def test_a_completed_visit_is_shared_out_exactly() -> None:
    done = ENDED[0]
    assert (done.commission, done.earnings) == (Money(10_500_000, "IDR"), Money(24_500_000, "IDR"))


def test_money_is_shared_out_under_the_terms_of_the_day_of_booking() -> None:
    booking = after_all(replace(OPENED, commission_basis_points=2500), PROPOSED, BOOKED, COMPLETED)
    assert booking.commission == Money(8_750_000, "IDR")


@pytest.mark.parametrize("booking", [SEARCHING, PROPOSAL, ACTIVE, *ENDED[1:]], ids=lambda each: each.state)
def test_nobody_earns_anything_without_a_visit(booking: Booking) -> None:
    assert (booking.commission, booking.earnings) == (None, None)


def test_each_payment_is_told_once_and_by_its_own_id() -> None:
    booking, said = ACTIVE, []
    for event in (PaymentFailed("pi_1"), PaymentFailed("pi_1"), PaymentFailed("pi_2"), PAID, PAID):
        decision = decide(booking, event, NOW)
        booking = decision.record
        said += [(effect.occasion, effect.about) for effect in decision.effects]
    assert said == [("payment_failed", "pi_1"), ("payment_failed", "pi_2"), ("payment_confirmed", PAID.payment_id)]


def test_the_last_rating_counts() -> None:
    mended = after_all(OPENED, PROPOSED, BOOKED, COMPLETED, RATED, RatingGiven(Rating(5)))
    assert mended.rating == Rating(5, None)


@pytest.mark.parametrize("booking", [SEARCHING, PROPOSAL, ACTIVE, *ENDED], ids=lambda each: each.state)
def test_who_the_guest_was_is_forgotten_and_what_was_booked_is_not(booking: Booking) -> None:
    erased = decide(replace(booking, rating=Rating(4, "calm hands")), ERASED, after(9)).record
    assert erased.visit is not None
    assert (erased.visit.contact, erased.visit.location, erased.visit.notes) == (None, None, None)
    for personal in (CONTACT.name, CONTACT.phone, PLACE.address, PLACE.latitude, "calm hands", "changed my mind"):
        assert str(personal) not in str(erased)
    facts = ("id", "state", "conversation_id", "therapist", "reservation_id", "created_at", "ended_at", "cancelled_by")
    money = ("commission_basis_points", "commission", "earnings")
    assert all(getattr(erased, name) == getattr(booking, name) for name in (*facts, *money))
    assert erased.visit.price == VISIT.price
    assert erased.rating == Rating(4)
    assert decide(erased, ERASED, after(10)).record == erased, "once more is no news"


def test_a_cancelled_booking_says_by_whom_and_why() -> None:
    cancelled = ENDED[1]
    assert (cancelled.cancelled_by, cancelled.cancel_reason, cancelled.ended_at) == ("guest", "changed my mind", NOW)


def test_every_agreement_has_a_revision_of_its_own_and_what_is_told_names_it() -> None:
    again = decide(replace(PROPOSAL, revision=3), BOOKED, NOW)
    assert again.record.revision == 4
    assert [effect.revision for effect in again.effects] == [4]


def test_a_payment_that_is_heard_of_twice_is_told_once_and_its_failure_comes_too_late() -> None:
    paid = decide(ACTIVE, PAID, NOW).record
    assert paid.paid == VISIT.price
    for repeated in (PAID, UNPAID):
        assert decide(paid, repeated, NOW).effects == ()
    failed = decide(ACTIVE, UNPAID, NOW).record
    assert decide(failed, UNPAID, NOW).effects == ()
    assert decide(failed, PAID, NOW).record.paid == VISIT.price
