"""Where the guest stands and what moves them on: the table of a conversation, and the one function that decides by it.

Everything that moves a conversation stands in `TRANSITIONS`; the README's diagram is printed from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from conversations import booking
from conversations import effects as do
from conversations import events as on
from conversations.conversation import (
    ENDED_STATES,
    Conversation,
    Decision,
    State,
    card_on_screen,
    state_on_screen,
)
from conversations.ids import derived_id
from conversations.values import Countdown, Draft, Step, Therapist, Visit

# How long after its countdown a search may be silent before the conversation asks it where it stands.
SILENCE_S = 15.0
# A visit that was neither completed nor cancelled this long after its planned end is closed by rule.
VISIT_GRACE_S = 2 * 3600.0
# What was on its way when a guest was erased has arrived by then, and is erased as well.
ERASE_AGAIN_S = 60.0
# How long the answer about a slot is waited for before it is asked for again.
RESERVING_S = 30.0


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


# --- handlers: the form -----------------------------------------------------------------------------------------------


def _open_form(conversation: Conversation, event: on.BookPressed, now: datetime) -> Decision:
    """A new booking begins, or another one was pressed while the card was open: the newest card counts."""
    opened = _moved(
        conversation,
        State.CONFIRMING,
        expires_at=now + timedelta(seconds=event.terms.form_s),
        terms=event.terms,
        locale=event.locale,
        timezone=event.timezone or conversation.timezone,
        draft=Draft(event.service, event.source, event.therapist),
        booking_id=None,
        search_id=None,
        returned_offers=(),
        reservation_id=None,
        progress=None,
    )
    return Decision(opened, (do.Say("checking_availability"), state_on_screen(opened), *_card(opened)))


def _start_search(conversation: Conversation, event: on.ServiceConfirmed, now: datetime) -> Decision:
    draft = conversation.draft
    assert draft is not None, "a conversation that confirms has a draft"
    price = draft.service.price_of(event.duration)
    if price is None:
        return Decision(conversation, refusal="invalid")
    visit = Visit(
        service_id=draft.service.id,
        service_names=draft.service.names,
        duration=event.duration,
        price=price,
        location=event.location,
        contact=event.contact,
        gender_preference=event.gender_preference,
        notes=event.notes,
    )
    booking_id = derived_id("b", conversation.id, conversation.version)
    opened = booking.BookingOpened(conversation.id, visit, conversation.terms.commission_basis_points)
    confirmed = replace(conversation, visit=visit, booking_id=booking_id)
    return _searching(confirmed, now, _tell_booking(confirmed, opened), direct=draft.therapist)


def _close_form(conversation: Conversation, event: on.DeadlinePassed, now: datetime) -> Decision:
    if not _is_due(conversation, now):
        return Decision(conversation)
    closed = _moved(conversation, State.EXPIRED)
    return Decision(closed, (do.Say("form_expired"), state_on_screen(closed)))


# --- handlers: the search ---------------------------------------------------------------------------------------------


def _searching(
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
    searching = _counting(
        replace(conversation, search_id=derived_id("s", conversation.id, conversation.version)), attempt, deadline_at
    )
    start = do.StartSearch(
        search_id=searching.search_id or "",
        booking_id=conversation.booking_id,
        location=visit.location,
        duration=visit.duration,
        gender_preference=visit.gender_preference,
        deadline_at=deadline_at,
        direct_therapist_id=direct.id if direct else None,
    )
    line = do.Say("search_started_direct", {"therapist": direct.name}) if direct else do.Say("search_started")
    return Decision(searching, (*before, start, line, state_on_screen(searching)))


def _widen(conversation: Conversation, event: on.AttemptStarted, now: datetime) -> Decision:
    """The search's own word on its attempt and countdown; what is known already is not said twice."""
    if event.search_id != conversation.search_id:
        return Decision(conversation)
    known = conversation.countdown
    if known is not None and (event.attempt, event.deadline_at) == (known.attempt, known.deadline_at):
        return Decision(_listening(conversation, event.deadline_at, now))
    if known is not None and (event.attempt, event.deadline_at) < (known.attempt, known.deadline_at):
        return Decision(conversation)  # news of an earlier countdown, from a process that was slow
    was_direct = conversation.attempt == 0 and event.attempt > 0
    widened = _counting(conversation, event.attempt, event.deadline_at, is_move=False)
    line = do.Say("direct_unavailable") if was_direct else _widened_line(widened)
    return Decision(widened, (line, state_on_screen(widened)))


