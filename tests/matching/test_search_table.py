"""Every row of a search's table in a sentence: where it stands, what happens, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pytest

from matching import effects as do
from matching import events as on
from matching.records import LIVE_STATES, Search, State
from matching.search import TRANSITIONS, decide
from tests.matching.scenes import (
    CANCEL,
    CHOICE_ENDS_AT,
    DEADLINE,
    GIVEN_BACK,
    KEPT,
    LATE_HOLD,
    LOST,
    NOW,
    RING,
    START,
    STATUS,
    TAKEN,
    accepted,
    after,
    asking,
    cancelled,
    declined,
    exhausted,
    found,
    held,
    keeping,
    kinds,
    lapsed,
    played,
    started,
    won,
)


@dataclass(frozen=True, slots=True)
class Row:
    sentence: str
    search: Search
    event: Any
    at: datetime
    leads_to: State
    effects: tuple[type, ...] = ()


ERASED = on.GuestErased()
FIND, OFFER, CLOSE, KEEP, RELEASE = do.FindCandidates, do.SendOffer, do.CloseOffer, do.KeepHold, do.ReleaseHold

ROWS = (
    Row("a search that starts looks for somebody", Search("s_1"), START, NOW, State.ASKING, (FIND,)),
    Row("a search cancelled before it started never starts", Search("s_1"), CANCEL, NOW, State.CANCELLED),
    Row("who is held is asked", started(), on.CandidatesHeld(1, (held("ayu"),)), NOW, State.ASKING, (OFFER,)),
    Row("a yes is kept", asking("ayu"), accepted("ayu"), after(1), State.KEEPING, (KEEP,)),
    Row(
        "a no frees who said it and asks the next",
        asking("ayu"),
        declined("ayu"),
        after(1),
        State.ASKING,
        (CLOSE, RELEASE, FIND),
    ),
    Row(
        "a hold kept for a yes that no longer counts is let go",
        played(keeping("ayu"), RING, at=after(11)),
        KEPT,
        after(12),
        State.ASKING,
        (RELEASE,),
    ),
    Row(
        "cancelling frees everybody who was asked",
        asking("ayu", "bagus"),
        CANCEL,
        after(1),
        State.CANCELLED,
        (CLOSE, RELEASE, CLOSE, RELEASE),
    ),
    Row("an asking search says how far it is", asking("ayu"), STATUS, after(1), State.ASKING, (do.ReportAttempt,)),
    Row(
        "an attempt that ends goes wider",
        asking("ayu"),
        RING,
        DEADLINE,
        State.ASKING,
        (CLOSE, RELEASE, do.ReportAttempt, FIND),
    ),
    Row("who is held while a yes is kept is let go", keeping("ayu"), LATE_HOLD, after(2), State.KEEPING, (RELEASE,)),
    Row("the same yes again is no news while it is kept", keeping("ayu"), accepted("ayu"), after(2), State.KEEPING),
    Row(
        "a no while another's yes is kept frees who said it",
        keeping("ayu", "bagus"),
        declined("bagus"),
        after(2),
        State.KEEPING,
        (CLOSE, RELEASE),
    ),
    Row(
        "a yes whose hold is kept is found, and the others are free",
        keeping("ayu", "bagus"),
        KEPT,
        after(2),
        State.FOUND,
        (do.WaitForGuest, do.ReportFound, CLOSE, RELEASE),
    ),
    Row(
        "a yes whose hold was lost asks the next",
        keeping("ayu"),
        LOST,
        after(2),
        State.ASKING,
        (CLOSE, RELEASE, FIND),
    ),
    Row(
        "cancelling frees who has said yes, too",
        keeping("ayu", "bagus"),
        CANCEL,
        after(2),
        State.CANCELLED,
        (CLOSE, RELEASE, CLOSE, RELEASE),
    ),
    Row(
        "a hold of which nothing is heard is given up",
        keeping("ayu"),
        RING,
        after(11),
        State.ASKING,
        (CLOSE, RELEASE, FIND),
    ),
    Row("who is held when somebody is found is let go", found("ayu"), LATE_HOLD, after(3), State.FOUND, (RELEASE,)),
    Row("the same yes again is no news when it is found", found("ayu"), accepted("ayu"), after(3), State.FOUND),
    Row(
        "a therapist given back is free, and the search goes on",
        found("ayu"),
        GIVEN_BACK,
        after(30),
        State.ASKING,
        (CLOSE, RELEASE, FIND),
    ),
    Row("a therapist taken wins the search", found("ayu"), TAKEN, after(30), State.WON, (CLOSE, RELEASE)),
    Row("cancelling frees who was found", found("ayu"), CANCEL, after(30), State.CANCELLED, (CLOSE, RELEASE)),
    Row("a search that found somebody says so again", found("ayu"), STATUS, after(30), State.FOUND, (do.ReportFound,)),
    Row(
        "a guest who never chooses frees the therapist",
        found("ayu"),
        RING,
        CHOICE_ENDS_AT,
        State.EXHAUSTED,
        (CLOSE, RELEASE, do.ReportLost),
    ),
    Row("who is held after the search was won is let go", won(), LATE_HOLD, after(9), State.WON, (RELEASE,)),
    Row("the winner's yes again is no news", won(), accepted("ayu"), after(9), State.WON),
    Row(
        "a hold kept after another has won is let go",
        won(),
        on.HoldKept("o_bagus", after(99)),
        after(9),
        State.WON,
        (RELEASE,),
    ),
    Row(
        "who is held after the search ended is let go", exhausted(), LATE_HOLD, after(300), State.EXHAUSTED, (RELEASE,)
    ),
    Row("a hold kept after the search ended is let go", exhausted(), KEPT, after(300), State.EXHAUSTED, (RELEASE,)),
    Row("an exhausted search says so", exhausted(), STATUS, after(300), State.EXHAUSTED, (do.ReportExhausted,)),
    # The hold of a therapist lapses a little after the guest's own time, so the guest's choice may cross it on its way.
    Row(
        "a guest who wants another after the search has lapsed hears that it is over",
        lapsed(),
        GIVEN_BACK,
        CHOICE_ENDS_AT,
        State.EXHAUSTED,
        (do.ReportExhausted,),
    ),
    Row("a slot reserved as the search lapsed has won it", lapsed(), TAKEN, CHOICE_ENDS_AT, State.WON),
    Row("who is held after cancelling is let go", cancelled(), LATE_HOLD, after(9), State.CANCELLED, (RELEASE,)),
    Row("a hold kept after cancelling is let go", cancelled(), KEPT, after(9), State.CANCELLED, (RELEASE,)),
    *(
        Row(f"the guest of a search that is {each.state} can be erased", each, ERASED, CHOICE_ENDS_AT, each.state)
        for each in (won(), exhausted(), cancelled())
    ),
    Row("a cancelled search says that it ended", cancelled(), STATUS, after(9), State.CANCELLED, (do.ReportExhausted,)),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.sentence)
def test_every_row_of_the_table(row: Row) -> None:
    decision = decide(row.search, row.event, row.at)
    assert decision.record.state is row.leads_to
    assert tuple(kinds(decision)) == row.effects
    assert decision.refusal is None
    assert decision.record.is_live == (decision.record.expires_at is not None)


def test_no_row_is_without_its_sentence() -> None:
    told = {(row.search.state, type(row.event)) for row in ROWS}
    assert told >= {(state, event) for state, rows in TRANSITIONS.items() for event in rows}


@pytest.mark.parametrize("search", [won(), exhausted(), cancelled()], ids=lambda each: each.state)
def test_where_a_search_was_for_is_forgotten_and_who_was_asked_is_not(search: Search) -> None:
    offers = tuple(
        replace(each, distance_km=2.345, why={"distance_km": 2.345}, reason="it is far") for each in search.offers
    )
    erased = decide(replace(search, offers=offers), ERASED, after(900)).record
    assert erased.needs is None
    assert [(each.therapist_id, each.answer, each.asked_at) for each in erased.offers] == [
        (each.therapist_id, each.answer, each.asked_at) for each in search.offers
    ]
    assert {(each.distance_km, each.why["distance_km"], each.reason) for each in erased.offers} == {(2.0, 2.0, None)}
    assert CANCEL.why not in str(erased)
    assert decide(erased, ERASED, after(901)).record == erased, "once more is no news"


def test_every_live_state_has_a_clock_and_a_row_for_its_end() -> None:
    for search in (asking("ayu"), keeping("ayu"), found("ayu")):
        assert search.expires_at is not None
    for state in LIVE_STATES:
        assert on.DeadlinePassed in TRANSITIONS[state]


def test_an_event_without_a_row_changes_nothing() -> None:
    for search in (Search("s_1"), asking("ayu"), keeping("ayu"), found("ayu"), won(), exhausted(), cancelled()):
        for event in (START, LATE_HOLD, KEPT, LOST, GIVEN_BACK, TAKEN, CANCEL, STATUS, ERASED, RING):
            if type(event) not in TRANSITIONS[search.state]:
                decision = decide(search, event, after(500))
                assert (decision.record, decision.effects) == (search, ())
