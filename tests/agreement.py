"""Whether the documents agree: with every outbox empty, conversation, search, booking, hold and slot say the same."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bot.services import Services
from bot.store.driver import aggregate
from bot.store.records import Stored
from conversations.booking import Booking, Status
from conversations.conversation import ENDED_STATES, Conversation, State
from matching.records import Offer, Search
from matching.records import State as SearchState
from tests.clients import PATIENCE_S
from tests.together.invariants import STATUSES

RESTING_STATES = (State.IDLE, *ENDED_STATES)
ENDED_STATUSES = (Status.COMPLETED, Status.CANCELLED, Status.EXPIRED, Status.NO_SHOW)

# What the search of a conversation may be.
SEARCHES: Mapping[State, tuple[SearchState, ...]] = {
    State.SEARCHING: (SearchState.ASKING, SearchState.KEEPING),
    State.CHOOSING: (SearchState.FOUND,),
    State.ACTIVE: (SearchState.WON,),
}


async def eventually(holds: Callable[[], Awaitable[None]]) -> None:
    """Until `holds` raises no AssertionError any more: what another process does has no event to be awaited."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await holds()
        except AssertionError:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(0.05)


async def until_agreed(services: Services) -> Documents:
    """Until everything saved has been performed and the documents agree; feeds have no gap at any moment."""
    documents: list[Documents] = []

    async def agreed() -> None:
        documents[:] = [await read(services)]
        documents[0].assert_agreed()

    await eventually(agreed)
    await assert_gap_free(services)
    return documents[0]


async def until_free(services: Services, therapist_id: str) -> None:
    """Until nothing holds this therapist."""

    async def is_free() -> None:
        document = await services.database["therapists"].find_one({"_id": therapist_id})
        assert document["hold"] is None, document["hold"]

    await eventually(is_free)


async def assert_gap_free(services: Services) -> None:
    """Every feed begins with 1 and has no gap."""
    feeds = [{"$group": {"_id": "$feed", "count": {"$sum": 1}, "first": {"$min": "$seq"}, "last": {"$max": "$seq"}}}]
    for feed in await aggregate(services.database["entries"], feeds):
        assert (feed["first"], feed["last"]) == (1, feed["count"]), f"{feed['_id']} has a gap: {feed}"