def _widened_line(conversation: Conversation) -> do.Say:
    params = {"attempt": conversation.attempt, "max_attempts": conversation.terms.max_attempts}
    return do.Say("search_widened", params)


def _ask_search(conversation: Conversation, event: on.DeadlinePassed, now: datetime) -> Decision:
    """The search keeps its own clock; if nothing is heard of it, it is asked, and asked again until it answers."""
    if not _is_due(conversation, now) or conversation.search_id is None:
        return Decision(conversation)
    waiting = replace(conversation, expires_at=now + timedelta(seconds=SILENCE_S))
    return Decision(waiting, (do.AskSearch(conversation.search_id),))


def _propose(conversation: Conversation, event: on.TherapistFound, now: datetime) -> Decision:
    if event.search_id != conversation.search_id or event.offer_id in conversation.returned_offers:
        return Decision(conversation)
    choosing = _moved(
        conversation,
        State.CHOOSING,
        expires_at=now + timedelta(seconds=conversation.terms.choose_s),
        therapist=event.therapist,
        offer_id=event.offer_id,
        distance_km=event.distance_km,
    )
    proposed = booking.TherapistProposed(event.therapist)
    effects = (*_tell_booking(choosing, proposed), do.Say("therapist_available"), state_on_screen(choosing))
    return Decision(choosing, (*effects, *_card(choosing)))


def _find_nobody(conversation: Conversation, event: on.SearchExhausted, now: datetime) -> Decision:
    if event.search_id != conversation.search_id:
        return Decision(conversation)
    return _without_therapist(conversation, now, do.Say("no_therapist"))


# --- handlers: the choice ---------------------------------------------------------------------------------------------


def _accept(conversation: Conversation, event: on.TherapistAccepted, now: datetime) -> Decision:
    """The guest says yes: the therapist's time is reserved, and only that makes the booking."""
    if event.offer_id != conversation.offer_id:
        return Decision(conversation, refusal="not_found")
    if conversation.is_reserving:
        return Decision(conversation)
    if _is_due(conversation, now):
        return Decision(conversation, refusal="offer_expired")
    return _reserving(conversation, now)


def _reserving(conversation: Conversation, now: datetime) -> Decision:
    """Ask for the slot; asked again after a while, since an outage may have swallowed the question or its answer."""
    assert conversation.therapist is not None, "a choice has a therapist"
    assert conversation.booking_id is not None, "a choice belongs to a booking"
    assert conversation.offer_id is not None, "a choice belongs to an offer"
    reserve = do.ReserveSlot(
        reservation_id=derived_id("r", conversation.id, conversation.offer_id),
        booking_id=conversation.booking_id,
        therapist_id=conversation.therapist.id,
        offer_id=conversation.offer_id,
        starts_at=now,
        ends_at=_visit_ends_at(conversation, now),
        buffer_minutes=conversation.terms.buffer_minutes,
    )
    expires_at = now + timedelta(seconds=RESERVING_S)
    return Decision(replace(conversation, is_reserving=True, expires_at=expires_at), (reserve,))


def _confirm(conversation: Conversation, event: on.SlotReserved, now: datetime) -> Decision:
    if event.offer_id != conversation.offer_id:
        return _let_slot_go(conversation, event, now)
    therapist = conversation.therapist
    assert therapist is not None, "a choice has a therapist"
    active = _moved(
        conversation,
        State.ACTIVE,
        expires_at=_visit_ends_at(conversation, now) + timedelta(seconds=VISIT_GRACE_S),
        therapist=therapist,
        offer_id=event.offer_id,
        distance_km=conversation.distance_km,
        reservation_id=event.reservation_id,
    )
    booked = booking.TherapistBooked(
        therapist=therapist,
        reservation_id=event.reservation_id,
        arrives_by=now + timedelta(seconds=conversation.terms.arrival_s),
    )
    return Decision(
        active,
        (
            *_tell_booking(active, booked),
            state_on_screen(active),
            do.Say("booking_confirmed"),
            do.CloseSearchWon(conversation.search_id or "", event.offer_id),
            *_show_therapist_booking(active),
        ),
    )


def _lose_slot(conversation: Conversation, event: on.SlotTaken, now: datetime) -> Decision:
    if event.offer_id != conversation.offer_id:
        return Decision(conversation)
    return _give_back(conversation, now, do.Say("slot_taken"))


