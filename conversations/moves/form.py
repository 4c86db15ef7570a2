"""The form: a booking begins, is confirmed and has a search, or is left until it closes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from conversations import booking
from conversations import effects as do
from conversations import events as on
from conversations.conversation import Conversation, Decision, State, state_on_screen
from conversations.ids import derived_id
from conversations.moves.pieces import card, is_due, moved, tell_booking
from conversations.moves.searching import searching
from conversations.values import Draft, Visit


def open_form(conversation: Conversation, event: on.BookPressed, now: datetime) -> Decision:
    """A new booking begins, or another one was pressed while the card was open: the newest card counts."""
    opened = moved(
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
    return Decision(opened, (do.Say("checking_availability"), state_on_screen(opened), *card(opened)))


def start_search(conversation: Conversation, event: on.ServiceConfirmed, now: datetime) -> Decision:
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
    return searching(confirmed, now, tell_booking(confirmed, opened), direct=draft.therapist)


def close_form(conversation: Conversation, event: on.DeadlinePassed, now: datetime) -> Decision:
    if not is_due(conversation, now):
        return Decision(conversation)
    closed = moved(conversation, State.EXPIRED)
    return Decision(closed, (do.Say("form_expired"), state_on_screen(closed)))
