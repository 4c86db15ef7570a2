"""The record of a conversation, and what a guest has on the screen because of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from conversations import effects as do
from conversations import replies
from conversations.values import Button, Countdown, Draft, Locale, Step, Terms, Therapist, Visit


class State(StrEnum):
    IDLE = "idle"
    CONFIRMING = "confirming"
    SEARCHING = "searching"
    CHOOSING = "choosing"
    ACTIVE = "active"
    NO_THERAPIST = "no_therapist"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    ERASED = "erased"


# From these the guest can book again; after having been erased, there is no guest.
ENDED_STATES = (State.COMPLETED, State.CANCELLED, State.EXPIRED)


@dataclass(frozen=True, slots=True)
class Conversation:
    """The record of one guest's chat. `revision` counts the moves that make an older card stale."""

    id: str
    version: int = 0
    state: State = State.IDLE
    revision: int = 0
    expires_at: datetime | None = None
    locale: Locale = "id"
    timezone: str | None = None
    terms: Terms = field(default_factory=Terms)
    draft: Draft | None = None
    visit: Visit | None = None
    booking_id: str | None = None
    search_id: str | None = None
    attempt: int = 0
    countdown: Countdown | None = None
    offer_id: str | None = None
    therapist: Therapist | None = None
    distance_km: float | None = None
    returned_offers: tuple[str, ...] = ()
    """The offers of this search that the guest gave back: none of them is proposed again."""
    is_reserving: bool = False
    reservation_id: str | None = None
    progress: Step | None = None
    stars: int | None = None
    """What the guest gave the visit that was completed last."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What the conversation becomes and what is to be done; `refusal` is a code of the contract for who asked."""

    record: Conversation
    effects: tuple[do.Effect, ...] = ()
    refusal: str | None = None


BUTTONS: Mapping[State, tuple[Button, ...]] = {
    State.CONFIRMING: (replies.CANCEL_SEARCH,),
    State.SEARCHING: (replies.CANCEL_SEARCH,),
    State.CHOOSING: (replies.CANCEL_BOOKING,),
    State.NO_THERAPIST: (replies.CANCEL_SEARCH,),
    State.ACTIVE: (replies.CANCEL_BOOKING,),
}


def card_on_screen(conversation: Conversation) -> do.ShowCard | None:
    """The card that the guest can press now, or None where there is none."""
    expires_at = conversation.expires_at
    match conversation.state:
        case State.CONFIRMING if conversation.draft is not None and expires_at is not None:
            defaults = _known_of_guest(conversation)
            return replies.service_card(conversation.draft, conversation.revision, defaults, expires_at)
        case State.CHOOSING if conversation.therapist is not None and expires_at is not None:
            return replies.therapist_card(
                conversation.therapist,
                conversation.offer_id or "",
                conversation.distance_km or 0.0,
                conversation.revision,
                expires_at,
            )
        case State.COMPLETED if conversation.therapist is not None:
            return replies.rating_card(conversation.therapist, conversation.stars, conversation.revision)
        case State.NO_THERAPIST:
            return replies.no_therapist_card(conversation.revision)
    return None


def state_on_screen(conversation: Conversation) -> do.ShowState:
    """Where the guest stands now: what a snapshot carries and what each move writes to the feed."""
    shows_therapist = conversation.state in (State.CHOOSING, State.ACTIVE) and conversation.therapist is not None
    therapist = conversation.therapist if shows_therapist else None
    return do.ShowState(
        state=conversation.state.value,
        revision=conversation.revision,
        header={
            "title": therapist.name if therapist else None,
            "photo": therapist.photo if therapist else None,
            "locked": conversation.state is State.ACTIVE,
        },
        booking_id=conversation.booking_id,
        therapist_id=therapist.id if therapist else None,
        countdown=conversation.countdown,
        buttons=BUTTONS.get(conversation.state, ()),
    )


def _known_of_guest(conversation: Conversation) -> dict[str, Any]:
    """What the form may be filled with, because the same guest said it for the last booking."""
    visit = conversation.visit
    if visit is None or visit.contact is None or visit.location is None:
        return {}
    return {
        "duration": visit.duration,
        "name": visit.contact.name,
        "phone": visit.contact.phone,
        "address": visit.location.address,
        "latitude": visit.location.latitude,
        "longitude": visit.location.longitude,
    }
