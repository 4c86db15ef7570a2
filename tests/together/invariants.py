"""What holds of every turn, what holds at every moment, and what holds whenever nothing is under way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import zip_longest
from typing import Any

from conversations import effects as do
from conversations.booking import ENDED_STATUSES, Booking, Status
from conversations.conversation import ENDED_STATES, Conversation, State
from matching.records import Answer, Offer, Search
from matching.records import State as SearchState
from tests.conversations.scenes import CONTACT, PLACE
from tests.together.shell import Key, Room, Shell

RESTING_STATES = (State.IDLE, *ENDED_STATES, State.ERASED)
PERSONAL = (CONTACT.name, CONTACT.phone, PLACE.address, str(PLACE.latitude), str(PLACE.longitude))

ROOMS: tuple[Room, ...] = ("search", "booking")

# What the booking is while the conversation stands where it stands; None is a form that was never confirmed.
STATUSES: Mapping[State, tuple[Status | None, ...]] = {
    State.IDLE: (None,),
    State.CONFIRMING: (None,),
    State.SEARCHING: (Status.SEARCHING,),
    State.CHOOSING: (Status.PENDING_ACCEPT,),
    State.ACTIVE: (Status.ACTIVE,),
    State.NO_THERAPIST: (Status.SEARCHING,),
    State.COMPLETED: (Status.COMPLETED,),
    State.CANCELLED: (None, Status.CANCELLED),
    State.EXPIRED: (None, Status.EXPIRED, Status.NO_SHOW),
    State.ERASED: (None,),
}
ENDED_SEARCH = (None, SearchState.WON, SearchState.EXHAUSTED, SearchState.CANCELLED)
# What the conversation's search is.
SEARCH_STATES: Mapping[State, tuple[SearchState | None, ...]] = {
    **dict.fromkeys(State, ENDED_SEARCH),
    State.SEARCHING: (SearchState.ASKING, SearchState.KEEPING),
    State.CHOOSING: (SearchState.FOUND,),
    State.ACTIVE: (SearchState.WON,),
}


# --- of every turn ----------------------------------------------------------------------------------------------------


def follow(key: Key, before: Any, after: Any) -> None:
    match key[0]:
        case "conversation":
            _follow_conversation(before, after)
        case "search":
            _follow_search(before, after)
        case "booking":
            _follow_booking(before, after)


def _follow_conversation(before: Conversation, after: Conversation) -> None:
    waits = after.expires_at is not None
    assert waits or after.state in RESTING_STATES, "a waiting state has a clock"
    assert not waits or after.state not in (State.IDLE, *ENDED_STATES), "what has ended has none"
    assert before.state is not State.ERASED or after.state is State.ERASED, "who was forgotten does not come back"
    assert after.revision >= before.revision, "revisions only grow"
    assert after.state == before.state or after.revision > before.revision, "a move makes the older cards stale"
    if before.state in ENDED_STATES and after.state not in (State.CONFIRMING, State.ERASED):
        same = replace(after, version=before.version, stars=before.stars)
        assert same == before, "what has ended changes by its rating, a new booking or its erasure only"


def _follow_search(before: Search, after: Search) -> None:
    assert (after.expires_at is not None) == after.is_live, "a live search has a clock, no other has"
    assert before.is_live or before.state is SearchState.NEW or not after.is_live, "an ended search stays ended"
    assert after.is_live or not after.open_offers(), "an ended search has no open offer"
    _follow_offers(before, after)
    if before.state is SearchState.CANCELLED and after.needs is not None:
        assert replace(after, version=before.version) == before, "nothing that comes after cancelling changes anything"


def _follow_offers(before: Search, after: Search) -> None:
    assert len({offer.offer_id for offer in after.offers}) == len(after.offers), "an offer is made once"
    said_no = {offer.therapist_id for offer in before.offers if offer.answer in (Answer.DECLINED, Answer.GIVEN_BACK)}
    for was, offer in zip_longest(before.offers, after.offers):
        if was is None:
            assert offer.therapist_id not in said_no, f"{offer.therapist_id} is asked again in the same search"
        elif was.answer is Answer.ASKED and offer.answer is Answer.ACCEPTED:
            assert offer.answered_at is not None
            assert offer.answered_at < offer.until, f"{offer.therapist_id} said yes too late, and it counted"


def _follow_booking(before: Booking, after: Booking) -> None:
    if before.state in ENDED_STATUSES:
        told = {name: getattr(before, name) for name in ("version", "told", "rating", "visit", "cancel_reason")}
        assert replace(after, **told) == before, "an ended booking stays as it is, but for its rating and its guest"


# --- at every moment --------------------------------------------------------------------------------------------------


def hold(shell: Shell) -> None:
    _one_live_search_per_conversation(shell)
    _whoever_is_asked_or_kept_is_held_for_it(shell)
    _nobody_is_booked_twice(shell)
    _nobody_reads_backwards(shell)


def _one_live_search_per_conversation(shell: Shell) -> None:
    live = [search.conversation_id for search in shell.records("search") if search.is_live]
    assert len(set(live)) == len(live), "a conversation has two live searches"


def _whoever_is_asked_or_kept_is_held_for_it(shell: Shell) -> None:
    """The one hold of a therapist stands behind every offer that can still lead to a visit: so there is one at most."""
    for search in shell.records("search"):
        for offer in _offers_that_count(search, shell):
            standing = shell.rows[offer.therapist_id].hold
            assert standing is not None, f"{offer.therapist_id} is asked by {search.id} and not held"
            assert standing.offer_id == offer.offer_id, f"{offer.therapist_id} is asked by two at once"


def _offers_that_count(search: Search, shell: Shell) -> list[Offer]:
    if not search.is_live:
        return []
    offers = [offer for offer in search.open_offers() if offer.until > shell.now]
    chosen = search.offer(search.chosen_offer_id or "")
    if search.state is SearchState.FOUND and chosen and search.expires_at and search.expires_at > shell.now:
        offers.append(chosen)
    return offers


def _nobody_is_booked_twice(shell: Shell) -> None:
    taken: set[tuple[str, int]] = set()
    for conversation in shell.records("conversation"):
        if conversation.state is not State.ACTIVE:
            continue
        reservation = shell.reservations.get(conversation.reservation_id)
        assert reservation is not None, f"{conversation.id} is active without a reservation"
        assert reservation.is_active, f"{conversation.id} is active and its reservation let go"
        assert reservation.booking_id == conversation.booking_id
        assert reservation.therapist_id == conversation.therapist.id
        cells = {(reservation.therapist_id, cell) for cell in reservation.cells}
        assert not cells & taken, f"{reservation.therapist_id} is booked twice"
        taken |= cells


def _nobody_reads_backwards(shell: Shell) -> None:
    """Whatever a process that was slow writes late: the lines of a conversation stand in the order of its moves."""
    for conversation_id, lines in shell.feeds.items():
        revisions = [line.revision for line in lines.values()]
        assert revisions == sorted(revisions), f"{conversation_id} reads {revisions}"


# --- whenever nothing is under way ------------------------------------------------------------------------------------


def agree(shell: Shell) -> None:
    assert shell.is_settled(), "something is never performed"
    for conversation in shell.records("conversation"):
        _agree_about_booking(conversation, shell)
        _agree_about_search(conversation, shell)
        _what_was_read_last_is_where_it_stands(conversation, shell)
        _nothing_is_known_of_who_was_erased(conversation, shell)
    _nothing_is_left_behind(shell)


def _nothing_is_known_of_who_was_erased(conversation: Conversation, shell: Shell) -> None:
    if conversation.state is not State.ERASED:
        return
    theirs = [each for room in ROOMS for each in shell.records(room) if each.conversation_id == conversation.id]
    for record in (conversation, *theirs):
        assert not any(each in str(record) for each in PERSONAL), f"{record.id} knows who {conversation.id} was"


def _agree_about_booking(conversation: Conversation, shell: Shell) -> None:
    booking: Booking | None = shell.record("booking", conversation.booking_id) if conversation.booking_id else None
    status = booking.state if booking else None
    assert status in STATUSES[conversation.state], f"{conversation.id} is {conversation.state}, its booking {status}"
    if booking is None or booking.state in ENDED_STATUSES:
        return
    assert booking.therapist == conversation.therapist, f"{conversation.id} and its booking wait for different people"
    if conversation.state is State.ACTIVE:
        assert booking.reservation_id == conversation.reservation_id
        assert booking.progress == conversation.progress, f"{conversation.id} and its booking have different news"


def _agree_about_search(conversation: Conversation, shell: Shell) -> None:
    search: Search | None = shell.record("search", conversation.search_id) if conversation.search_id else None
    state = search.state if search else None
    assert state in SEARCH_STATES[conversation.state], f"{conversation.id} is {conversation.state}, its search {state}"
    if search is None:
        return
    if conversation.state is State.SEARCHING:
        countdown = conversation.countdown
        assert countdown is not None
        assert (countdown.attempt, countdown.deadline_at) == (search.attempt, search.attempt_ends_at), (
            f"{conversation.id} counts down to another moment than its search"
        )
    if conversation.state in (State.CHOOSING, State.ACTIVE):
        assert search.chosen_offer_id == conversation.offer_id, f"{conversation.id} and its search chose differently"


def _what_was_read_last_is_where_it_stands(conversation: Conversation, shell: Shell) -> None:
    states = [line for line in shell.feeds[conversation.id].values() if isinstance(line, do.ShowState)]
    assert states or conversation.state is State.IDLE, f"{conversation.id} was told nothing"
    if states:
        read = (states[-1].state, states[-1].revision)
        assert read == (conversation.state.value, conversation.revision), f"{conversation.id} reads {read} last"


def _nothing_is_left_behind(shell: Shell) -> None:
    conversations = shell.records("conversation")
    current = {conversation.search_id for conversation in conversations}
    wanted: set[str] = set()
    for search in shell.records("search"):
        assert not search.is_live or search.id in current, f"{search.id} searches for nobody"
        wanted |= {offer.offer_id for offer in search.offers if offer.answer is Answer.ASKED}
        if search.is_live and search.chosen_offer_id:
            wanted.add(search.chosen_offer_id)
    orphans = tuple(f"{cause}:" for cause in shell.cut_short)
    for therapist_id, row in shell.rows.items():
        if row.hold is not None and row.hold.until > shell.now and not row.hold.offer_id.startswith(orphans):
            assert row.hold.offer_id in wanted, f"{therapist_id} is held for nothing"
    booked = {conversation.reservation_id for conversation in conversations if conversation.state is State.ACTIVE}
    for reservation_id, reservation in shell.reservations.items():
        assert not reservation.is_active or reservation_id in booked, (
            f"{reservation.therapist_id} is booked for nothing"
        )
    bookings_going_on = {conversation.booking_id for conversation in conversations}
    for booking in shell.records("booking"):
        assert booking.state in ENDED_STATUSES or booking.id in bookings_going_on, f"{booking.id} was forgotten"