def _find_another(conversation: Conversation, event: on.AnotherWanted, now: datetime) -> Decision:
    if event.offer_id != conversation.offer_id:
        return Decision(conversation, refusal="not_found")
    if conversation.is_reserving:
        return Decision(conversation, refusal="not_now")
    return _give_back(conversation, now, do.Say("another_wanted"))


def _give_back(conversation: Conversation, now: datetime, line: do.Say) -> Decision:
    deadline_at = now + timedelta(seconds=conversation.terms.answer_s)
    searching = _counting(conversation, max(conversation.attempt, 1), deadline_at)
    give_back = do.GiveTherapistBack(conversation.search_id or "", conversation.offer_id or "", deadline_at)
    searching = replace(searching, returned_offers=(*conversation.returned_offers, give_back.offer_id))
    returned = _tell_booking(searching, booking.TherapistReturned())
    return Decision(searching, (*returned, give_back, line, state_on_screen(searching)))


def _let_choice_lapse(conversation: Conversation, event: on.DeadlinePassed, now: datetime) -> Decision:
    """No answer within the time gives the therapist back; while a slot is being reserved, its answer is waited for."""
    if not _is_due(conversation, now):
        return Decision(conversation)
    if conversation.is_reserving:
        return _reserving(conversation, now)
    lapsed = do.CancelSearch(conversation.search_id or "", "the guest did not answer")
    return _without_therapist(conversation, now, do.Say("choice_lapsed"), lapsed)


def _lose_therapist(conversation: Conversation, event: on.TherapistLost, now: datetime) -> Decision:
    if event.search_id != conversation.search_id or event.offer_id != conversation.offer_id:
        return Decision(conversation)
    if conversation.is_reserving:
        return Decision(conversation)
    return _without_therapist(conversation, now, do.Say("therapist_lost"))


def _without_therapist(conversation: Conversation, now: datetime, line: do.Say, *first: do.Effect) -> Decision:
    had_therapist = conversation.therapist is not None
    nobody = _moved(
        conversation,
        State.NO_THERAPIST,
        expires_at=now + timedelta(seconds=conversation.terms.no_therapist_s),
        search_id=None,
        returned_offers=(),
        reservation_id=None,
        progress=None,
    )
    returned = _tell_booking(nobody, booking.TherapistReturned()) if had_therapist else ()
    return Decision(nobody, (*first, *returned, line, state_on_screen(nobody), *_card(nobody)))


def _search_again(conversation: Conversation, event: on.SearchAgainPressed, now: datetime) -> Decision:
    return _searching(conversation, now)


def _close_request(conversation: Conversation, event: on.DeadlinePassed, now: datetime) -> Decision:
    if not _is_due(conversation, now):
        return Decision(conversation)
    closed = _moved(conversation, State.EXPIRED)
    expired = _tell_booking(closed, booking.BookingExpired())
    return Decision(closed, (*expired, do.Say("request_expired"), state_on_screen(closed)))


# --- handlers: the visit ----------------------------------------------------------------------------------------------

_STEP_RANK: Mapping[Step | None, int] = {None: 0, "on_the_way": 1, "delayed": 1, "arrived": 2}


def _progress(conversation: Conversation, event: on.ProgressMade, now: datetime) -> Decision:
    """News of the visit, forward only: nobody is on the way again after having arrived."""
    if not _is_theirs(conversation, event.booking_id, event.therapist_id):
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
    params: dict[str, Any] = {"therapist": _therapist_name(conversation)}
    if event.step == "delayed":
        if event.minutes is None:
            return Decision(conversation, refusal="invalid")
        params["minutes"] = event.minutes
    told = _tell_booking(went_on, booking.VisitProgressed(event.step))
    shown = _show_therapist_booking(conversation)
    return Decision(went_on, (*told, do.Say(event.step, params), state_on_screen(went_on), *shown))


def _complete(conversation: Conversation, now: datetime) -> Decision:
    """The visit took place: the price is shared out and the therapist's time is free again."""
    done = _moved(conversation, State.COMPLETED, therapist=conversation.therapist)
    therapist_id = conversation.therapist.id if conversation.therapist else ""
    effects = (
        *_tell_booking(done, booking.VisitCompleted()),
        do.Say("completed"),
        state_on_screen(done),
        *_card(done),
        *_release_slot(conversation),
        *_show_therapist_booking(conversation),
        do.CountVisit(therapist_id, done.booking_id or ""),
    )
    return Decision(done, effects)


