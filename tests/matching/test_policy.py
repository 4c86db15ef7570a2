"""Who may be asked, who is asked first, and that both can be explained."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from matching.policy import Candidate, Needs, Policy, ineligibility, is_eligible, rank
from tests.matching.scenes import CANDIDATE, NEEDS, NOW

FREE_AND_NEAR = CANDIDATE
RADIUS_KM = 5.0

# --- who may be asked -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"therapist_id": "no-thanks"}, "refused"),
        ({"is_available": False}, "unavailable"),
        ({"is_held": True}, "held"),
        ({"is_busy": True}, "busy"),
        ({"durations": (60, 120)}, "duration"),
        ({"gender": "male"}, "gender"),
        ({"distance_km": 5.001}, "distance"),
        ({"distance_km": 5.0}, None),
    ],
)
def test_the_reason_why_somebody_is_not_asked_is_named(changes: dict[str, Any], reason: str | None) -> None:
    candidate = replace(FREE_AND_NEAR, **changes)
    needs = replace(NEEDS, gender_preference="female")
    assert ineligibility(candidate, needs, RADIUS_KM, refused=("no-thanks",)) == reason
    assert is_eligible(candidate, needs, RADIUS_KM, refused=("no-thanks",)) == (reason is None)


def test_of_several_reasons_the_most_lasting_one_is_named() -> None:
    fits = FREE_AND_NEAR
    unfit = Candidate("ayu", 9.0, 4.5, "male", (60,), is_available=False, is_held=True, is_busy=True)
    needs = replace(NEEDS, gender_preference="female")
    named = []
    for mend in ("", "is_available", "is_held", "is_busy", "durations", "gender", "distance_km"):
        if mend:
            unfit = replace(unfit, **{mend: getattr(fits, mend)})
        named.append(ineligibility(unfit, needs, RADIUS_KM))
    assert named == ["unavailable", "held", "busy", "duration", "gender", "distance", None]


@pytest.mark.parametrize("gender", ["female", "male"])
def test_a_guest_without_a_preference_is_offered_everybody(gender: Any) -> None:
    assert is_eligible(replace(FREE_AND_NEAR, gender=gender), NEEDS, RADIUS_KM)


def test_without_a_radius_distance_does_not_matter() -> None:
    assert is_eligible(replace(FREE_AND_NEAR, distance_km=400.0), NEEDS, radius_km=None)


# --- who is asked first -----------------------------------------------------------------------------------------------


def order(*candidates: Candidate, asked_before: tuple[str, ...] = ()) -> list[str]:
    return [each.candidate.therapist_id for each in rank(candidates, NOW, asked_before)]


def someone(therapist_id: str, **changes: Any) -> Candidate:
    return replace(FREE_AND_NEAR, therapist_id=therapist_id, last_offer_at=NOW, **changes)


def test_the_nearest_is_asked_first() -> None:
    assert order(someone("far", distance_km=4.0), someone("near", distance_km=1.0)) == ["near", "far"]


def test_two_stars_are_worth_four_kilometres() -> None:
    plain = someone("plain", rating=3.0, distance_km=1.0)
    assert order(plain, someone("best", rating=5.0, distance_km=4.9)) == ["best", "plain"]
    assert order(plain, someone("best", rating=5.0, distance_km=5.1)) == ["plain", "best"]


def test_who_waited_longest_is_asked_before_who_was_just_asked() -> None:
    half_an_hour = replace(someone("half"), last_offer_at=NOW - timedelta(minutes=30))
    a_quarter = replace(someone("quarter"), last_offer_at=NOW - timedelta(minutes=15))
    assert order(someone("just"), a_quarter, half_an_hour) == ["half", "quarter", "just"]


def test_an_hour_without_an_offer_counts_as_never_asked_and_for_three_kilometres_at_most() -> None:
    never = replace(someone("never"), last_offer_at=None)
    an_hour = replace(someone("hour"), last_offer_at=NOW - timedelta(hours=1))
    a_day = replace(someone("day"), last_offer_at=NOW - timedelta(days=1))
    assert {each.why["waiting_km"] for each in rank((never, an_hour, a_day), NOW)} == {-3.0}


def test_an_offer_stamped_by_a_clock_ahead_of_ours_counts_as_just_made() -> None:
    [ahead] = rank([replace(someone("ahead"), last_offer_at=NOW + timedelta(seconds=5))], NOW)
    assert ahead.why["waiting_km"] == 0.0


def test_who_was_asked_before_comes_after_everybody_who_was_not() -> None:
    silent = someone("silent", distance_km=0.1, rating=5.0)
    stranger = someone("stranger", distance_km=49.0, rating=1.0)
    assert order(silent, stranger, asked_before=("silent",)) == ["stranger", "silent"]


def test_who_is_at_their_console_is_asked_before_a_neighbour_who_is_not() -> None:
    away_from_it = replace(someone("gone", distance_km=1.0), is_offline=True)
    assert order(away_from_it, someone("there", distance_km=5.9)) == ["there", "gone"]
    assert order(away_from_it, someone("there", distance_km=6.1)) == ["gone", "there"]
    assert order(away_from_it, replace(someone("gone too", distance_km=0.9), is_offline=True)) == ["gone too", "gone"]


def test_equal_costs_are_ordered_by_id_whatever_the_order_in_which_they_were_found() -> None:
    same = [someone(each) for each in ("citra", "ayu", "bagus")]
    assert order(*same) == order(*reversed(same)) == ["ayu", "bagus", "citra"]


names = st.sampled_from("abcdefgh")
CANDIDATES = st.lists(
    st.builds(
        Candidate,
        therapist_id=names,
        distance_km=st.floats(0, 60),
        rating=st.floats(1, 5),
        gender=st.sampled_from(("female", "male")),
        durations=st.just((60, 90)),
        is_offline=st.booleans(),
        last_offer_at=st.none() | st.integers(0, 7200).map(lambda s: NOW - timedelta(seconds=s)),
    ),
    max_size=8,
    unique_by=lambda each: each.therapist_id,
)


@given(CANDIDATES, st.sets(names))
def test_every_place_in_the_order_is_explained(candidates: list[Candidate], asked: set[str]) -> None:
    ranked = rank(candidates, NOW, asked)
    for each in ranked:
        assert each.cost_km == round(sum(each.why.values()), 3)
        assert ("asked_before_km" in each.why) == (each.candidate.therapist_id in asked)
        assert ("offline_km" in each.why) == each.candidate.is_offline
    assert [each.cost_km for each in ranked] == sorted(each.cost_km for each in ranked)
    assert rank(reversed(candidates), NOW, asked) == ranked


# --- attempts ---------------------------------------------------------------------------------------------------------


def test_every_attempt_looks_further_and_the_last_one_no_further_than_the_last_radius() -> None:
    policy = Policy(radii_km=(5.0, 10.0, 20.0))
    assert policy.max_attempts == 3
    assert [policy.radius_km(attempt) for attempt in range(5)] == [5.0, 5.0, 10.0, 20.0, 20.0]


def test_needs_say_nothing_of_gender_unless_the_guest_does() -> None:
    assert Needs(0.0, 0.0, 60).gender_preference == "any"
