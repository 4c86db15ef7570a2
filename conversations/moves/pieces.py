"""What several moves are made of: the conversation in another state, its clocks, and whom a move tells."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from conversations import booking
from conversations import effects as do
from conversations.conversation import Conversation, State, card_on_screen
from conversations.values import Countdown

# How long after its countdown a search may be silent before the conversation asks it where it stands.
SILENCE_S = 15.0


def moved(conversation: Conversation, state: State, **changes: Any) -> Conversation:
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


def counting(conversation: Conversation, attempt: int, deadline_at: datetime, *, is_move: bool = True) -> Conversation:
    """The conversation in a search attempt; a further attempt of the same search makes no card stale."""
    counted = replace(
        moved(conversation, State.SEARCHING) if is_move else conversation,
        attempt=attempt,
        countdown=Countdown(attempt, conversation.terms.max_attempts, deadline_at),
    )
    return replace(counted, expires_at=deadline_at + timedelta(seconds=SILENCE_S))


def listening(conversation: Conversation, deadline_at: datetime, now: datetime) -> Conversation:
    """The search has answered: be patient again until its countdown has passed."""
    patient_until = max(deadline_at, now) + timedelta(seconds=SILENCE_S)
    if conversation.expires_at == patient_until:
        return conversation
    return replace(conversation, expires_at=patient_until)


def card(conversation: Conversation) -> tuple[do.Effect, ...]:
    shown = card_on_screen(conversation)
    return (shown,) if shown else ()


def tell_booking(conversation: Conversation, event: booking.Event) -> tuple[do.Effect, ...]:
    if conversation.booking_id is None:
        return ()
    return (do.TellBooking(conversation.booking_id, replace(event, told=conversation.version + 1)),)


def show_therapist_booking(conversation: Conversation) -> tuple[do.Effect, ...]:
    if conversation.therapist is None or conversation.booking_id is None:
        return ()
    return (do.ShowTherapistBooking(conversation.therapist.id, conversation.booking_id),)


def notify_therapist(conversation: Conversation, kind: str) -> tuple[do.Effect, ...]:
    visit = conversation.visit
    if conversation.therapist is None or conversation.booking_id is None or visit is None:
        return ()
    if visit.contact is None or visit.location is None:
        return ()
    params = {"guest": visit.contact.name, "address": visit.location.address}
    return (do.NotifyTherapist(conversation.therapist.id, conversation.booking_id, kind, params),)


def release_slot(conversation: Conversation) -> tuple[do.Effect, ...]:
    return (do.ReleaseSlot(conversation.reservation_id),) if conversation.reservation_id else ()


def visit_ends_at(conversation: Conversation, now: datetime) -> datetime:
    assert conversation.visit is not None, "a choice follows a confirmed visit"
    return now + timedelta(seconds=conversation.terms.arrival_s, minutes=conversation.visit.duration)


def therapist_name(conversation: Conversation) -> str:
    return conversation.therapist.name if conversation.therapist else ""


def is_theirs(conversation: Conversation, booking_id: str, therapist_id: str) -> bool:
    therapist = conversation.therapist
    return booking_id == conversation.booking_id and therapist is not None and therapist.id == therapist_id


def is_due(conversation: Conversation, now: datetime) -> bool:
    return conversation.expires_at is not None and now >= conversation.expires_at
