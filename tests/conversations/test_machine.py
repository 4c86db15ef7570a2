"""From the first press to a therapist: the form, the search, the choice and the slot that makes the booking."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from conversations import booking
from conversations import effects as do
from conversations import events as on
from conversations.machine import RESERVING_S, SILENCE_S, Conversation, State, card_on_screen, decide, state_on_screen
from conversations.values import Contact, Countdown, Location, Terms
from tests.conversations.scenes import (
    AYU,
    BAGUS,
    CANCEL,
    CONTACT,
    EVERYWHERE,
    INDONESIAN,
    MILLISECOND,
    PLACE,
    RING,
    SERVICE,
    TERMS,
    VISIT,
    accept,
    active,
    after,
    again,
    another,
    attempt,
    book,
    cancelled,
    changes_nothing,
    choosing,
    completed,
    confirm,
    confirming,
    exhausted,
    idle,
    lines,
    lost,
    no_therapist,
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

# --- the form ---------------------------------------------------------------------------------------------------------


def test_the_form_stays_open_for_the_time_of_its_terms() -> None:
    assert confirming(terms=replace(TERMS, form_s=90)).expires_at == after(90)


def test_the_form_speaks_the_language_of_the_screen_on_which_book_was_pressed() -> None:
    form = confirming()
    assert (form.locale, form.timezone) == ("en", "Asia/Makassar")
    without_zone = told(form, replace(book(), locale="id", timezone=None))
    assert (without_zone.locale, without_zone.timezone) == ("id", "Asia/Makassar")


def test_a_first_form_is_empty_and_the_next_is_filled_with_what_was_said_for_the_last_visit() -> None:
    [first] = wanted(decide(idle(), book(), after(0)), do.ShowCard)
    assert first.data["defaults"] == {}
    for ended in (completed(), cancelled()):
        [card] = wanted(decide(ended, book(), after(9000)), do.ShowCard)
        assert card.data["defaults"] == {
            "duration": 90,
            "name": CONTACT.name,
            "phone": CONTACT.phone,
            "address": PLACE.address,
        }


def test_what_is_confirmed_becomes_the_booking_at_the_price_of_the_card() -> None:
    form = confirming()
    event = on.ServiceConfirmed(form.revision, 60, PLACE, CONTACT, gender_preference="female", notes="no oil")
    decision = decide(form, event, after(5))
    opened = word_to_booking(decision, booking.BookingOpened)
    assert (opened.conversation_id, opened.commission_basis_points) == ("c_1", 3000)
    assert opened.visit == replace(
        VISIT, duration=60, price=SERVICE.prices[0].price, gender_preference="female", notes="no oil"
    )


def test_a_duration_that_is_not_on_the_card_is_invalid() -> None:
    form = confirming()
    decision = decide(form, confirm(form, duration=75), after(5))
    assert decision.refusal == "invalid"
    assert changes_nothing(decision, form)


def test_a_form_that_was_replaced_cannot_be_confirmed() -> None:
    older = confirming()
    newer = told(older, book(AYU))
    assert decide(newer, confirm(older), after(5)).refusal == "stale"
    assert decide(newer, confirm(newer), after(5)).refusal is None


def test_every_booking_of_a_guest_has_its_own_id_and_deciding_twice_gives_the_same() -> None:
    form = confirming()
    first, same = (decide(form, confirm(form), after(5)).record for _ in range(2))
    assert (first.booking_id, first.search_id) == (same.booking_id, same.search_id)
    second = told(cancelled(), book())
    second = told(second, confirm(second))
    assert second.booking_id not in (None, cancelled().booking_id)
    assert second.search_id not in (None, cancelled().search_id)


def test_a_new_booking_starts_without_anything_of_the_last() -> None:
    form = told(completed(), book(), at=after(9000))
    fresh = told(idle(), book(), at=after(9000))
    known = replace(form, version=fresh.version, revision=fresh.revision, visit=None, attempt=0)
    assert known == fresh, "but for what is known of the guest"


# --- the search -------------------------------------------------------------------------------------------------------


def test_a_search_counts_down_a_minute_from_its_start() -> None:
    search = searching()
    assert search.countdown == Countdown(1, TERMS.max_attempts, after(60))
    [start] = wanted(decide(confirming(), confirm(confirming()), after(0)), do.StartSearch)
    assert start == do.StartSearch(
        search.search_id or "", search.booking_id or "", PLACE, 90, "any", after(60), direct_therapist_id=None
    )


def test_a_picked_therapist_is_asked_alone_for_five_minutes() -> None:
    form = confirming(AYU)
    decision = decide(form, confirm(form), after(0))
    assert decision.record.countdown == Countdown(0, TERMS.max_attempts, after(300))
    [start] = wanted(decision, do.StartSearch)
    assert (start.direct_therapist_id, start.deadline_at) == ("ayu", after(300))
    assert wanted(decision, do.Say) == [do.Say("search_started_direct", {"therapist": "Ayu"})]


def test_an_attempt_counts_down_to_the_moment_the_search_says() -> None:
    search = searching()
    decision = decide(search, attempt(search, 2, after(121)), after(61))
    assert decision.record.countdown == Countdown(2, TERMS.max_attempts, after(121))
    assert wanted(decision, do.Say) == [do.Say("search_widened", {"attempt": 2, "max_attempts": 3})]
    [shown] = wanted(decision, do.ShowState)
    assert shown.countdown == decision.record.countdown


def test_when_the_picked_therapist_cannot_come_the_guest_hears_that_others_are_asked() -> None:
    search = searching(AYU)
    decision = decide(search, attempt(search, 1, after(100)), after(40))
    assert decision.record.countdown == Countdown(1, TERMS.max_attempts, after(100))
    assert lines(decision) == ["direct_unavailable"]


def test_others_asked_to_the_same_moment_as_the_picked_therapist_are_told_as_well() -> None:
    """Declined a minute before the end: the first attempt ends when the picked therapist's time would have."""
    search = searching(AYU)
    decision = decide(search, attempt(search, 1, after(300)), after(240))
    assert decision.record.countdown == Countdown(1, TERMS.max_attempts, after(300))
    assert lines(decision) == ["direct_unavailable"]


