"""From the booked visit to its end: news go forward only, and however it ends, the therapist's time is free again."""

from __future__ import annotations

from typing import Any

import pytest

from conversations import booking
from conversations import effects as do
from conversations import events as on
from conversations.conversation import Conversation, State
from conversations.machine import decide
from conversations.moves.always import ERASE_AGAIN_S
from conversations.moves.choosing import VISIT_GRACE_S
from conversations.values import Rating
from tests.conversations.scenes import (
    AYU,
    BAGUS,
    CANCEL,
    CONTACT,
    ERASE,
    EVERYWHERE,
    PLACE,
    RING,
    TERMS,
    accept,
    active,
    after,
    again,
    book,
    changes_nothing,
    completed,
    confirm,
    lines,
    news,
    rated,
    reserved,
    therapist_found,
    told,
    told_booking,
    wanted,
    withdrew,
    word_to_booking,
)

RESERVED_AT = 21.0
ENDS_AT = RESERVED_AT + TERMS.arrival_s + 90 * 60

# --- news -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", ["on_the_way", "arrived"])
def test_news_are_told_to_the_guest_and_the_booking(step: Any) -> None:
    decision = decide(active(), news(active(), step), after(60))
    assert decision.record.progress == step
    assert wanted(decision, do.Say) == [do.Say(step, {"therapist": "Ayu"})]
    assert word_to_booking(decision, booking.VisitProgressed).step == step
    assert wanted(decision, do.ShowTherapistBooking) == [do.ShowTherapistBooking("ayu", active().booking_id or "")]


def test_a_delay_is_told_with_its_minutes_as_often_as_it_grows() -> None:
    visit = told(active(), news(active(), "delayed", 10), at=after(60))
    decision = decide(visit, news(visit, "delayed", 20), after(120))
    assert wanted(decision, do.Say) == [do.Say("delayed", {"therapist": "Ayu", "minutes": 20})]


def test_a_delay_without_its_minutes_is_invalid() -> None:
    decision = decide(active(), news(active(), "delayed"), after(60))
    assert decision.refusal == "invalid"
    assert changes_nothing(decision, active())


def test_the_same_news_again_is_no_news() -> None:
    visit = told(active(), news(active(), "on_the_way"), at=after(60))
    assert changes_nothing(decide(visit, news(visit, "on_the_way"), after(61)), visit)


def test_news_go_forward_only() -> None:
    visit = told(active(), news(active(), "arrived"), at=after(60))
    for step in ("on_the_way", "delayed"):
        decision = decide(visit, news(visit, step, 5), after(61))
        assert decision.refusal == "not_now"
        assert changes_nothing(decision, visit)


def test_news_make_no_card_stale_and_move_no_clock() -> None:
    visit = told(active(), news(active(), "on_the_way"), at=after(60))
    assert (visit.revision, visit.expires_at) == (active().revision, active().expires_at)


@pytest.mark.parametrize(("booking_id", "therapist_id"), [("b_other", "ayu"), (active().booking_id, "bagus"), ("", "")])
def test_nobody_has_news_of_somebody_elses_visit(booking_id: str, therapist_id: str) -> None:
    for event in (
        on.ProgressMade(booking_id, therapist_id, "completed"),
        on.TherapistWithdrew(booking_id, therapist_id, "ill"),
    ):
        decision = decide(active(), event, after(60))
        assert decision.refusal == "not_found"
        assert changes_nothing(decision, active())


# --- the end ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [None, "on_the_way", "delayed", "arrived"])
def test_a_visit_can_be_completed_whatever_was_told_of_it_before(before: Any) -> None:
    visit = active()
    if before:
        visit = told(visit, news(visit, before, 5), at=after(60))
    decision = decide(visit, news(visit, "completed"), after(6000))
    assert decision.record.state is State.COMPLETED
    assert told_booking(decision) == [booking.VisitCompleted]
    assert wanted(decision, do.ReleaseSlot) == [do.ReleaseSlot("r_o_ayu")]
    assert wanted(decision, do.CountVisit) == [do.CountVisit("ayu", visit.booking_id or "")]


def test_a_completed_visit_cannot_be_completed_again() -> None:
    visit = active()
    done = told(visit, news(visit, "completed"), at=after(6000))
    for event in (news(visit, "completed"), news(visit, "no_show"), withdrew(visit), CANCEL):
        decision = decide(done, event, after(6001))
        assert decision.refusal == "not_now"
        assert changes_nothing(decision, done)


