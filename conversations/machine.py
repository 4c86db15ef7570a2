"""Where the guest stands and what moves them on: the table of a conversation, and the one function that decides by it.

Everything that moves a conversation stands in `TRANSITIONS`, and what each row does in `conversations.moves`, a file a
chapter; the README's diagram is printed from the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from conversations import events as on
from conversations.conversation import Conversation, Decision, State
from conversations.moves import always, choosing, form, searching, visiting

Handler = Callable[[Conversation, Any, datetime], Decision]


@dataclass(frozen=True, slots=True)
class Move:
    """One row of the table: the function that decides, and every state it may lead to."""

    decide: Handler
    to: tuple[State, ...]


def decide(conversation: Conversation, event: on.Event, now: datetime) -> Decision:
    """The one way a conversation changes. `now` is the database's time."""
    if _is_stale(conversation, event):
        return Decision(conversation, refusal="stale")
    move = TRANSITIONS[conversation.state].get(type(event))
    if move is None:
        return Decision(conversation, refusal=_refusal_without_row(conversation, event))
    decision = move.decide(conversation, event, now)
    assert decision.record.state in move.to, f"{conversation.state} -> {decision.record.state} is not in the table"
    return decision


def _is_stale(conversation: Conversation, event: on.Event) -> bool:
    revision = getattr(event, "revision", None)
    if revision is None or revision == conversation.revision:
        return False
    return REFUSALS.get((conversation.state, type(event))) is None


def _refusal_without_row(conversation: Conversation, event: on.Event) -> str | None:
    if not isinstance(event, on.Command):
        return None
    return REFUSALS.get((conversation.state, type(event)), "not_now")


# --- the table --------------------------------------------------------------------------------------------------------


def _rows(state: State, rows: dict[type[Any], Move]) -> dict[type[Any], Move]:
    """The rows of a state, with what holds in all: the guest can choose the language, look again and go, a late slot is
    let go.
    """
    everywhere = {
        on.LocaleChosen: Move(always.choose_locale, (state,)),
        on.ScreenWanted: Move(always.show_again, (state,)),
        on.SlotReserved: Move(always.let_slot_go, (state,)),
        on.ErasureRequested: Move(always.erase, (State.ERASED, state)),
    }
    return {**everywhere, **rows}


TRANSITIONS: Mapping[State, Mapping[type[Any], Move]] = {
    State.IDLE: _rows(State.IDLE, {on.BookPressed: Move(form.open_form, (State.CONFIRMING,))}),
    State.CONFIRMING: _rows(
        State.CONFIRMING,
        {
            on.BookPressed: Move(form.open_form, (State.CONFIRMING,)),
            on.ServiceConfirmed: Move(form.start_search, (State.SEARCHING, State.CONFIRMING)),
            on.Cancelled: Move(always.cancel, (State.CANCELLED,)),
            on.DeadlinePassed: Move(form.close_form, (State.EXPIRED, State.CONFIRMING)),
        },
    ),
    State.SEARCHING: _rows(
        State.SEARCHING,
        {
            on.AttemptStarted: Move(searching.widen, (State.SEARCHING,)),
            on.TherapistFound: Move(searching.propose, (State.CHOOSING, State.SEARCHING)),
            on.SearchExhausted: Move(searching.find_nobody, (State.NO_THERAPIST, State.SEARCHING)),
            on.Cancelled: Move(always.cancel, (State.CANCELLED,)),
            on.DeadlinePassed: Move(searching.ask_search, (State.SEARCHING,)),
        },
    ),
    State.CHOOSING: _rows(
        State.CHOOSING,
        {
            on.TherapistAccepted: Move(choosing.accept, (State.CHOOSING,)),
            on.SlotReserved: Move(choosing.confirm, (State.ACTIVE, State.CHOOSING)),
            on.SlotTaken: Move(choosing.lose_slot, (State.SEARCHING, State.CHOOSING)),
            on.AnotherWanted: Move(choosing.find_another, (State.SEARCHING, State.CHOOSING)),
            on.TherapistLost: Move(choosing.lose_therapist, (State.NO_THERAPIST, State.CHOOSING)),
            on.Cancelled: Move(always.cancel, (State.CANCELLED,)),
            on.DeadlinePassed: Move(choosing.let_choice_lapse, (State.NO_THERAPIST, State.CHOOSING)),
        },
    ),
    State.ACTIVE: _rows(
        State.ACTIVE,
        {
            on.ProgressMade: Move(visiting.progress, (State.ACTIVE, State.COMPLETED, State.EXPIRED)),
            on.TherapistWithdrew: Move(visiting.lose_booked_therapist, (State.NO_THERAPIST, State.ACTIVE)),
            on.Cancelled: Move(always.cancel, (State.CANCELLED,)),
            on.DeadlinePassed: Move(visiting.close_visit, (State.COMPLETED, State.EXPIRED, State.ACTIVE)),
        },
    ),
    State.NO_THERAPIST: _rows(
        State.NO_THERAPIST,
        {
            on.SearchAgainPressed: Move(searching.search_again, (State.SEARCHING,)),
            on.Cancelled: Move(always.cancel, (State.CANCELLED,)),
            on.DeadlinePassed: Move(searching.close_request, (State.EXPIRED, State.NO_THERAPIST)),
        },
    ),
    State.COMPLETED: _rows(
        State.COMPLETED,
        {
            on.BookPressed: Move(form.open_form, (State.CONFIRMING,)),
            on.VisitRated: Move(visiting.rate, (State.COMPLETED,)),
        },
    ),
    State.CANCELLED: _rows(State.CANCELLED, {on.BookPressed: Move(form.open_form, (State.CONFIRMING,))}),
    State.EXPIRED: _rows(State.EXPIRED, {on.BookPressed: Move(form.open_form, (State.CONFIRMING,))}),
    State.ERASED: {
        on.SlotReserved: Move(always.let_slot_go, (State.ERASED,)),
        on.ErasureRequested: Move(always.stay_erased, (State.ERASED,)),
        on.DeadlinePassed: Move(always.erase_again, (State.ERASED,)),
    },
}

# Where a refusal says more than "not now".
REFUSALS: Mapping[tuple[State, type[Any]], str] = {
    (State.SEARCHING, on.BookPressed): "already_live",
    (State.CHOOSING, on.BookPressed): "already_live",
    (State.SEARCHING, on.ServiceConfirmed): "already_live",
    (State.CHOOSING, on.ServiceConfirmed): "already_live",
}
