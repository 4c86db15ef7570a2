"""From the first press to a search: the form, the countdown, and what a reload shows of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conversations import booking
from conversations import effects as do
from conversations import events as on
from conversations.conversation import Conversation, State, card_on_screen, state_on_screen
from conversations.machine import decide
from conversations.moves.pieces import SILENCE_S
from conversations.values import Contact, Countdown, Location, Terms
from tests.conversations.scenes import (
    AYU,
    CANCEL,
    CONTACT,
    EVERYWHERE,
    INDONESIAN,
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
    news,
    no_therapist,
    rated,
    reserved,
    reserving,
    searching,
    therapist_found,
    told,
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
            "latitude": PLACE.latitude,
            "longitude": PLACE.longitude,
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
        (active(), news(active(), "completed")),
        (completed(), rated(4)),
    ):
        decision = decide(conversation, event, after(10))
        assert wanted(decision, do.ShowCard) == [card_on_screen(decision.record)]
    assert card_on_screen(told(choosing(), INDONESIAN)) == card_on_screen(choosing())
    for without in (idle(), searching(), active(), cancelled()):
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
        "rate": rated(),
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


def test_the_language_of_the_screen_is_kept_and_its_time_zone_where_it_says_one() -> None:
    chosen = told(searching(), on.LocaleChosen("id", "Asia/Jakarta"))
    assert (chosen.locale, chosen.timezone) == ("id", "Asia/Jakarta")
    assert told(chosen, on.LocaleChosen("en")).timezone == "Asia/Jakarta"
    assert changes_nothing(decide(chosen, on.LocaleChosen("id"), after(9)), chosen)


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