def test_a_guest_who_was_not_there_closes_the_visit_and_frees_the_therapist() -> None:
    decision = decide(active(), news(active(), "no_show"), after(4000))
    assert told_booking(decision) == [booking.GuestMissed]
    assert lines(decision) == ["no_show"]
    assert wanted(decision, do.ReleaseSlot) == [do.ReleaseSlot("r_o_ayu")]
    assert [each.kind for each in wanted(decision, do.NotifyTherapist)] == ["booking_closed"]


def test_a_visit_that_nobody_closes_is_closed_two_hours_after_its_end() -> None:
    assert active().expires_at == after(ENDS_AT + VISIT_GRACE_S)


def test_a_visit_that_nobody_closes_took_place_if_the_therapist_had_arrived() -> None:
    arrived = told(active(), news(active(), "arrived"), at=after(3000))
    decision = decide(arrived, RING, after(ENDS_AT + VISIT_GRACE_S))
    assert decision.record.state is State.COMPLETED
    assert told_booking(decision) == [booking.VisitCompleted]


@pytest.mark.parametrize("before", [None, "on_the_way", "delayed"])
def test_a_visit_that_nobody_closes_was_missed_if_the_therapist_never_arrived(before: Any) -> None:
    visit = active()
    if before:
        visit = told(visit, news(visit, before, 5), at=after(60))
    decision = decide(visit, RING, after(ENDS_AT + VISIT_GRACE_S))
    assert decision.record.state is State.EXPIRED
    assert told_booking(decision) == [booking.GuestMissed]
    assert lines(decision) == ["visit_closed"]


def test_cancelling_a_visit_tells_the_therapist_who_is_on_the_way() -> None:
    decision = decide(active(), CANCEL, after(60))
    assert wanted(decision, do.ReleaseSlot) == [do.ReleaseSlot("r_o_ayu")]
    assert wanted(decision, do.CancelSearch) == [], "the search is won and over"
    assert [shown.therapist_id for shown in wanted(decision, do.ShowTherapistBooking)] == ["ayu"]
    assert word_to_booking(decision, booking.BookingCancelled).by == "guest"


# --- the therapist cannot come ----------------------------------------------------------------------------------------


def test_a_therapist_who_withdraws_frees_the_time_and_lets_the_guest_search_again() -> None:
    decision = decide(active(), withdrew(active()), after(60))
    nobody = decision.record
    assert (nobody.state, nobody.therapist, nobody.search_id) == (State.NO_THERAPIST, None, None)
    assert wanted(decision, do.Say) == [do.Say("therapist_withdrew", {"therapist": "Ayu", "reason": "ill"})]
    assert wanted(decision, do.ReleaseSlot) == [do.ReleaseSlot("r_o_ayu")]
    assert told_booking(decision) == [booking.TherapistReturned]
    [card] = wanted(decision, do.ShowCard)
    assert card.card == "no_therapist"


def second_visit(first: Conversation) -> Conversation:
    """Ayu withdraws, the guest searches again, and Bagus is booked."""
    nobody = told(first, withdrew(first), at=after(600))
    search = told(nobody, again(nobody), at=after(610))
    choice = told(search, therapist_found(search, BAGUS, "o_bagus"), at=after(620))
    return told(told(choice, accept(choice), at=after(630)), reserved("o_bagus"), at=after(631))


def test_a_therapist_who_comes_instead_is_booked_under_a_new_reservation() -> None:
    visit = second_visit(active())
    assert (visit.state, visit.therapist, visit.reservation_id) == (State.ACTIVE, BAGUS, "r_o_bagus")
    assert visit.booking_id == active().booking_id
    assert decide(visit, reserved(), after(640)).effects == (do.ReleaseSlot("r_o_ayu"),)


@pytest.mark.parametrize("step", ["on_the_way", "delayed", "arrived"])
def test_a_therapist_who_comes_instead_has_news_of_their_own(step: Any) -> None:
    """What the first therapist told is not true of the second: the guest would not hear of it, or pay for nothing."""
    visit = second_visit(told(active(), news(active(), step, 5), at=after(60)))
    assert visit.progress is None
    decision = decide(visit, news(visit, "on_the_way"), after(700))
    assert decision.refusal is None
    assert wanted(decision, do.Say) == [do.Say("on_the_way", {"therapist": "Bagus"})]