def test_an_attempt_that_is_known_is_not_told_twice() -> None:
    search = told(searching(), attempt(searching(), 2, after(120)), at=after(60))
    assert changes_nothing(decide(search, attempt(search, 2, after(120)), after(61)), search)
    assert changes_nothing(decide(search, attempt(search, 1, after(60)), after(61)), search)


def test_late_news_of_an_earlier_countdown_of_the_same_attempt_changes_nothing() -> None:
    """After a therapist was given back, the attempt counts down anew; a process that was slow still tells of before."""
    search = told(choosing(), another(choosing()), at=after(30))
    assert search.countdown == Countdown(1, TERMS.max_attempts, after(90))
    assert changes_nothing(decide(search, attempt(search, 1, after(60)), after(31)), search)


def test_a_further_attempt_makes_no_card_stale() -> None:
    search = searching()
    assert told(search, attempt(search, 2, after(120))).revision == search.revision


def test_a_silent_search_is_asked_again_and_again_until_it_answers() -> None:
    search = searching()
    assert search.expires_at == after(60 + SILENCE_S)
    asked = told(search, RING, at=after(60 + SILENCE_S))
    assert asked.expires_at == after(60 + 2 * SILENCE_S)
    decision = decide(asked, RING, after(60 + 2 * SILENCE_S))
    assert decision.effects == (do.AskSearch(search.search_id or ""),)


def test_a_search_that_answers_is_given_time_again() -> None:
    search = told(searching(), RING, at=after(300))
    answered = told(search, attempt(search, 1, after(60)), at=after(301))
    assert answered.expires_at == after(301 + SILENCE_S)
    assert answered.countdown == search.countdown


@pytest.mark.parametrize("conversation", [searching(), choosing()], ids=["searching", "choosing"])
def test_what_another_search_says_changes_nothing(conversation: Conversation) -> None:
    other = replace(conversation, search_id="s_other")
    for event in (attempt(other, 2, after(120)), therapist_found(other), exhausted(other), lost(other)):
        assert changes_nothing(decide(conversation, event, after(30)), conversation)


