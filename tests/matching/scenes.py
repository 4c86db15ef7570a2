"""The people, moments and searches that the tests of matching are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from matching import effects as do
from matching import events as on
from matching.policy import Candidate, Needs, Policy
from matching.records import Decision, Offer, Search
from matching.search import CHOICE_MARGIN_S, decide

E = TypeVar("E")

NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
NEEDS = Needs(latitude=-8.5069, longitude=115.2625, duration=90)
POLICY = Policy(radii_km=(5.0, 10.0, 20.0))
DEADLINE = NOW + timedelta(seconds=POLICY.answer_s)
DIRECT_DEADLINE = NOW + timedelta(seconds=POLICY.direct_s)
CANDIDATE = Candidate(therapist_id="ayu", distance_km=3.0, rating=4.5, gender="female", durations=(60, 90))


# --- what happens -----------------------------------------------------------------------------------------------------


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def held(therapist_id: str, *, until: datetime = DEADLINE, fence: int = 1, offer_id: str | None = None) -> on.Held:
    return on.Held(
        offer_id=offer_id or f"o_{therapist_id}",
        therapist_id=therapist_id,
        fence=fence,
        until=until,
        distance_km=2.0,
        why={"distance_km": 2.0},
    )


def accepted(therapist_id: str) -> on.OfferAccepted:
    return on.OfferAccepted(f"o_{therapist_id}", therapist_id)


def declined(therapist_id: str) -> on.OfferDeclined:
    return on.OfferDeclined(f"o_{therapist_id}", therapist_id)


CHOICE_ENDS_AT = after(1 + POLICY.choose_s + CHOICE_MARGIN_S)
START = on.SearchStarted("c_1", "b_1", NEEDS, POLICY, DEADLINE)
LATE_HOLD = on.CandidatesHeld(1, (held("citra"),))
KEPT, LOST = on.HoldKept("o_ayu", CHOICE_ENDS_AT), on.HoldLost("o_ayu")
GIVEN_BACK, TAKEN = on.TherapistGivenBack("o_ayu", after(90)), on.TherapistTaken("o_ayu")
CANCEL = on.SearchCancelled("the guest cancelled")
STATUS, RING = on.StatusAsked(), on.DeadlinePassed()

# --- where a search stands --------------------------------------------------------------------------------------------


def played(search: Search, *events: Any, at: datetime = NOW) -> Search:
    """The search after these events, each of them saved."""
    for event in events:
        decision = decide(search, event, at)
        assert decision.refusal is None, decision.refusal
        search = replace(decision.record, version=search.version + 1)
    return search


def started(policy: Policy = POLICY, direct: str | None = None) -> Search:
    deadline_at = DIRECT_DEADLINE if direct else DEADLINE
    return played(Search("s_1"), on.SearchStarted("c_1", "b_1", NEEDS, policy, deadline_at, direct))


def asking(*therapist_ids: str, policy: Policy = POLICY) -> Search:
    """A search in its first attempt, with an open offer for each."""
    return played(started(policy), on.CandidatesHeld(1, tuple(held(each) for each in therapist_ids)))


def asking_directly(therapist_id: str) -> Search:
    """A search that asks the one therapist whom the guest picked."""
    return played(started(direct=therapist_id), on.CandidatesHeld(0, (held(therapist_id, until=DIRECT_DEADLINE),)))


def keeping(*therapist_ids: str) -> Search:
    """The first of them has accepted a second ago, and the hold is being prolonged."""
    return played(asking(*therapist_ids), accepted(therapist_ids[0]), at=after(1))


def found(*therapist_ids: str) -> Search:
    """The first of them has accepted and is kept for the guest until `CHOICE_ENDS_AT`."""
    return played(keeping(*therapist_ids), on.HoldKept(f"o_{therapist_ids[0]}", CHOICE_ENDS_AT), at=after(2))


def won() -> Search:
    return played(found("ayu", "bagus"), TAKEN, at=after(3))


def exhausted() -> Search:
    """Nobody answered in any attempt."""
    search = asking("ayu")
    while search.expires_at is not None:
        search = played(search, RING, at=search.expires_at)
    return search


def lapsed() -> Search:
    """A therapist was found, and nothing was heard of the guest for as long as the hold lasted."""
    return played(found("ayu"), RING, at=CHOICE_ENDS_AT)


def cancelled() -> Search:
    return played(asking("ayu", "bagus"), CANCEL, at=after(1))


# --- what came of it --------------------------------------------------------------------------------------------------


def offer(search: Search, therapist_id: str) -> Offer:
    """The one offer that this therapist was made."""
    [only] = [each for each in search.offers if each.therapist_id == therapist_id]
    return only


def wanted(decision: Decision, kind: type[E]) -> list[E]:
    """The effects of this kind."""
    return [each for each in decision.effects if isinstance(each, kind)]


def kinds(decision: Decision) -> list[type]:
    return [type(each) for each in decision.effects]


def released(decision: Decision) -> list[tuple[str, int]]:
    """Whose holds are let go, with their fences."""
    return [(each.therapist_id, each.fence) for each in wanted(decision, do.ReleaseHold)]


def therapists(offers: Sequence[Offer | do.SendOffer]) -> list[str]:
    return [each.therapist_id for each in offers]