@dataclass(frozen=True, slots=True)
class Documents:
    """What stands in the database, by id; therapists and reservations as they are stored."""

    now: datetime
    conversations: Mapping[str, Stored[Conversation]]
    searches: Mapping[str, Stored[Search]]
    bookings: Mapping[str, Stored[Booking]]
    therapists: Mapping[str, Mapping[str, Any]]
    reservations: Mapping[str, Mapping[str, Any]]

    def assert_agreed(self) -> None:
        everything: list[Stored[Any]] = [*self.conversations.values(), *self.searches.values(), *self.bookings.values()]
        for each in everything:
            assert not each.outbox, f"{each.record.id} has unperformed effects: {each.outbox}"
        for stored in self.conversations.values():
            self._assert_clock(stored.record)
            self._assert_booking(stored.record)
            self._assert_search(stored.record)
            self._assert_reservation(stored.record)
        self._assert_nothing_left_behind()
        self._assert_holds()

    def of(self, conversation_id: str) -> Conversation:
        return self.conversations[conversation_id].record

    def _assert_clock(self, conversation: Conversation) -> None:
        if conversation.state is State.ERASED:
            return  # for a while a clock still rings, to look once more for what came late
        is_resting = conversation.state in RESTING_STATES
        assert (conversation.expires_at is None) == is_resting, (
            f"{conversation.id} waits for ever, or rings for nothing"
        )

    def _assert_booking(self, conversation: Conversation) -> None:
        stored = self.bookings.get(conversation.booking_id or "")
        booking = stored.record if stored else None
        status = booking.state if booking else None
        assert status in STATUSES[conversation.state], f"{conversation.id}: {conversation.state}, its booking: {status}"
        if booking and conversation.state not in ENDED_STATES:
            assert booking.therapist == conversation.therapist, f"{booking.id} is with another therapist"
        if booking and conversation.state is State.ACTIVE:
            assert booking.reservation_id == conversation.reservation_id, f"{booking.id} has another slot"

    def _assert_search(self, conversation: Conversation) -> None:
        stored = self.searches.get(conversation.search_id or "")
        search = stored.record if stored else None
        state = search.state if search else None
        expected = SEARCHES.get(conversation.state)
        if expected is None:
            is_over = search is None or not search.is_live
            assert is_over, f"{conversation.id}: {conversation.state}, its search goes on: {state}"
            return
        assert state in expected, f"{conversation.id}: {conversation.state}, its search: {state}"
        if search and conversation.state is State.SEARCHING and conversation.countdown:
            shown = (conversation.countdown.attempt, conversation.countdown.deadline_at)
            assert shown == (search.attempt, search.attempt_ends_at), f"{conversation.id} counts down to another moment"
        if search and conversation.state is State.CHOOSING:
            assert search.chosen_offer_id == conversation.offer_id, f"{conversation.id} chooses about another offer"

    def _assert_reservation(self, conversation: Conversation) -> None:
        mine = [row for row in self.reservations.values() if row["booking_id"] == conversation.booking_id]
        active = [row["_id"] for row in mine if row["active"]]
        expected = [conversation.reservation_id] if conversation.state is State.ACTIVE else []
        assert active == expected, f"{conversation.id}: {conversation.state}, slots taken for it: {active}"

    def _assert_nothing_left_behind(self) -> None:
        records = [stored.record for stored in self.conversations.values()]
        present = {each.search_id for each in records}
        for search in self._live_searches():
            assert search.id in present, f"{search.id} searches for nobody"
        current = {each.booking_id for each in records}
        for stored in self.bookings.values():
            assert stored.record.id in current or stored.record.state in ENDED_STATUSES, f"{stored.record.id} was left"
        active = [row for row in self.reservations.values() if row["active"]]
        assert {row["booking_id"] for row in active} <= current, "a slot is taken for nobody"
        cells = [(row["therapist_id"], cell) for row in active for cell in row["cells"]]
        assert len(set(cells)) == len(cells), "a slot is taken twice"

    def _assert_holds(self) -> None:
        """Who is held is wanted by that very offer, and who is wanted is held."""
        wanted = {offer.offer_id: offer for search in self._live_searches() for offer in _wanted(search)}
        held = {row["hold"]["offer_id"]: row["hold"] for row in self.therapists.values() if row["hold"]}
        for offer_id, hold in held.items():
            assert offer_id in wanted or hold["until"] <= self.now, f"held for nothing: {hold}"
        for offer_id, offer in wanted.items():
            if offer.until > self.now:
                fence = held[offer_id]["fence"] if offer_id in held else None
                assert fence == offer.fence, f"asked and not held: {offer}"
        for row in self.therapists.values():
            if row["busy"] and row["busy"]["until"] > self.now:
                booking = self.bookings[row["busy"]["booking_id"]].record
                assert booking.state is Status.ACTIVE, f"{row['_id']} is busy with {booking.id}: {booking.state}"

    def _live_searches(self) -> list[Search]:
        return [stored.record for stored in self.searches.values() if stored.record.is_live]


def _wanted(search: Search) -> list[Offer]:
    """The offers of a live search that can still lead to a visit."""
    chosen = search.offer(search.chosen_offer_id or "")
    return [*search.open_offers(), *([chosen] if chosen else [])]


async def read(services: Services) -> Documents:
    """Not the picture of one moment: what is under way may not agree."""
    database = services.database
    return Documents(
        now=services.clock.now(),
        conversations=await _records(services.conversations, database["conversations"]),
        searches=await _records(services.searches, database["searches"]),
        bookings=await _records(services.bookings, database["bookings"]),
        therapists={row["_id"]: row async for row in database["therapists"].find()},
        reservations={row["_id"]: row async for row in database["reservations"].find()},
    )


async def _records(records: Any, collection: Any) -> dict[str, Any]:
    ids = [document["_id"] async for document in collection.find({}, {"_id": 1})]
    stored = await asyncio.gather(*(records.load(each) for each in ids))
    return {each.record.id: each for each in stored}