def _rate(conversation: Conversation, event: on.VisitRated, now: datetime) -> Decision:
    """A slip of the thumb can be mended: the last rating counts, until the guest books again."""
    rated = replace(conversation, stars=event.rating.stars)
    told = _tell_booking(rated, booking.RatingGiven(event.rating))
    therapist_id = conversation.therapist.id if conversation.therapist else ""
    return Decision(rated, (*told, *_card(rated), do.CountVisit(therapist_id, rated.booking_id or "")))


def _miss(conversation: Conversation, line: str, now: datetime) -> Decision:
    closed = _moved(conversation, State.EXPIRED)
    effects = (
        *_tell_booking(closed, booking.GuestMissed()),
        do.Say(line, {"therapist": _therapist_name(conversation)}),
        state_on_screen(closed),
        *_release_slot(conversation),
        *_show_therapist_booking(conversation),
        *_notify_therapist(conversation, "booking_closed"),
    )
    return Decision(closed, effects)


def _close_visit(conversation: Conversation, event: on.DeadlinePassed, now: datetime) -> Decision:
    """Nobody closed the visit: it took place if the therapist had arrived, and was missed if not."""
    if not _is_due(conversation, now):
        return Decision(conversation)
    if conversation.progress == "arrived":
        return _complete(conversation, now)
    return _miss(conversation, "visit_closed", now)


def _lose_booked_therapist(conversation: Conversation, event: on.TherapistWithdrew, now: datetime) -> Decision:
    if not _is_theirs(conversation, event.booking_id, event.therapist_id):
        return Decision(conversation, refusal="not_found")
    line = do.Say("therapist_withdrew", {"therapist": _therapist_name(conversation), "reason": event.reason})
    nobody = _without_therapist(conversation, now, line, *_release_slot(conversation))
    return Decision(nobody.record, (*nobody.effects, *_show_therapist_booking(conversation)))


# --- handlers: at any moment ------------------------------------------------------------------------------------------


def _cancel(conversation: Conversation, event: on.Cancelled, now: datetime) -> Decision:
    """Every clock stops, open offers are withdrawn, and whoever was on the way is told."""
    cancelled = _moved(conversation, State.CANCELLED)
    had_visit = conversation.state is State.ACTIVE
    effects: tuple[do.Effect, ...] = ()
    if conversation.search_id and not had_visit:
        effects += (do.CancelSearch(conversation.search_id, event.reason or f"cancelled by the {event.by}"),)
    effects += _tell_booking(cancelled, booking.BookingCancelled(event.by, event.reason))
    line = f"cancelled_by_{event.by}" if conversation.booking_id else "form_closed"
    effects += (do.Say(line), state_on_screen(cancelled))
    if had_visit:
        effects += _release_slot(conversation)
        effects += _show_therapist_booking(conversation)
    return Decision(cancelled, effects)


def _erase(conversation: Conversation, event: on.ErasureRequested, now: datetime) -> Decision:
    """What goes on is cancelled by the ordinary road; then nothing is left of the guest, and nobody can come back.

    Not while the therapist is there: who is with whom must be known until the visit is over, or was cancelled.
    """
    if conversation.progress == "arrived" and conversation.state is State.ACTIVE:
        return Decision(conversation, refusal="not_now")
    is_over = conversation.state in (State.IDLE, *ENDED_STATES)
    ended = Decision(conversation) if is_over else _cancel(conversation, on.Cancelled("guest"), now)
    erased = Conversation(
        conversation.id,
        version=conversation.version,
        state=State.ERASED,
        revision=conversation.revision + 1,
        expires_at=now + timedelta(seconds=ERASE_AGAIN_S),
        terms=conversation.terms,
    )
    last_words = (do.Say("erased"), state_on_screen(erased))
    return Decision(erased, (*ended.effects, *last_words, do.EndTokens(), do.EraseGuest()))


def _erase_again(conversation: Conversation, event: on.DeadlinePassed, now: datetime) -> Decision:
    """A process that was slow, or a message that was under way, may have written something in the meantime."""
    if not _is_due(conversation, now):
        return Decision(conversation)
    return Decision(replace(conversation, expires_at=None), (do.EraseGuest(),))


def _stay_erased(conversation: Conversation, event: on.ErasureRequested, now: datetime) -> Decision:
    return Decision(conversation)


