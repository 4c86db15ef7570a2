"""The visit: the therapist comes, completes it and is rated; or it is missed, or called off by the therapist."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from conversations import booking
from conversations import effects as do
from conversations import events as on
from conversations.conversation import Conversation, Decision, State, state_on_screen
from conversations.moves.pieces import (
    card,
    is_due,
    is_theirs,
    moved,
    notify_therapist,
    release_slot,
    show_therapist_booking,
    tell_booking,
    therapist_name,
)
from conversations.moves.searching import without_therapist
from conversations.values import Step

_STEP_RANK: Mapping[Step | None, int] = {None: 0, "on_the_way": 1, "delayed": 1, "arrived": 2}


def progress(conversation: Conversation, event: on.ProgressMade, now: datetime) -> Decision:
    """News of the visit, forward only: nobody is on the way again after having arrived."""
    if not is_theirs(conversation, event.booking_id, event.therapist_id):
        return Decision(conversation, refusal="not_found")
    if event.step == "completed":
        return _complete(conversation, now)
    if event.step == "no_show":
        return _miss(conversation, "no_show", now)
    if event.step == conversation.progress and event.step != "delayed":
        return Decision(conversation)
    if _STEP_RANK[event.step] < _STEP_RANK[conversation.progress]:
        return Decision(conversation, refusal="not_now")
    went_on = replace(conversation, progress=event.step)
    params: dict[str, Any] = {"therapist": therapist_name(conversation)}
    if event.step == "delayed":
        if event.minutes is None:
            return Decision(conversation, refusal="invalid")
        params["minutes"] = event.minutes
    told = tell_booking(went_on, booking.VisitProgressed(event.step))
    shown = show_therapist_booking(conversation)
    return Decision(went_on, (*told, do.Say(event.step, params), state_on_screen(went_on), *shown))


def _complete(conversation: Conversation, now: datetime) -> Decision:
    """The visit took place: the price is shared out and the therapist's time is free again."""
    done = moved(conversation, State.COMPLETED, therapist=conversation.therapist)
    therapist_id = conversation.therapist.id if conversation.therapist else ""
    effects = (
        *tell_booking(done, booking.VisitCompleted()),
        do.Say("completed"),
        state_on_screen(done),
        *card(done),
        *release_slot(conversation),
        *show_therapist_booking(conversation),
        do.CountVisit(therapist_id, done.booking_id or ""),
    )
    return Decision(done, effects)


def rate(conversation: Conversation, event: on.VisitRated, now: datetime) -> Decision:
    """A slip of the thumb can be mended: the last rating counts, until the guest books again."""
    rated = replace(conversation, stars=event.rating.stars)
    told = tell_booking(rated, booking.RatingGiven(event.rating))
    therapist_id = conversation.therapist.id if conversation.therapist else ""
    return Decision(rated, (*told, *card(rated), do.CountVisit(therapist_id, rated.booking_id or "")))


def _miss(conversation: Conversation, line: str, now: datetime) -> Decision:
    closed = moved(conversation, State.EXPIRED)
    effects = (
        *tell_booking(closed, booking.GuestMissed()),
        do.Say(line, {"therapist": therapist_name(conversation)}),
        state_on_screen(closed),
        *release_slot(conversation),
        *show_therapist_booking(conversation),
        *notify_therapist(conversation, "booking_closed"),
    )
    return Decision(closed, effects)


def close_visit(conversation: Conversation, event: on.DeadlinePassed, now: datetime) -> Decision:
    """Nobody closed the visit: it took place if the therapist had arrived, and was missed if not."""
    if not is_due(conversation, now):
        return Decision(conversation)
    if conversation.progress == "arrived":
        return _complete(conversation, now)
    return _miss(conversation, "visit_closed", now)


def lose_booked_therapist(conversation: Conversation, event: on.TherapistWithdrew, now: datetime) -> Decision:
    if not is_theirs(conversation, event.booking_id, event.therapist_id):
        return Decision(conversation, refusal="not_found")
    line = do.Say("therapist_withdrew", {"therapist": therapist_name(conversation), "reason": event.reason})
    nobody = without_therapist(conversation, now, line, *release_slot(conversation))
    return Decision(nobody.record, (*nobody.effects, *show_therapist_booking(conversation)))