def test_nobody_found_can_be_searched_again_under_a_new_search_of_the_same_booking() -> None:
    nobody = no_therapist()
    assert nobody.search_id is None
    search = told(nobody, again(nobody), at=after(200))
    assert search.booking_id == searching().booking_id
    assert search.search_id not in (None, searching().search_id)
    assert search.countdown == Countdown(1, TERMS.max_attempts, after(260))


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
    [notice] = wanted(decision, do.NotifyTherapist)
    assert (notice.therapist_id, notice.kind) == ("ayu", "booking_active")
    assert notice.params == {"guest": CONTACT.name, "address": PLACE.address}


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

CANCELLABLE = [each for each in EVERYWHERE if each.expires_at is not None] + [reserving(), searching(AYU)]


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


# --- the screen -------------------------------------------------------------------------------------------------------


def test_a_reload_shows_the_same_state_and_countdown_as_the_move_did() -> None:
    search = searching()
    for conversation, event, seconds in (
        (confirming(), confirm(confirming()), 5.0),
        (search, attempt(search, 2, after(120)), 60.0),
        (search, therapist_found(search), 10.0),
        (choosing(), another(choosing()), 30.0),
        (reserving(), reserved(), 21.0),
        (active(), CANCEL, 60.0),
    ):
        decision = decide(conversation, event, after(seconds))
        assert wanted(decision, do.ShowState) == [state_on_screen(decision.record)]


def test_a_reload_shows_the_same_card_as_the_move_did_until_something_else_happens() -> None:
    for conversation, event in (
        (idle(), book(AYU)),
        (searching(), therapist_found(searching())),
        (searching(), exhausted(searching())),
    ):
        decision = decide(conversation, event, after(10))
        assert wanted(decision, do.ShowCard) == [card_on_screen(decision.record)]
    assert card_on_screen(told(choosing(), INDONESIAN)) == card_on_screen(choosing())
    for without in (idle(), searching(), active(), completed(), cancelled()):
        assert card_on_screen(without) is None


@pytest.mark.parametrize("conversation", EVERYWHERE, ids=lambda each: each.state)
def test_the_buttons_of_the_card_and_of_the_header_are_moves_of_this_state(conversation: Conversation) -> None:
    card = card_on_screen(conversation)
    shown = state_on_screen(conversation)
    presses: dict[str, on.Event] = {
        "confirm_service": confirm(conversation),
        "accept_therapist": accept(conversation),
        "find_another": another(conversation),
        "search_again": again(conversation),
        "cancel": CANCEL,
    }
    for button in (*(card.buttons if card else ()), *shown.buttons):
        assert decide(conversation, presses[button.command], after(30)).refusal is None
        assert button.payload.get("revision", conversation.revision) == conversation.revision


@pytest.mark.parametrize("conversation", EVERYWHERE, ids=lambda each: each.state)
def test_the_header_names_the_therapist_from_the_proposal_to_the_end_of_the_visit(conversation: Conversation) -> None:
    shown = state_on_screen(conversation)
    has_one = conversation.state in (State.CHOOSING, State.ACTIVE)
    assert shown.therapist_id == ("ayu" if has_one else None)
    assert shown.header == {
        "title": "Ayu" if has_one else None,
        "photo": "/photos/01.svg" if has_one else None,
        "locked": conversation.state is State.ACTIVE,
    }


# --- terms ------------------------------------------------------------------------------------------------------------


def test_a_running_booking_keeps_the_terms_it_was_opened_under() -> None:
    hasty = Terms(answer_s=1.0, choose_s=2.0, max_attempts=1)
    choice = choosing(terms=hasty)
    assert choice.expires_at == after(10 + 2.0)
    search = told(choice, another(choice), at=after(11))
    assert search.countdown == Countdown(1, 1, after(12))


def test_what_the_guest_said_is_kept_as_it_was_said() -> None:
    form = confirming()
    elsewhere, other = Location("Ubud", 0.0, -0.0), Contact("Ketut", "+62811", "k@example.id")
    search = told(form, on.ServiceConfirmed(form.revision, 60, elsewhere, other))
    assert search.visit is not None
    assert (search.visit.location, search.visit.contact) == (elsewhere, other)