def _let_slot_go(conversation: Conversation, event: on.SlotReserved, now: datetime) -> Decision:
    """The slot was reserved for a choice that no longer stands: it is free again."""
    if event.reservation_id == conversation.reservation_id and conversation.state is State.ACTIVE:
        return Decision(conversation)
    return Decision(conversation, (do.ReleaseSlot(event.reservation_id),))


def _choose_locale(conversation: Conversation, event: on.LocaleChosen, now: datetime) -> Decision:
    timezone = event.timezone or conversation.timezone
    if (event.locale, timezone) == (conversation.locale, conversation.timezone):
        return Decision(conversation)
    return Decision(replace(conversation, locale=event.locale, timezone=timezone))


def _show_again(conversation: Conversation, event: on.ScreenWanted, now: datetime) -> Decision:
    """The card of this moment or where the guest stands, behind every line that was wanted before."""
    return Decision(conversation, _card(conversation) or (state_on_screen(conversation),))


# --- the pieces of a move ---------------------------------------------------------------------------------------------


def _moved(conversation: Conversation, state: State, **changes: Any) -> Conversation:
    """The conversation in another state: a new revision, no clock and no therapist unless the move sets them."""
    fresh: dict[str, Any] = {
        "expires_at": None,
        "countdown": None,
        "is_reserving": False,
        "therapist": None,
        "offer_id": None,
        "distance_km": None,
        "stars": None,
    }
    return replace(conversation, state=state, revision=conversation.revision + 1, **{**fresh, **changes})


def _counting(conversation: Conversation, attempt: int, deadline_at: datetime, *, is_move: bool = True) -> Conversation:
    """The conversation in a search attempt; a further attempt of the same search makes no card stale."""
    counting = replace(
        _moved(conversation, State.SEARCHING) if is_move else conversation,
        attempt=attempt,
        countdown=Countdown(attempt, conversation.terms.max_attempts, deadline_at),
    )
    return replace(counting, expires_at=deadline_at + timedelta(seconds=SILENCE_S))


def _listening(conversation: Conversation, deadline_at: datetime, now: datetime) -> Conversation:
    """The search has answered: be patient again until its countdown has passed."""
    patient_until = max(deadline_at, now) + timedelta(seconds=SILENCE_S)
    if conversation.expires_at == patient_until:
        return conversation
    return replace(conversation, expires_at=patient_until)


def _card(conversation: Conversation) -> tuple[do.Effect, ...]:
    card = card_on_screen(conversation)
    return (card,) if card else ()


def _tell_booking(conversation: Conversation, event: booking.Event) -> tuple[do.Effect, ...]:
    if conversation.booking_id is None:
        return ()
    return (do.TellBooking(conversation.booking_id, replace(event, told=conversation.version + 1)),)


def _show_therapist_booking(conversation: Conversation) -> tuple[do.Effect, ...]:
    if conversation.therapist is None or conversation.booking_id is None:
        return ()
    return (do.ShowTherapistBooking(conversation.therapist.id, conversation.booking_id),)


def _notify_therapist(conversation: Conversation, kind: str) -> tuple[do.Effect, ...]:
    visit = conversation.visit
    if conversation.therapist is None or conversation.booking_id is None or visit is None:
        return ()
    if visit.contact is None or visit.location is None:
        return ()
    params = {"guest": visit.contact.name, "address": visit.location.address}
    return (do.NotifyTherapist(conversation.therapist.id, conversation.booking_id, kind, params),)


def _release_slot(conversation: Conversation) -> tuple[do.Effect, ...]:
    return (do.ReleaseSlot(conversation.reservation_id),) if conversation.reservation_id else ()


def _visit_ends_at(conversation: Conversation, now: datetime) -> datetime:
    assert conversation.visit is not None, "a choice follows a confirmed visit"
    return now + timedelta(seconds=conversation.terms.arrival_s, minutes=conversation.visit.duration)


def _therapist_name(conversation: Conversation) -> str:
    return conversation.therapist.name if conversation.therapist else ""


def _is_theirs(conversation: Conversation, booking_id: str, therapist_id: str) -> bool:
    therapist = conversation.therapist
    return booking_id == conversation.booking_id and therapist is not None and therapist.id == therapist_id


def _is_due(conversation: Conversation, now: datetime) -> bool:
    return conversation.expires_at is not None and now >= conversation.expires_at


# --- the table --------------------------------------------------------------------------------------------------------


