"""What may happen at any moment: the guest goes, is erased, changes language or looks again; a late slot is let go."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from conversations import booking
from conversations import effects as do
from conversations import events as on
from conversations.conversation import ENDED_STATES, Conversation, Decision, State, state_on_screen
from conversations.moves.pieces import card, is_due, moved, release_slot, show_therapist_booking, tell_booking

# What was on its way when a guest was erased has arrived by then, and is erased as well.
ERASE_AGAIN_S = 60.0


def cancel(conversation: Conversation, event: on.Cancelled, now: datetime) -> Decision:
    """Every clock stops, open offers are withdrawn, and whoever was on the way is told."""
    cancelled = moved(conversation, State.CANCELLED)
    had_visit = conversation.state is State.ACTIVE
    effects: tuple[do.Effect, ...] = ()
    if conversation.search_id and not had_visit:
        effects += (do.CancelSearch(conversation.search_id, event.reason or f"cancelled by the {event.by}"),)
    effects += tell_booking(cancelled, booking.BookingCancelled(event.by, event.reason))
    line = f"cancelled_by_{event.by}" if conversation.booking_id else "form_closed"
    effects += (do.Say(line), state_on_screen(cancelled))
    if had_visit:
        effects += release_slot(conversation)
        effects += show_therapist_booking(conversation)
    return Decision(cancelled, effects)


def erase(conversation: Conversation, event: on.ErasureRequested, now: datetime) -> Decision:
    """What goes on is cancelled by the ordinary road; then nothing is left of the guest, and nobody can come back.

    Not while the therapist is there: who is with whom must be known until the visit is over, or was cancelled.
    """
    if conversation.progress == "arrived" and conversation.state is State.ACTIVE:
        return Decision(conversation, refusal="not_now")
    is_over = conversation.state in (State.IDLE, *ENDED_STATES)
    ended = Decision(conversation) if is_over else cancel(conversation, on.Cancelled("guest"), now)
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


def erase_again(conversation: Conversation, event: on.DeadlinePassed, now: datetime) -> Decision:
    """A process that was slow, or a message that was under way, may have written something in the meantime."""
    if not is_due(conversation, now):
        return Decision(conversation)
    return Decision(replace(conversation, expires_at=None), (do.EraseGuest(),))


def stay_erased(conversation: Conversation, event: on.ErasureRequested, now: datetime) -> Decision:
    return Decision(conversation)


def let_slot_go(conversation: Conversation, event: on.SlotReserved, now: datetime) -> Decision:
    """The slot was reserved for a choice that no longer stands: it is free again."""
    if event.reservation_id == conversation.reservation_id and conversation.state is State.ACTIVE:
        return Decision(conversation)
    return Decision(conversation, (do.ReleaseSlot(event.reservation_id),))


def choose_locale(conversation: Conversation, event: on.LocaleChosen, now: datetime) -> Decision:
    timezone = event.timezone or conversation.timezone
    if (event.locale, timezone) == (conversation.locale, conversation.timezone):
        return Decision(conversation)
    return Decision(replace(conversation, locale=event.locale, timezone=timezone))


def show_again(conversation: Conversation, event: on.ScreenWanted, now: datetime) -> Decision:
    """The card of this moment or where the guest stands, behind every line that was wanted before."""
    return Decision(conversation, card(conversation) or (state_on_screen(conversation),))
