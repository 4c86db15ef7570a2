"""How a search asks: in waves, inside a countdown, wider and wider, one picked therapist first, to a certain end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching import effects as do
from matching import events as on
from matching.policy import Policy
from matching.records import Answer, Search, State
from matching.search import MOST_OFFERS, decide
from tests.matching.scenes import (
    CANCEL,
    DEADLINE,
    LATE_HOLD,
    LOST,
    MILLISECOND,
    NEEDS,
    NOW,
    POLICY,
    RING,
    START,
    STATUS,
    accepted,
    after,
    asking,
    asking_directly,
    declined,
    found,
    held,
    keeping,
    kinds,
    offer,
    played,
    released,
    started,
    therapists,
    wanted,
)

# --- waves ------------------------------------------------------------------------------------------------------------


def test_a_search_begins_with_a_wave_of_three_within_the_first_radius() -> None:
    [look] = wanted(decide(Search("s_1"), START, NOW), do.FindCandidates)
    assert (look.attempt, look.count, look.radius_km, look.until) == (1, 3, 5.0, DEADLINE)
    assert (look.needs, look.refused, look.asked_before, look.only_therapist_id) == (NEEDS, (), (), None)


def test_an_offer_lasts_as_long_as_the_hold_it_is_made_of_and_carries_its_fence() -> None:
    until = after(41)
    decision = decide(started(), on.CandidatesHeld(1, (held("ayu", until=until, fence=7),)), after(5))
    made = offer(decision.record, "ayu")
    assert (made.until, made.fence, made.why, made.asked_at) == (until, 7, {"distance_km": 2.0}, after(5))
    [sent] = wanted(decision, do.SendOffer)
    assert sent == do.SendOffer("o_ayu", "ayu", "b_1", distance_km=2.0, respond_by=until, attempt=1)


def test_no_more_are_asked_at_a_time_than_a_wave_and_the_rest_are_let_go() -> None:
    holds = tuple(held(each, fence=place) for place, each in enumerate(("ayu", "bagus", "citra", "dewi")))
    decision = decide(started(), on.CandidatesHeld(1, holds), NOW)
    assert therapists(wanted(decision, do.SendOffer)) == ["ayu", "bagus", "citra"]
    assert released(decision) == [("dewi", 3)]


def test_a_wave_that_is_full_already_asks_nobody_more() -> None:
    decision = decide(asking("ayu", "bagus", "citra"), on.CandidatesHeld(1, (held("dewi"),)), after(1))
    assert wanted(decision, do.SendOffer) == []
    assert released(decision) == [("dewi", 1)]


def test_a_hold_that_has_lapsed_on_its_way_makes_no_offer() -> None:
    decision = decide(started(), on.CandidatesHeld(1, (held("ayu", until=after(5)),)), after(5))
    assert decision.record.offers == ()
    assert released(decision) == [("ayu", 1)]


def test_a_hold_on_somebody_who_has_refused_meanwhile_is_let_go() -> None:
    search = played(asking("ayu"), declined("ayu"), at=after(1))
    decision = decide(search, on.CandidatesHeld(1, (held("ayu", offer_id="o_again", fence=2),)), after(2))
    assert wanted(decision, do.SendOffer) == []
    assert released(decision) == [("ayu", 2)]


def test_holds_of_an_earlier_attempt_are_let_go() -> None:
    wider = played(asking("ayu"), RING, at=DEADLINE)
    decision = decide(wider, on.CandidatesHeld(1, (held("bagus"),)), after(61))
    assert released(decision) == [("bagus", 1)]


def test_while_a_wave_is_not_full_the_search_looks_again_for_who_has_come_free() -> None:
    search = asking("ayu")
    assert search.expires_at == after(POLICY.look_again_s)
    decision = decide(search, RING, after(POLICY.look_again_s))
    [look] = wanted(decision, do.FindCandidates)
    assert (look.count, look.refused, look.until) == (2, ("ayu",), DEADLINE)
    assert decision.record.expires_at == after(2 * POLICY.look_again_s)


def test_a_full_wave_is_left_in_peace_until_the_countdown_ends() -> None:
    assert asking("ayu", "bagus", "citra").expires_at == DEADLINE


def test_nobody_is_asked_who_could_not_answer_in_time() -> None:
    late = after(POLICY.answer_s - POLICY.shortest_answer_s) + MILLISECOND
    decision = decide(asking("ayu", "bagus"), declined("ayu"), late)
    assert wanted(decision, do.FindCandidates) == []
    assert decision.record.expires_at == DEADLINE


# --- found twice ------------------------------------------------------------------------------------------------------
# A process that died, or was only slow, leaves the same look to another: its answer arrives a second time.

SAME_AGAIN = on.CandidatesHeld(1, (held("ayu"), held("bagus")))


def test_candidates_found_a_second_time_keep_the_holds_that_their_open_offers_stand_on() -> None:
    decision = decide(asking("ayu", "bagus"), SAME_AGAIN, after(1))
    assert released(decision) == []


def test_candidates_found_a_second_time_are_not_asked_a_second_time() -> None:
    decision = decide(asking("ayu", "bagus"), SAME_AGAIN, after(1))
    assert wanted(decision, do.SendOffer) == []
    assert therapists(decision.record.offers) == ["ayu", "bagus"]


@pytest.mark.parametrize("search", [keeping("ayu", "bagus"), found("ayu", "bagus")], ids=["keeping", "found"])
def test_candidates_found_a_second_time_do_not_free_the_therapist_who_said_yes(search: Search) -> None:
    assert ("ayu", 1) not in released(decide(search, SAME_AGAIN, after(3)))


def test_a_hold_taken_anew_for_an_offer_that_was_declined_is_let_go() -> None:
    search = played(asking("ayu", "bagus", "citra"), declined("ayu"), at=after(1))
    decision = decide(search, on.CandidatesHeld(1, (held("ayu", fence=2),)), after(2))
    assert wanted(decision, do.SendOffer) == []
    assert released(decision) == [("ayu", 2)]


def test_a_hold_taken_anew_for_an_offer_whose_yes_came_to_nothing_is_let_go() -> None:
    search = played(keeping("ayu"), LOST, at=after(2))
    decision = decide(search, on.CandidatesHeld(1, (held("ayu", fence=2),)), after(3))
    assert therapists(decision.record.offers) == ["ayu"]
    assert released(decision) == [("ayu", 2)]


def test_a_hold_that_was_let_go_because_nobody_was_asked_is_not_offered_when_it_is_found_again() -> None:
    """The first letting go may still be on its way: an offer made now would lose its hold."""
    search = played(keeping("ayu"), LATE_HOLD, LOST, at=after(2))
    decision = decide(search, LATE_HOLD, after(3))
    assert wanted(decision, do.SendOffer) == []
    assert released(decision) == [("citra", 1)]


def test_a_hold_that_was_let_go_as_one_too_many_is_not_offered_when_it_is_found_again() -> None:
    holds = on.CandidatesHeld(1, tuple(held(each) for each in ("ayu", "bagus", "citra", "dewi")))
    search = played(started(), holds, declined("ayu"), at=after(1))
    decision = decide(search, holds, after(2))
    assert wanted(decision, do.SendOffer) == []
    assert set(released(decision)) >= {("dewi", 1)}


@pytest.mark.parametrize("search", [keeping("ayu"), found("ayu")], ids=["keeping", "found"])
def test_a_hold_taken_anew_for_the_yes_of_a_cancelled_search_is_let_go(search: Search) -> None:
    """Cancelling let it go; a slow process took it once more, and nobody else will ever let it go."""
    over = played(search, CANCEL, at=after(3))
    assert released(decide(over, on.CandidatesHeld(1, (held("ayu", fence=2),)), after(4))) == [("ayu", 2)]


# --- attempts ---------------------------------------------------------------------------------------------------------


def test_an_attempt_that_ends_goes_wider_without_who_refused_and_after_everybody_new() -> None:
    search = played(asking("ayu", "bagus"), declined("ayu"), at=after(1))
    decision = decide(search, RING, DEADLINE)
    assert offer(decision.record, "bagus").answer is Answer.EXPIRED
    assert wanted(decision, do.CloseOffer) == [do.CloseOffer("o_bagus", "bagus", "expired")]
    assert released(decision) == [("bagus", 1)]
    [look] = wanted(decision, do.FindCandidates)
    assert (look.attempt, look.count, look.radius_km, look.until) == (2, 3, 10.0, after(120))
    assert (look.refused, look.asked_before) == (("ayu",), ("ayu", "bagus"))
    assert wanted(decision, do.ReportAttempt) == [do.ReportAttempt("c_1", 2, after(120))]


def test_holds_are_let_go_before_the_next_are_looked_for() -> None:
    wants = kinds(decide(asking("ayu", "bagus"), RING, DEADLINE))
    assert wants.index(do.FindCandidates) > max(place for place, kind in enumerate(wants) if kind is do.ReleaseHold)


def test_after_the_widest_attempt_the_search_has_found_nobody() -> None:
    search = asking("ayu")
    reported = []
    while search.expires_at is not None:
        decision = decide(search, RING, search.expires_at)
        reported += [each.attempt for each in wanted(decision, do.ReportAttempt)]
        search = replace(decision.record, version=search.version + 1)
    assert reported == [2, 3]
    assert search.state is State.EXHAUSTED
    assert search.ended_because == "nobody accepted"
    assert decision.effects == (do.ReportExhausted("c_1"),)


LIVE = (asking("ayu", "bagus", "citra"), keeping("ayu"), found("ayu"))


@pytest.mark.parametrize("search", LIVE, ids=lambda each: each.state)
def test_a_ring_that_comes_early_changes_nothing(search: Search) -> None:
    assert search.expires_at is not None
    decision = decide(search, RING, search.expires_at - MILLISECOND)
    assert (decision.record, decision.effects) == (search, ())


def test_a_ring_that_comes_twice_changes_nothing_the_second_time() -> None:
    for search in LIVE:
        assert search.expires_at is not None
        rung = played(search, RING, at=search.expires_at)
        decision = decide(rung, RING, search.expires_at)
        assert (decision.record, decision.effects) == (rung, ())


def test_a_ring_hours_late_does_what_it_would_have_done_in_time() -> None:
    decision = decide(asking("ayu"), RING, after(7200))
    assert decision.record.attempt == 2
    assert decision.record.attempt_ends_at == after(7260)


# --- one therapist first ----------------------------------------------------------------------------------------------


def test_a_therapist_whom_the_guest_picked_is_asked_alone_however_far_away() -> None:
    [look] = wanted(
        decide(Search("s_1"), replace(START, direct_therapist_id="ayu", deadline_at=after(300)), NOW), do.FindCandidates
    )
    assert (look.attempt, look.count, look.radius_km, look.until) == (0, 1, None, after(300))
    assert look.only_therapist_id == "ayu"


def test_the_picked_therapist_is_given_all_of_their_time() -> None:
    assert asking_directly("ayu").expires_at == after(POLICY.direct_s)


def test_a_picked_therapist_who_cannot_be_held_lets_the_others_be_asked_at_once() -> None:
    decision = decide(started(direct="ayu"), on.CandidatesHeld(0, ()), after(1))
    assert decision.record.attempt == 1
    [look] = wanted(decision, do.FindCandidates)
    assert (look.attempt, look.count, look.only_therapist_id, look.until) == (1, 3, None, after(61))
    assert wanted(decision, do.ReportAttempt) == [do.ReportAttempt("c_1", 1, after(61))]


def test_a_picked_therapist_who_declines_lets_the_others_be_asked_at_once() -> None:
    decision = decide(asking_directly("ayu"), declined("ayu"), after(40))
    assert (decision.record.attempt, decision.record.attempt_ends_at) == (1, after(100))
    [look] = wanted(decision, do.FindCandidates)
    assert look.refused == ("ayu",)


def test_a_picked_therapist_who_does_not_answer_lets_the_others_be_asked_in_the_end() -> None:
    decision = decide(asking_directly("ayu"), RING, after(300))
    assert decision.record.attempt == 1
    assert released(decision) == [("ayu", 1)]


@pytest.mark.parametrize("event", [LOST, RING], ids=["lost", "unheard-of"])
def test_a_picked_therapist_whose_yes_comes_to_nothing_lets_the_others_be_asked_at_once(event: Any) -> None:
    """Nobody else is being asked: to wait for the end of the five minutes would be to wait for nothing."""
    search = played(asking_directly("ayu"), accepted("ayu"), at=after(1))
    decision = decide(search, event, after(11))
    assert decision.record.attempt == 1
    assert [look.attempt for look in wanted(decision, do.FindCandidates)] == [1]


# --- for ever ---------------------------------------------------------------------------------------------------------


def test_the_record_stays_small_however_many_decline() -> None:
    search = started(Policy(radii_km=(5.0,) * 5))
    for number in range(MOST_OFFERS * 2):
        name = f"t{number}"
        found_one = on.CandidatesHeld(1, (held(name),))
        search = replace(decide(search, found_one, after(1)).record, version=search.version + 1)
        decision = decide(search, declined(name), after(1))
        search = replace(decision.record, version=search.version + 1)
        if not wanted(decision, do.FindCandidates):
            break
    assert len(search.offers) == MOST_OFFERS
    assert search.expires_at == DEADLINE


events = st.one_of(
    st.builds(
        lambda attempt, names, offset: on.CandidatesHeld(
            attempt, tuple(held(each, until=after(offset), offer_id=f"o_{each}") for each in names)
        ),
        st.integers(0, 3),
        st.lists(st.sampled_from(("ayu", "bagus", "citra")), max_size=3, unique=True),
        st.sampled_from((30, 60, 120)),
    ),
    st.sampled_from(("ayu", "bagus", "citra")).flatmap(
        lambda each: st.sampled_from(
            (
                accepted(each),
                declined(each),
                on.HoldKept(f"o_{each}", after(200)),
                on.HoldLost(f"o_{each}"),
                on.TherapistGivenBack(f"o_{each}", after(150)),
                on.TherapistTaken(f"o_{each}"),
            )
        )
    ),
    st.sampled_from((START, STATUS, RING, CANCEL)),
)


@given(st.lists(st.tuples(events, st.integers(0, 40)), max_size=25))
def test_whatever_happens_a_live_search_has_a_clock_and_an_ended_one_no_open_offer(history: list[Any]) -> None:
    search, now = started(), NOW
    for event, seconds in history:
        now = max(now, after(seconds)) if seconds % 2 else now
        before = search
        search = replace(decide(search, event, now).record, version=search.version + 1)
        assert search.is_live == (search.expires_at is not None)
        assert search.is_live or not search.open_offers()
        assert before.is_live or not search.is_live
        assert search.offers[: len(before.offers)] == before.offers or search.is_live or before.is_live
