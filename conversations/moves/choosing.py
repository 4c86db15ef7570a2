"""The choice: the guest takes the therapist who was found, asks for another, or does not answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from conversations import booking
from conversations import effects as do
from conversations import events as on
from conversations.conversation import Conversation, Decision, State, state_on_screen
from conversations.ids import derived_id
from conversations.moves.always import let_slot_go
from conversations.moves.pieces import counting, is_due, moved, show_therapist_booking, tell_booking, visit_ends_at
from conversations.moves.searching import without_therapist

# How long the answer about a slot is waited for before it is asked for again.
RESERVING_S = 30.0
# A visit that was neither completed nor cancelled this long after its planned end is closed by rule.
VISIT_GRACE_S = 2 * 3600.0


def accept(conversation: Conversation, event: on.TherapistAccepted, now: datetime) -> Decision:
    """The guest says yes: the therapist's time is reserved, and only that makes the booking."""
    if event.offer_id != conversation.offer_id:
        return Decision(conversation, refusal="not_found")
    if conversation.is_reserving:
        return Decision(conversation)
    if is_due(conversation, now):
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
        ends_at=visit_ends_at(conversation, now),
        buffer_minutes=conversation.terms.buffer_minutes,
    )
    expires_at = now + timedelta(seconds=RESERVING_S)
    return Decision(replace(conversation, is_reserving=True, expires_at=expires_at), (reserve,))


def confirm(conversation: Conversation, event: on.SlotReserved, now: datetime) -> Decision:
    if event.offer_id != conversation.offer_id:
        return let_slot_go(conversation, event, now)
    therapist = conversation.therapist
    assert therapist is not None, "a choice has a therapist"
    active = moved(
        conversation,
        State.ACTIVE,
        expires_at=visit_ends_at(conversation, now) + timedelta(seconds=VISIT_GRACE_S),
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
            *tell_booking(active, booked),
            state_on_screen(active),
            do.Say("booking_confirmed"),
            do.CloseSearchWon(conversation.search_id or "", event.offer_id),
            *show_therapist_booking(active),
        ),
    )


def lose_slot(conversation: Conversation, event: on.SlotTaken, now: datetime) -> Decision:
    if event.offer_id != conversation.offer_id:
        return Decision(conversation)
    return _give_back(conversation, now, do.Say("slot_taken"))


def find_another(conversation: Conversation, event: on.AnotherWanted, now: datetime) -> Decision:
    if event.offer_id != conversation.offer_id:
        return Decision(conversation, refusal="not_found")
    if conversation.is_reserving:
        return Decision(conversation, refusal="not_now")
    return _give_back(conversation, now, do.Say("another_wanted"))


def _give_back(conversation: Conversation, now: datetime, line: do.Say) -> Decision:
    deadline_at = now + timedelta(seconds=conversation.terms.answer_s)
    searching = counting(conversation, max(conversation.attempt, 1), deadline_at)
    give_back = do.GiveTherapistBack(conversation.search_id or "", conversation.offer_id or "", deadline_at)
    searching = replace(searching, returned_offers=(*conversation.returned_offers, give_back.offer_id))
    returned = tell_booking(searching, booking.TherapistReturned())
    return Decision(searching, (*returned, give_back, line, state_on_screen(searching)))


def let_choice_lapse(conversation: Conversation, event: on.DeadlinePassed, now: datetime) -> Decision:
    """No answer within the time gives the therapist back; while a slot is being reserved, its answer is waited for."""
    if not is_due(conversation, now):
        return Decision(conversation)
    if conversation.is_reserving:
        return _reserving(conversation, now)
    lapsed = do.CancelSearch(conversation.search_id or "", "the guest did not answer", is_unanswered=True)
    return without_therapist(conversation, now, do.Say("choice_lapsed"), lapsed)


def lose_therapist(conversation: Conversation, event: on.TherapistLost, now: datetime) -> Decision:
    if event.search_id != conversation.search_id or event.offer_id != conversation.offer_id:
        return Decision(conversation)
    if conversation.is_reserving:
        return Decision(conversation)
    return without_therapist(conversation, now, do.Say("therapist_lost"))