def _rows(state: State, rows: dict[type[Any], Move]) -> dict[type[Any], Move]:
    """The rows of a state, with what holds in all: the guest can choose the language, look again and go, a late slot is
    let go.
    """
    always = {
        on.LocaleChosen: Move(_choose_locale, (state,)),
        on.ScreenWanted: Move(_show_again, (state,)),
        on.SlotReserved: Move(_let_slot_go, (state,)),
        on.ErasureRequested: Move(_erase, (State.ERASED, state)),
    }
    return {**always, **rows}


TRANSITIONS: Mapping[State, Mapping[type[Any], Move]] = {
    State.IDLE: _rows(State.IDLE, {on.BookPressed: Move(_open_form, (State.CONFIRMING,))}),
    State.CONFIRMING: _rows(
        State.CONFIRMING,
        {
            on.BookPressed: Move(_open_form, (State.CONFIRMING,)),
            on.ServiceConfirmed: Move(_start_search, (State.SEARCHING, State.CONFIRMING)),
            on.Cancelled: Move(_cancel, (State.CANCELLED,)),
            on.DeadlinePassed: Move(_close_form, (State.EXPIRED, State.CONFIRMING)),
        },
    ),
    State.SEARCHING: _rows(
        State.SEARCHING,
        {
            on.AttemptStarted: Move(_widen, (State.SEARCHING,)),
            on.TherapistFound: Move(_propose, (State.CHOOSING, State.SEARCHING)),
            on.SearchExhausted: Move(_find_nobody, (State.NO_THERAPIST, State.SEARCHING)),
            on.Cancelled: Move(_cancel, (State.CANCELLED,)),
            on.DeadlinePassed: Move(_ask_search, (State.SEARCHING,)),
        },
    ),
    State.CHOOSING: _rows(
        State.CHOOSING,
        {
            on.TherapistAccepted: Move(_accept, (State.CHOOSING,)),
            on.SlotReserved: Move(_confirm, (State.ACTIVE, State.CHOOSING)),
            on.SlotTaken: Move(_lose_slot, (State.SEARCHING, State.CHOOSING)),
            on.AnotherWanted: Move(_find_another, (State.SEARCHING, State.CHOOSING)),
            on.TherapistLost: Move(_lose_therapist, (State.NO_THERAPIST, State.CHOOSING)),
            on.Cancelled: Move(_cancel, (State.CANCELLED,)),
            on.DeadlinePassed: Move(_let_choice_lapse, (State.NO_THERAPIST, State.CHOOSING)),
        },
    ),
    State.ACTIVE: _rows(
        State.ACTIVE,
        {
            on.ProgressMade: Move(_progress, (State.ACTIVE, State.COMPLETED, State.EXPIRED)),
            on.TherapistWithdrew: Move(_lose_booked_therapist, (State.NO_THERAPIST, State.ACTIVE)),
            on.Cancelled: Move(_cancel, (State.CANCELLED,)),
            on.DeadlinePassed: Move(_close_visit, (State.COMPLETED, State.EXPIRED, State.ACTIVE)),
        },
    ),
    State.NO_THERAPIST: _rows(
        State.NO_THERAPIST,
        {
            on.SearchAgainPressed: Move(_search_again, (State.SEARCHING,)),
            on.Cancelled: Move(_cancel, (State.CANCELLED,)),
            on.DeadlinePassed: Move(_close_request, (State.EXPIRED, State.NO_THERAPIST)),
        },
    ),
    State.COMPLETED: _rows(
        State.COMPLETED,
        {
            on.BookPressed: Move(_open_form, (State.CONFIRMING,)),
            on.VisitRated: Move(_rate, (State.COMPLETED,)),
        },
    ),
    State.CANCELLED: _rows(State.CANCELLED, {on.BookPressed: Move(_open_form, (State.CONFIRMING,))}),
    State.EXPIRED: _rows(State.EXPIRED, {on.BookPressed: Move(_open_form, (State.CONFIRMING,))}),
    State.ERASED: {
        on.SlotReserved: Move(_let_slot_go, (State.ERASED,)),
        on.ErasureRequested: Move(_stay_erased, (State.ERASED,)),
        on.DeadlinePassed: Move(_erase_again, (State.ERASED,)),
    },
}

# Where a refusal says more than "not now".
REFUSALS: Mapping[tuple[State, type[Any]], str] = {
    (State.SEARCHING, on.BookPressed): "already_live",
    (State.CHOOSING, on.BookPressed): "already_live",
    (State.SEARCHING, on.ServiceConfirmed): "already_live",
    (State.CHOOSING, on.ServiceConfirmed): "already_live",
}
