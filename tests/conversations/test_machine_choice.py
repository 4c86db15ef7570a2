"""The choice of a therapist: the slot that makes the booking, another one, nobody, or cancelling it all."""

from __future__ import annotations

from typing import Any

import pytest

from conversations import booking
from conversations import effects as do
from conversations import events as on
from conversations.conversation import Conversation, State
from conversations.machine import TRANSITIONS, decide
from conversations.moves.choosing import RESERVING_S
from conversations.values import Countdown
from tests.conversations.scenes import (
    AYU,
    BAGUS,
    CANCEL,
    EVERYWHERE,
    MILLISECOND,
    RING,
    TERMS,
    accept,
    active,
    after,
    another,
    attempt,
    book,
    changes_nothing,
    choosing,
    confirm,
    exhausted,
    lines,
    lost,
    reserved,
    reserving,
    searching,
    taken,
    therapist_found,
    told,
    told_booking,
    wanted,
    word_to_booking,
)

# --- the choice -------------------------------------------------------------------------------------------------------


def test_a_found_therapist_waits_two_minutes_for_the_guest() -> None:
    choice = choosing()
    assert choice.expires_at == after(10 + TERMS.choose_s)
    assert choice.countdown is None
    assert choice.therapist == AYU


def test_accepting_reserves_the_way_and_the_visit_and_changes_nothing_else() -> None:
    decision = decide(choosing(), accept(choosing()), after(20))
    assert decision.record.state is State.CHOOSING
    assert decision.record.revision == choosing().revision, "the card stays, with its buttons at work"
    [reserve] = decision.effects
    assert isinstance(reserve, do.ReserveSlot)
    assert (reserve.therapist_id, reserve.offer_id, reserve.buffer_minutes) == ("ayu", "o_ayu", 15)
    assert (reserve.starts_at, reserve.ends_at) == (after(20), after(20 + 3600 + 90 * 60))


def test_accepting_twice_reserves_once() -> None:
    assert changes_nothing(decide(reserving(), accept(reserving()), after(21)), reserving())


def test_accepting_in_the_last_millisecond_counts_and_at_the_end_is_too_late() -> None:
    choice = choosing()
    assert choice.expires_at is not None
    assert decide(choice, accept(choice), choice.expires_at - MILLISECOND).refusal is None
    late = decide(choice, accept(choice), choice.expires_at)
    assert late.refusal == "offer_expired"
    assert changes_nothing(late, choice)


def test_a_choice_about_another_offer_is_not_found() -> None:
    choice = choosing()
    for kind in (on.TherapistAccepted, on.AnotherWanted):
        decision = decide(choice, kind(choice.revision, "o_bagus"), after(20))
        assert decision.refusal == "not_found"
        assert changes_nothing(decision, choice)


def test_a_slot_of_which_nothing_is_heard_is_asked_for_again_under_the_same_id() -> None:
    waiting = reserving()
    assert waiting.expires_at == after(20 + RESERVING_S)
    decision = decide(waiting, RING, after(20 + RESERVING_S))
    assert decision.record.state is State.CHOOSING
    [first] = decide(choosing(), accept(choosing()), after(20)).effects
    [second] = decision.effects
    assert isinstance(first, do.ReserveSlot)
    assert isinstance(second, do.ReserveSlot)
    assert second.reservation_id == first.reservation_id
    assert decision.record.expires_at == after(20 + 2 * RESERVING_S)


def test_only_the_reserved_slot_makes_the_booking() -> None:
    decision = decide(reserving(), reserved(), after(21))
    visit = decision.record
    assert (visit.state, visit.therapist, visit.reservation_id) == (State.ACTIVE, AYU, "r_o_ayu")
    booked = word_to_booking(decision, booking.TherapistBooked)
    assert (booked.therapist, booked.reservation_id) == (AYU, "r_o_ayu")
    assert booked.arrives_by == after(21 + TERMS.arrival_s)
    assert wanted(decision, do.CloseSearchWon) == [do.CloseSearchWon(visit.search_id or "", "o_ayu")]
    assert [shown.therapist_id for shown in wanted(decision, do.ShowTherapistBooking)] == ["ayu"]


def test_a_slot_reserved_twice_is_one_booking() -> None:
    visit = active()
    assert changes_nothing(decide(visit, reserved(), after(22)), visit)


@pytest.mark.parametrize("seconds", [21.0, 9000.0])
def test_a_slot_reserved_after_the_guest_cancelled_is_let_go(seconds: float) -> None:
    gone = told(reserving(), CANCEL, at=after(20.5))
    decision = decide(gone, reserved(), after(seconds))
    assert decision.effects == (do.ReleaseSlot("r_o_ayu"),)
    assert decision.record == gone


def test_a_slot_reserved_after_the_guest_began_another_booking_is_let_go() -> None:
    form = told(told(reserving(), CANCEL, at=after(20.5)), book(), at=after(21))
    search = told(form, confirm(form), at=after(22))
    choice = told(search, therapist_found(search, BAGUS, "o_bagus"), at=after(23))
    for conversation in (form, search, choice, told(choice, accept(choice), at=after(24))):
        decision = decide(conversation, reserved(), after(25))
        assert decision.effects == (do.ReleaseSlot("r_o_ayu"),)
        assert decision.record == conversation