def test_a_visit_is_not_completed_by_rule_because_another_therapist_had_arrived() -> None:
    visit = second_visit(told(active(), news(active(), "arrived"), at=after(60)))
    assert visit.expires_at is not None
    assert decide(visit, RING, visit.expires_at).record.state is State.EXPIRED


def test_the_first_therapist_has_no_more_say() -> None:
    visit = second_visit(active())
    event = on.ProgressMade(visit.booking_id or "", AYU.id, "completed")
    assert decide(visit, event, after(700)).refusal == "not_found"


# --- the rating -------------------------------------------------------------------------------------------------------


def test_a_rating_is_told_to_the_booking_with_its_words_and_shown_by_its_stars() -> None:
    decision = decide(completed(), rated(4, "calm hands"), after(9000))
    assert word_to_booking(decision, booking.RatingGiven).rating == Rating(4, "calm hands")
    [card] = wanted(decision, do.ShowCard)
    assert (card.card, card.revision, card.data["stars"]) == ("rating", completed().revision, 4)
    assert "calm hands" not in str(decision.record), "what was said stands in the booking alone"


def test_a_rating_can_be_mended_until_the_guest_books_again() -> None:
    mended = told(completed(), rated(1), rated(5), at=after(9000))
    assert mended.stars == 5
    assert decide(told(mended, book()), rated(1), after(9001)).refusal == "not_now"
    assert told(mended, book()).stars is None


def test_the_rating_card_of_an_earlier_visit_rates_no_later_one() -> None:
    older = on.VisitRated(Rating(1), revision=completed().revision - 1)
    assert decide(completed(), older, after(9000)).refusal == "stale"


def test_a_visit_that_did_not_take_place_is_not_rated() -> None:
    missed = told(active(), news(active(), "no_show"), at=after(6000))
    assert decide(missed, rated(), after(9000)).refusal == "not_now"


# --- being forgotten --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("conversation", EVERYWHERE, ids=lambda each: each.state)
def test_nothing_of_the_guest_is_left_in_the_record(conversation: Conversation) -> None:
    kept = decide(conversation, ERASE, after(30)).record
    for personal in (CONTACT.name, CONTACT.phone, PLACE.address, PLACE.latitude, PLACE.longitude, "Asia/"):
        assert str(personal) not in str(kept)
    assert (kept.id, kept.state) == (conversation.id, State.ERASED)


def test_a_visit_is_cancelled_before_its_guest_is_forgotten_and_the_therapist_is_told() -> None:
    decision = decide(active(), ERASE, after(60))
    assert lines(decision) == ["cancelled_by_guest", "erased"]
    assert word_to_booking(decision, booking.BookingCancelled).by == "guest"
    assert [shown.therapist_id for shown in wanted(decision, do.ShowTherapistBooking)] == ["ayu"]
    assert wanted(decision, do.ReleaseSlot)
    assert [type(each) for each in decision.effects[-2:]] == [do.EndTokens, do.EraseGuest], "when all is said and done"


def test_who_is_with_whom_stays_known_while_the_therapist_is_there() -> None:
    visit = told(active(), news(active(), "arrived"), at=after(600))
    decision = decide(visit, ERASE, after(700))
    assert decision.refusal == "not_now"
    assert changes_nothing(decision, visit)
    assert decide(told(visit, CANCEL), ERASE, after(700)).record.state is State.ERASED
    over = told(visit, news(visit, "completed"), at=after(6000))
    assert decide(over, ERASE, after(6001)).record.state is State.ERASED


def test_what_arrives_late_is_erased_a_minute_later_and_then_no_clock_is_left() -> None:
    gone = told(completed(), ERASE, at=after(9000))
    assert gone.expires_at == after(9000 + ERASE_AGAIN_S)
    again_gone = decide(gone, RING, after(9000 + ERASE_AGAIN_S))
    assert wanted(again_gone, do.EraseGuest)
    assert again_gone.record.expires_at is None


def test_a_guest_who_was_forgotten_cannot_do_anything_more() -> None:
    gone = told(active(), ERASE, at=after(60))
    for command in (book(), CANCEL, rated(), confirm(gone)):
        assert decide(gone, command, after(61)).refusal == "not_now"
    assert changes_nothing(decide(gone, on.LocaleChosen("id", "Asia/Jakarta"), after(61)), gone)
