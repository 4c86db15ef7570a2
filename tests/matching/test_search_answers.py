"""What therapists answer, and what becomes of the one who said yes: kept, found, given back, won, or let go."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from matching import effects as do
from matching import events as on
from matching.records import Answer, Search, State
from matching.search import CHOICE_MARGIN_S, KEEPING_S, decide
from tests.matching.scenes import (
    CANCEL,
    CHOICE_ENDS_AT,
    DEADLINE,
    GIVEN_BACK,
    KEPT,
    LOST,
    MILLISECOND,
    POLICY,
    RING,
    START,
    TAKEN,
    accepted,
    after,
    asking,
    asking_directly,
    cancelled,
    declined,
    exhausted,
    found,
    held,
    keeping,
    offer,
    played,
    released,
    therapists,
    wanted,
    won,
)

ALL = ("ayu", "bagus", "citra")


def refusal(search: Search, event: Any, seconds: float) -> str | None:
    """What a therapist is told; a refusal never changes anything."""
    decision = decide(search, event, after(seconds))
    assert decision.refusal is None or (decision.record, decision.effects) == (search, ())
    return decision.refusal


# --- a yes ------------------------------------------------------------------------------------------------------------


def test_a_yes_in_the_last_millisecond_counts() -> None:
    decision = decide(asking("ayu"), accepted("ayu"), DEADLINE - MILLISECOND)
    assert decision.refusal is None
    assert decision.record.state is State.KEEPING


def test_a_yes_at_the_end_of_the_countdown_is_too_late() -> None:
    assert refusal(asking("ayu"), accepted("ayu"), POLICY.answer_s) == "offer_expired"


def test_a_yes_counts_no_longer_than_its_own_hold_whatever_the_countdown() -> None:
    search = played(
        played(asking(), RING, at=DEADLINE), on.CandidatesHeld(2, (held("ayu", until=after(70)),)), at=after(61)
    )
    assert refusal(search, accepted("ayu"), 70) == "offer_expired"


def test_a_yes_keeps_the_therapist_a_little_longer_than_the_guest_may_choose() -> None:
    decision = decide(asking("ayu"), accepted("ayu"), after(10))
    [keep] = wanted(decision, do.KeepHold)
    assert (keep.offer_id, keep.therapist_id, keep.fence) == ("o_ayu", "ayu", 1)
    assert keep.until > after(10 + POLICY.choose_s)
    assert decision.record.expires_at == after(10 + KEEPING_S)


def test_while_one_yes_is_kept_the_others_may_still_turn_out_to_be_needed() -> None:
    decision = decide(asking(*ALL), accepted("bagus"), after(1))
    assert therapists(decision.record.open_offers()) == ["ayu", "citra"]
    assert wanted(decision, do.CloseOffer) == []


def test_of_two_who_say_yes_the_second_hears_that_the_offer_is_taken() -> None:
    assert refusal(keeping(*ALL), accepted("bagus"), 2) == "offer_taken"
    assert refusal(found(*ALL), accepted("bagus"), 3) == "offer_taken"
    assert refusal(won(), accepted("bagus"), 9) == "offer_taken"


def test_a_yes_to_a_search_that_is_over_hears_that_the_offer_is_no_longer_open() -> None:
    assert refusal(cancelled(), accepted("ayu"), 2) == "offer_expired"
    assert refusal(exhausted(), accepted("ayu"), 999) == "offer_expired"


def test_a_yes_after_a_no_is_too_late() -> None:
    search = played(asking(*ALL), declined("ayu"), at=after(1))
    assert refusal(search, accepted("ayu"), 2) == "offer_expired"


EVERYWHERE = (asking(*ALL), keeping(*ALL), found(*ALL), won(), exhausted(), cancelled())


@pytest.mark.parametrize("search", EVERYWHERE, ids=lambda each: each.state)
def test_nobody_answers_for_somebody_else(search: Search) -> None:
    for kind in (on.OfferAccepted, on.OfferDeclined):
        assert refusal(search, kind("o_ayu", "bagus"), 2) == "not_found"
        assert refusal(search, kind("o_unknown", "ayu"), 2) == "not_found"


# --- a no -------------------------------------------------------------------------------------------------------------


def test_a_no_asks_the_next_at_once_inside_the_same_countdown() -> None:
    decision = decide(asking(*ALL), declined("bagus"), after(10))
    [look] = wanted(decision, do.FindCandidates)
    assert (look.attempt, look.count, look.until) == (1, 1, DEADLINE)
    assert look.refused == ("bagus", "ayu", "citra")
    assert decision.record.attempt_ends_at == DEADLINE
    assert released(decision) == [("bagus", 1)]


def test_a_no_is_kept_with_its_reason() -> None:
    decision = decide(asking(*ALL), on.OfferDeclined("o_ayu", "ayu", "too far"), after(10))
    declined_offer = offer(decision.record, "ayu")
    assert (declined_offer.answer, declined_offer.answered_at, declined_offer.reason) == (
        Answer.DECLINED,
        after(10),
        "too far",
    )


def test_the_same_no_again_is_no_news() -> None:
    search = played(asking(*ALL), declined("ayu"), at=after(1))
    decision = decide(search, declined("ayu"), after(2))
    assert (decision.record, decision.effects, decision.refusal) == (search, (), None)


def test_a_no_after_ones_own_yes_is_too_late() -> None:
    assert refusal(keeping(*ALL), declined("ayu"), 2) == "offer_expired"
    assert refusal(found(*ALL), declined("ayu"), 3) == "offer_expired"


def test_a_no_to_a_search_that_found_another_hears_that_the_offer_is_taken() -> None:
    assert refusal(found(*ALL), declined("bagus"), 3) == "offer_taken"


def test_who_said_no_while_another_was_kept_is_not_asked_when_the_search_goes_on() -> None:
    search = played(keeping(*ALL), declined("bagus"), at=after(2))
    [look] = wanted(decide(search, LOST, after(3)), do.FindCandidates)
    assert "bagus" in look.refused


# --- kept, or not -----------------------------------------------------------------------------------------------------


def test_when_the_hold_is_kept_the_guest_hears_of_it_and_everybody_else_is_free() -> None:
    decision = decide(keeping(*ALL), KEPT, after(2))
    assert wanted(decision, do.ReportFound) == [do.ReportFound("c_1", "o_ayu", "ayu", 2.0)]
    assert [(each.therapist_id, each.why) for each in wanted(decision, do.CloseOffer)] == [
        ("bagus", "taken"),
        ("citra", "taken"),
    ]
    guests_turn_until = CHOICE_ENDS_AT - timedelta(seconds=CHOICE_MARGIN_S)
    assert wanted(decision, do.WaitForGuest) == [do.WaitForGuest("o_ayu", "ayu", guests_turn_until)]
    assert released(decision) == [("bagus", 1), ("citra", 1)]
    assert decision.record.expires_at == CHOICE_ENDS_AT


@pytest.mark.parametrize(("event", "seconds"), [(LOST, 2.0), (RING, 1 + KEEPING_S)], ids=["lost", "unheard-of"])
def test_a_yes_that_comes_to_nothing_leaves_the_others_asked_and_asks_one_more(event: Any, seconds: float) -> None:
    decision = decide(keeping(*ALL), event, after(seconds))
    assert decision.record.state is State.ASKING
    assert decision.record.chosen_offer_id is None
    assert therapists(decision.record.open_offers()) == ["bagus", "citra"]
    assert wanted(decision, do.CloseOffer) == [do.CloseOffer("o_ayu", "ayu", "expired")]
    assert released(decision) == [("ayu", 1)]
    [look] = wanted(decision, do.FindCandidates)
    assert (look.count, look.until) == (1, DEADLINE)


def test_a_yes_that_comes_to_nothing_after_the_countdown_goes_wider_with_the_next_ring() -> None:
    kept = played(asking("ayu"), accepted("ayu"), at=DEADLINE - MILLISECOND)
    decision = decide(kept, RING, after(POLICY.answer_s + KEEPING_S))
    assert wanted(decision, do.FindCandidates) == [], "in a countdown that is over"
    search = decision.record
    assert search.expires_at == DEADLINE
    assert played(search, RING, at=after(POLICY.answer_s + KEEPING_S)).attempt == 2


def test_the_word_on_another_offers_hold_changes_nothing() -> None:
    search = keeping(*ALL)
    for event in (on.HoldKept("o_bagus", CHOICE_ENDS_AT), on.HoldLost("o_bagus")):
        decision = decide(search, event, after(2))
        assert (decision.record, decision.effects) == (search, ())


# --- found ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "why"),
    [
        (TAKEN, "accepted"),
        (GIVEN_BACK, "not_chosen"),
        (on.SearchCancelled("the guest"), "cancelled"),
        (on.SearchCancelled("nobody answered", is_unanswered=True), "unanswered"),
    ],
)
def test_a_therapist_who_waits_for_the_guest_is_told_what_the_guest_did_and_nothing_before(
    event: on.Event, why: str
) -> None:
    """She was told that the guest had accepted her when only she had."""
    assert wanted(decide(keeping("ayu"), KEPT, after(2)), do.CloseOffer) == []
    assert [each.why for each in wanted(decide(found("ayu"), event, after(20)), do.CloseOffer)] == [why]


def test_a_therapist_given_back_is_free_at_once_and_never_asked_again_in_this_search() -> None:
    decision = decide(found(*ALL), GIVEN_BACK, after(30))
    assert offer(decision.record, "ayu").answer is Answer.GIVEN_BACK
    assert wanted(decision, do.CloseOffer) == [do.CloseOffer("o_ayu", "ayu", "not_chosen")]
    assert released(decision) == [("ayu", 1)]
    [look] = wanted(decision, do.FindCandidates)
    assert (look.count, look.until, look.refused) == (3, after(90), ("ayu",))

    wider = decide(played(found(*ALL), GIVEN_BACK, at=after(30)), RING, after(90))
    assert wanted(wider, do.FindCandidates)[0].refused == ("ayu",)


def test_after_giving_back_a_picked_therapist_the_others_are_asked() -> None:
    search = played(asking_directly("ayu"), accepted("ayu"), KEPT, at=after(1))
    decision = decide(search, GIVEN_BACK, after(30))
    assert (decision.record.attempt, decision.record.attempt_ends_at) == (1, after(90))
    [look] = wanted(decision, do.FindCandidates)
    assert (look.attempt, look.count, look.only_therapist_id) == (1, 3, None)


def test_giving_back_in_the_last_attempt_asks_within_the_widest_radius_once_more() -> None:
    search = replace(found("ayu"), attempt=3)
    decision = decide(search, GIVEN_BACK, after(30))
    assert [(look.attempt, look.radius_km) for look in wanted(decision, do.FindCandidates)] == [(3, 20.0)]


@pytest.mark.parametrize(
    "event", [on.TherapistGivenBack("o_bagus", after(90)), on.TherapistTaken("o_bagus")], ids=["given back", "taken"]
)
def test_a_choice_about_another_offer_changes_nothing(event: Any) -> None:
    decision = decide(found(*ALL), event, after(30))
    assert (decision.record, decision.effects) == (found(*ALL), ())


def test_a_guest_who_never_chooses_is_told_that_the_therapist_is_gone() -> None:
    decision = decide(found("ayu"), RING, CHOICE_ENDS_AT)
    assert wanted(decision, do.ReportLost) == [do.ReportLost("c_1", "o_ayu")]
    assert released(decision) == [("ayu", 1)]


# --- cancelled --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("search", [asking(*ALL), keeping(*ALL), found("ayu")], ids=["asking", "keeping", "found"])
def test_cancelling_withdraws_every_offer_and_lets_go_of_every_hold(search: Search) -> None:
    concerned = {each.therapist_id for each in search.offers}
    decision = decide(search, CANCEL, after(5))
    assert decision.record.state is State.CANCELLED
    assert decision.record.ended_because == "the guest cancelled"
    assert {each.answer for each in decision.record.offers} == {Answer.WITHDRAWN}
    assert {each.therapist_id for each in wanted(decision, do.CloseOffer)} == concerned
    assert {each.why for each in wanted(decision, do.CloseOffer)} == {"cancelled"}
    assert set(released(decision)) == {(each, 1) for each in concerned}


def test_nothing_that_comes_after_cancelling_changes_anything() -> None:
    search = cancelled()
    for event in (accepted("ayu"), declined("bagus"), LOST, GIVEN_BACK, TAKEN, CANCEL, RING):
        assert decide(search, event, after(2)).record == search


def test_a_search_cancelled_before_it_was_heard_of_never_asks_anybody() -> None:
    search = played(Search("s_1"), CANCEL)
    decision = decide(search, START, after(1))
    assert (decision.record, decision.effects) == (search, ())


def test_a_decline_or_a_late_hold_never_wakes_a_search_that_ended() -> None:
    for search in (won(), exhausted(), cancelled()):
        late = decide(search, on.CandidatesHeld(search.attempt, (held("dewi"),)), after(999))
        assert late.record == search
        assert released(late) == [("dewi", 1)]