def test_a_slot_taken_from_under_the_guest_goes_on_with_a_new_countdown() -> None:
    decision = decide(reserving(), taken(), after(21))
    search = decision.record
    assert search.countdown == Countdown(1, TERMS.max_attempts, after(81))
    assert wanted(decision, do.GiveTherapistBack) == [
        do.GiveTherapistBack(search.search_id or "", "o_ayu", deadline_at=after(81))
    ]
    assert told_booking(decision) == [booking.TherapistReturned]
    assert lines(decision) == ["slot_taken"]


def test_news_of_another_offers_slot_changes_nothing() -> None:
    assert changes_nothing(decide(reserving(), taken("o_bagus"), after(21)), reserving())


# --- another, nobody --------------------------------------------------------------------------------------------------


def test_wanting_another_gives_the_therapist_back_and_goes_on_in_the_same_search() -> None:
    decision = decide(choosing(), another(choosing()), after(30))
    search = decision.record
    assert (search.state, search.search_id) == (State.SEARCHING, searching().search_id)
    assert search.countdown == Countdown(1, TERMS.max_attempts, after(90))
    assert wanted(decision, do.GiveTherapistBack) == [
        do.GiveTherapistBack(search.search_id or "", "o_ayu", deadline_at=after(90))
    ]
    assert told_booking(decision) == [booking.TherapistReturned]


def test_after_the_picked_therapist_another_is_looked_for_in_the_first_attempt() -> None:
    choice = choosing(AYU)
    assert told(choice, another(choice), at=after(30)).attempt == 1


def test_the_card_of_a_therapist_who_was_given_back_is_stale() -> None:
    choice = choosing()
    search = told(choice, another(choice), at=after(30))
    for press in (accept(choice), another(choice)):
        assert decide(search, press, after(31)).refusal == "stale"


def test_nobody_is_changed_for_another_while_their_time_is_being_reserved() -> None:
    decision = decide(reserving(), another(reserving()), after(21))
    assert decision.refusal == "not_now"


def test_a_therapist_who_was_given_back_is_not_proposed_again_by_late_news() -> None:
    """A process that was slow, or an answer to a question of long ago, tells of the same offer once more."""
    choice = choosing()
    search = told(choice, another(choice), at=after(30))
    assert changes_nothing(decide(search, therapist_found(choice), after(31)), search)


def test_the_next_therapist_is_proposed_under_a_new_revision() -> None:
    search = told(choosing(), another(choosing()), at=after(30))
    choice = told(search, therapist_found(search, BAGUS, "o_bagus"), at=after(40))
    assert (choice.therapist, choice.offer_id) == (BAGUS, "o_bagus")
    assert choice.revision > search.revision > choosing().revision


def test_a_choice_that_lapses_gives_the_therapist_back_and_offers_to_search_again() -> None:
    decision = decide(choosing(), RING, after(10 + TERMS.choose_s))
    assert wanted(decision, do.CancelSearch)[0].search_id == choosing().search_id
    assert told_booking(decision) == [booking.TherapistReturned]
    assert lines(decision) == ["choice_lapsed"]
    [card] = wanted(decision, do.ShowCard)
    assert [button.command for button in card.buttons] == ["search_again", "cancel"]


def test_a_therapist_who_is_lost_while_their_time_is_being_reserved_is_decided_by_the_reservation() -> None:
    assert changes_nothing(decide(reserving(), lost(reserving()), after(21)), reserving())


def test_a_choice_does_not_lapse_while_the_slot_is_being_reserved() -> None:
    assert decide(reserving(), RING, after(10 + TERMS.choose_s)).record.state is State.CHOOSING


# --- cancelling -------------------------------------------------------------------------------------------------------

CANCELLABLE = [
    *(each for each in EVERYWHERE if on.Cancelled in TRANSITIONS[each.state]),
    *(reserving(), searching(AYU)),
]


@pytest.mark.parametrize("conversation", CANCELLABLE, ids=lambda each: each.state)
@pytest.mark.parametrize("party", ["guest", "therapist", "operator"])
def test_cancelling_stops_every_clock_and_withdraws_whatever_is_open(conversation: Conversation, party: Any) -> None:
    decision = decide(conversation, on.Cancelled(party, "why"), after(30))
    ended = decision.record
    assert (ended.state, ended.expires_at, ended.countdown, ended.therapist) == (State.CANCELLED, None, None, None)
    assert lines(decision) == [f"cancelled_by_{party}" if conversation.booking_id else "form_closed"]
    if conversation.booking_id:
        word = word_to_booking(decision, booking.BookingCancelled)
        assert (word.by, word.reason) == (party, "why")
    is_searched_for = conversation.state in (State.SEARCHING, State.CHOOSING)
    assert len(wanted(decision, do.CancelSearch)) == is_searched_for
    assert len(wanted(decision, do.ReleaseSlot)) == (conversation.state is State.ACTIVE)


def test_nothing_that_was_under_way_when_the_guest_cancelled_wakes_the_booking() -> None:
    for before in (searching(), choosing(), reserving()):
        gone = told(before, CANCEL, at=after(30))
        for event in (
            therapist_found(before),
            attempt(before, 2, after(120)),
            exhausted(before),
            lost(before),
            taken(),
            reserved(),
            accept(before),
            another(before),
            confirm(before),
            CANCEL,
            RING,
        ):
            assert decide(gone, event, after(31)).record == gone
