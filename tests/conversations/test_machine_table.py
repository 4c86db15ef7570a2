"""Every row of a conversation's table in a sentence: where the guest stands, what happens, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from conversations import effects as do
from conversations import events as on
from conversations.conversation import ENDED_STATES, Conversation, State
from conversations.machine import REFUSALS, TRANSITIONS, decide
from tests.conversations.scenes import (
    CANCEL,
    CONTACT,
    ERASE,
    EVERYWHERE,
    INDONESIAN,
    LOOK,
    MILLISECOND,
    PLACE,
    RING,
    TERMS,
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
    erased,
    exhausted,
    expired,
    idle,
    kinds,
    lost,
    news,
    no_therapist,
    rated,
    reserved,
    reserving,
    searching,
    taken,
    therapist_found,
    withdrew,
)


@dataclass(frozen=True, slots=True)
class Row:
    sentence: str
    conversation: Conversation
    event: Any
    at: datetime
    leads_to: State
    effects: tuple[type, ...] = ()


SAY, CARD, STATE = do.Say, do.ShowCard, do.ShowState
BOOKING, ASK, START, CANCEL_SEARCH = do.TellBooking, do.AskSearch, do.StartSearch, do.CancelSearch
RESERVE, RELEASE, BACK, WON = do.ReserveSlot, do.ReleaseSlot, do.GiveTherapistBack, do.CloseSearchWon
THERAPIST_BOOKING, NOTIFY, COUNT = do.ShowTherapistBooking, do.NotifyTherapist, do.CountVisit
FORM = (SAY, STATE, CARD)
NEXT_SEARCH = (BOOKING, BACK, SAY, STATE)
NOBODY = (SAY, STATE, CARD)
FORGOTTEN = (SAY, STATE, do.EndTokens, do.EraseGuest)
PROGRESS = (BOOKING, SAY, STATE, THERAPIST_BOOKING)

ROWS = (
    Row("pressing book opens the form", idle(), book(), after(0), State.CONFIRMING, FORM),
    Row("pressing book again opens the newer form", confirming(), book(), after(5), State.CONFIRMING, FORM),
    Row("confirming the form starts a search", confirming(), confirm(confirming()), after(5), State.SEARCHING,
        (BOOKING, START, SAY, STATE)),
    Row("a form can be cancelled", confirming(), CANCEL, after(5), State.CANCELLED, (SAY, STATE)),
    Row("a form that nobody confirms is closed", confirming(), RING, after(TERMS.form_s), State.EXPIRED, (SAY, STATE)),
    Row("a wider attempt is told", searching(), attempt(searching(), 2, after(120)), after(60), State.SEARCHING,
        (SAY, STATE)),
    Row("a therapist who was found is proposed", searching(), therapist_found(searching()), after(10), State.CHOOSING,
        (BOOKING, SAY, STATE, CARD)),
    Row("a search that found nobody is told", searching(), exhausted(searching()), after(180), State.NO_THERAPIST,
        NOBODY),
    Row("a search can be cancelled", searching(), CANCEL, after(5), State.CANCELLED,
        (CANCEL_SEARCH, BOOKING, SAY, STATE)),
    Row("a search that is silent is asked where it stands", searching(), RING, after(75), State.SEARCHING, (ASK,)),
    Row("accepting reserves the therapist's time first", choosing(), accept(choosing()), after(20), State.CHOOSING,
        (RESERVE,)),
    Row("the reserved slot makes the booking", reserving(), reserved(), after(21), State.ACTIVE,
        (BOOKING, STATE, SAY, WON, THERAPIST_BOOKING)),
    Row("a slot that was just taken goes on searching", reserving(), taken(), after(21), State.SEARCHING, NEXT_SEARCH),
    Row("wanting another goes on searching", choosing(), another(choosing()), after(20), State.SEARCHING, NEXT_SEARCH),
    Row("a therapist who is lost leaves nobody", choosing(), lost(choosing()), after(150), State.NO_THERAPIST,
        (BOOKING, *NOBODY)),
    Row("a choice can be cancelled", choosing(), CANCEL, after(20), State.CANCELLED,
        (CANCEL_SEARCH, BOOKING, SAY, STATE)),
    Row("a choice that nobody makes gives the therapist back", choosing(), RING, after(130), State.NO_THERAPIST,
        (CANCEL_SEARCH, BOOKING, *NOBODY)),
    Row("news of the visit is told to both", active(), news(active(), "on_the_way"), after(60), State.ACTIVE, PROGRESS),
    Row("a completed visit is counted and frees the therapist", active(), news(active(), "completed"), after(6000),
        State.COMPLETED, (BOOKING, SAY, STATE, CARD, RELEASE, THERAPIST_BOOKING, COUNT)),
    Row("a visit without its guest frees the therapist", active(), news(active(), "no_show"), after(6000),
        State.EXPIRED, (BOOKING, SAY, STATE, RELEASE, THERAPIST_BOOKING, NOTIFY)),
    Row("a therapist who cannot come leaves nobody", active(), withdrew(active()), after(60), State.NO_THERAPIST,
        (RELEASE, BOOKING, *NOBODY, THERAPIST_BOOKING)),
    Row("a visit can be cancelled", active(), CANCEL, after(60), State.CANCELLED,
        (BOOKING, SAY, STATE, RELEASE, THERAPIST_BOOKING)),
    Row("a visit that nobody closes is closed", active(), RING, after(86_400), State.EXPIRED,
        (BOOKING, SAY, STATE, RELEASE, THERAPIST_BOOKING, NOTIFY)),
    Row("searching again starts another search", no_therapist(), again(no_therapist()), after(200), State.SEARCHING,
        (START, SAY, STATE)),
    Row("a request without a therapist can be cancelled", no_therapist(), CANCEL, after(200), State.CANCELLED,
        (BOOKING, SAY, STATE)),
    Row("a request without a therapist is closed in the end", no_therapist(), RING, after(86_400), State.EXPIRED,
        (BOOKING, SAY, STATE)),
    Row("a completed visit can be rated", completed(), rated(), after(9000), State.COMPLETED, (BOOKING, CARD, COUNT)),
    Row("after a completed visit one can book again", completed(), book(), after(9000), State.CONFIRMING, FORM),
    Row("after cancelling one can book again", cancelled(), book(), after(9000), State.CONFIRMING, FORM),
    Row("after a request was closed one can book again", expired(), book(), after(9000), State.CONFIRMING, FORM),
    *(
        Row(f"the language can be chosen while {each.state}", each, INDONESIAN, after(9), each.state)
        for each in EVERYWHERE
        if each.state is not State.ERASED
    ),
    *(
        Row(f"what stands now can be shown again while {each.state}", each, LOOK, after(9), each.state, (shown,))
        for shown, several in (
            (CARD, (confirming(), choosing(), no_therapist(), completed())),
            (STATE, (idle(), searching(), active(), cancelled(), expired())),
        )
        for each in several
    ),
    *(
        Row(f"a guest can ask to be erased while {each.state}", each, ERASE, after(9), State.ERASED, FORGOTTEN)
        for each in (idle(), completed(), cancelled(), expired())
    ),
    *(
        Row(f"a guest who asks to be erased while {each.state} cancels first", each, ERASE, after(9), State.ERASED,
            (*kinds(decide(each, CANCEL, after(9))), *FORGOTTEN))
        for each in (confirming(), searching(), choosing(), active(), no_therapist())
    ),
    Row("asking to be erased again is no news", erased(), ERASE, after(20), State.ERASED),
    Row("a guest is erased again after a while", erased(), RING, after(300), State.ERASED, (do.EraseGuest,)),
    *(
        Row(f"a slot reserved for nobody is let go while {each.state}", each, reserved("o_old"), after(9), each.state,
            (RELEASE,))
        for each in EVERYWHERE
    ),
)  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.sentence)
def test_every_row_of_the_table(row: Row) -> None:
    decision = decide(row.conversation, row.event, row.at)
    assert decision.refusal is None
    assert decision.record.state is row.leads_to
    assert kinds(decision) == row.effects
    is_move = row.leads_to is not row.conversation.state or {STATE, CARD} <= set(row.effects)
    assert decision.record.revision == row.conversation.revision + is_move, "a move makes older cards stale"


def test_no_row_is_without_its_sentence() -> None:
    told = {(row.conversation.state, type(row.event)) for row in ROWS}
    assert told == {(state, event) for state, rows in TRANSITIONS.items() for event in rows}


def test_no_row_can_lead_where_no_sentence_leads() -> None:
    """The diagram in the README is drawn from `to`: an arrow that nothing takes would be a lie."""
    taken_ways = {(row.conversation.state, type(row.event), row.leads_to) for row in ROWS}
    for state, rows in TRANSITIONS.items():
        for event, move in rows.items():
            for target in move.to:
                assert target is state or (state, event, target) in taken_ways | CLOSED_BY_RULE


CLOSED_BY_RULE = {(State.ACTIVE, on.DeadlinePassed, State.COMPLETED)}  # where the therapist had arrived


@pytest.mark.parametrize("row", [row for row in ROWS if BOOKING in row.effects], ids=lambda row: row.sentence)
def test_the_booking_is_told_before_anything_shows_it(row: Row) -> None:
    shown = [place for place, kind in enumerate(row.effects) if kind in (STATE, THERAPIST_BOOKING, NOTIFY, COUNT)]
    assert row.effects.index(BOOKING) < min(shown)


# --- what has no row --------------------------------------------------------------------------------------------------

EVENTS: tuple[Any, ...] = (
    book(),
    confirm(confirming()),
    accept(choosing()),
    another(choosing()),
    again(no_therapist()),
    CANCEL,
    ERASE,
    rated(),
    news(active(), "arrived"),
    withdrew(active()),
    attempt(searching(), 2, after(120)),
    therapist_found(searching()),
    lost(choosing()),
    exhausted(searching()),
    reserved(),
    taken(),
    INDONESIAN,
    LOOK,
    RING,
)


def test_every_event_there_is_was_tried() -> None:
    assert {type(each) for each in EVENTS} == set(on.Event.__args__)


@pytest.mark.parametrize("conversation", EVERYWHERE, ids=lambda each: each.state)
def test_a_command_without_a_row_is_refused_and_a_report_without_a_row_is_dropped(conversation: Conversation) -> None:
    for event in EVENTS:
        if type(event) in TRANSITIONS[conversation.state]:
            continue
        decision = decide(conversation, event, after(30))
        assert changes_nothing(decision, conversation)
        assert (decision.refusal is not None) == isinstance(event, on.Command), event


@pytest.mark.parametrize("conversation", EVERYWHERE, ids=lambda each: each.state)
def test_a_button_of_an_older_card_is_stale_wherever_the_guest_stands(conversation: Conversation) -> None:
    older = conversation.revision - 1
    for event in (
        on.TherapistAccepted(older, "o_old"),
        on.AnotherWanted(older, "o_old"),
        on.SearchAgainPressed(older),
        on.ServiceConfirmed(older, 90, PLACE, CONTACT),
    ):
        decision = decide(conversation, event, after(30))
        expected = REFUSALS.get((conversation.state, type(event)), "stale")
        assert decision.refusal == expected
        assert changes_nothing(decision, conversation)


def test_a_button_of_the_newest_card_that_has_no_place_here_is_not_now() -> None:
    for conversation in (active(), *(each for each in EVERYWHERE if each.state in ENDED_STATES)):
        assert decide(conversation, again(conversation), after(9)).refusal == "not_now"
    assert decide(idle(), CANCEL, after(9)).refusal == "not_now"
    assert decide(active(), book(), after(60)).refusal == "not_now"
    assert decide(no_therapist(), book(), after(200)).refusal == "not_now"


@pytest.mark.parametrize(
    "conversation", [searching(), choosing(), reserving()], ids=["searching", "choosing", "reserving"]
)
def test_whoever_has_a_search_already_is_told_so(conversation: Conversation) -> None:
    assert decide(conversation, book(), after(9)).refusal == "already_live"
    assert decide(conversation, confirm(conversation), after(9)).refusal == "already_live"
    assert decide(conversation, confirm(confirming()), after(9)).refusal == "already_live", "the form pressed twice"


# --- clocks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("conversation", EVERYWHERE, ids=lambda each: each.state)
def test_who_waits_has_a_clock_and_a_row_for_its_end_and_nobody_else_has(conversation: Conversation) -> None:
    waits = conversation.state not in (State.IDLE, *ENDED_STATES)
    assert (conversation.expires_at is not None) == waits
    assert (on.DeadlinePassed in TRANSITIONS[conversation.state]) == waits


@pytest.mark.parametrize("conversation", [*EVERYWHERE, reserving()], ids=lambda each: each.state)
def test_a_ring_that_comes_early_changes_nothing(conversation: Conversation) -> None:
    early = conversation.expires_at - MILLISECOND if conversation.expires_at else after(86_400)
    assert changes_nothing(decide(conversation, RING, early), conversation)


@pytest.mark.parametrize("conversation", [*EVERYWHERE, reserving()], ids=lambda each: each.state)
def test_a_ring_that_comes_twice_changes_nothing_the_second_time(conversation: Conversation) -> None:
    due = conversation.expires_at or after(86_400)
    rung = decide(conversation, RING, due).record
    assert changes_nothing(decide(rung, RING, due), rung)
