"""The search: what it tells of its attempts, whom it finds, and what is left where there is nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from conversations import booking
from conversations import effects as do
from conversations import events as on
from conversations.conversation import Conversation, Decision, State, state_on_screen
from conversations.ids import derived_id
from conversations.moves.pieces import SILENCE_S, card, counting, is_due, listening, moved, tell_booking
from conversations.values import Therapist


def searching(
    conversation: Conversation,
    now: datetime,
    before: tuple[do.Effect, ...] = (),
    direct: Therapist | None = None,
) -> Decision:
    """A new search begins: the one therapist who was picked is asked alone, or the first wave of the nearest."""
    terms = conversation.terms
    visit = conversation.visit
    assert visit is not None, "a search follows a confirmed visit"
    assert visit.location is not None, "a confirmed visit takes place somewhere"
    assert conversation.booking_id is not None, "a search belongs to a booking"
    attempt = 0 if direct else 1
    deadline_at = now + timedelta(seconds=terms.direct_s if direct else terms.answer_s)
    started = counting(
        replace(conversation, search_id=derived_id("s", conversation.id, conversation.version)), attempt, deadline_at
    )
    start = do.StartSearch(
        search_id=started.search_id or "",
        booking_id=conversation.booking_id,
        location=visit.location,
        duration=visit.duration,
        gender_preference=visit.gender_preference,
        deadline_at=deadline_at,
        direct_therapist_id=direct.id if direct else None,
    )
    line = do.Say("search_started_direct", {"therapist": direct.name}) if direct else do.Say("search_started")
    return Decision(started, (*before, start, line, state_on_screen(started)))


def widen(conversation: Conversation, event: on.AttemptStarted, now: datetime) -> Decision:
    """The search's own word on its attempt and countdown; what is known already is not said twice."""
    if event.search_id != conversation.search_id:
        return Decision(conversation)
    known = conversation.countdown
    if known is not None and (event.attempt, event.deadline_at) == (known.attempt, known.deadline_at):
        return Decision(listening(conversation, event.deadline_at, now))
    if known is not None and (event.attempt, event.deadline_at) < (known.attempt, known.deadline_at):
        return Decision(conversation)  # news of an earlier countdown, from a process that was slow
    was_direct = conversation.attempt == 0 and event.attempt > 0
    widened = counting(conversation, event.attempt, event.deadline_at, is_move=False)
    line = do.Say("direct_unavailable") if was_direct else _widened_line(widened)
    return Decision(widened, (line, state_on_screen(widened)))


def _widened_line(conversation: Conversation) -> do.Say:
    params = {"attempt": conversation.attempt, "max_attempts": conversation.terms.max_attempts}
    return do.Say("search_widened", params)


def ask_search(conversation: Conversation, event: on.DeadlinePassed, now: datetime) -> Decision:
    """The search keeps its own clock; if nothing is heard of it, it is asked, and asked again until it answers."""
    if not is_due(conversation, now) or conversation.search_id is None:
        return Decision(conversation)
    waiting = replace(conversation, expires_at=now + timedelta(seconds=SILENCE_S))
    return Decision(waiting, (do.AskSearch(conversation.search_id),))


def propose(conversation: Conversation, event: on.TherapistFound, now: datetime) -> Decision:
    if event.search_id != conversation.search_id or event.offer_id in conversation.returned_offers:
        return Decision(conversation)
    choosing = moved(
        conversation,
        State.CHOOSING,
        expires_at=now + timedelta(seconds=conversation.terms.choose_s),
        therapist=event.therapist,
        offer_id=event.offer_id,
        distance_km=event.distance_km,
    )
    proposed = booking.TherapistProposed(event.therapist)
    effects = (*tell_booking(choosing, proposed), do.Say("therapist_available"), state_on_screen(choosing))
    return Decision(choosing, (*effects, *card(choosing)))


def find_nobody(conversation: Conversation, event: on.SearchExhausted, now: datetime) -> Decision:
    if event.search_id != conversation.search_id:
        return Decision(conversation)
    return without_therapist(conversation, now, do.Say("no_therapist"))


def without_therapist(conversation: Conversation, now: datetime, line: do.Say, *first: do.Effect) -> Decision:
    had_therapist = conversation.therapist is not None
    nobody = moved(
        conversation,
        State.NO_THERAPIST,
        expires_at=now + timedelta(seconds=conversation.terms.no_therapist_s),
        search_id=None,
        returned_offers=(),
        reservation_id=None,
        progress=None,
    )
    returned = tell_booking(nobody, booking.TherapistReturned()) if had_therapist else ()
    return Decision(nobody, (*first, *returned, line, state_on_screen(nobody), *card(nobody)))


def search_again(conversation: Conversation, event: on.SearchAgainPressed, now: datetime) -> Decision:
    return searching(conversation, now)


def close_request(conversation: Conversation, event: on.DeadlinePassed, now: datetime) -> Decision:
    if not is_due(conversation, now):
        return Decision(conversation)
    closed = moved(conversation, State.EXPIRED)
    expired = tell_booking(closed, booking.BookingExpired())
    return Decision(closed, (*expired, do.Say("request_expired"), state_on_screen(closed)))
