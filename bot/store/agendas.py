"""What a therapist has to do just now, asked in one question for all who ask at the same moment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from bot.store.driver import Document
from bot.store.records import Records
from bot.store.together import Together
from conversations.booking import Booking
from matching.records import Search

# Nobody has so many at once; a fault that makes more of them must not fill the memory.
MOST_VISITS = 50
MOST_SEARCHES = 20

T = TypeVar("T")


class Agendas:
    """Visits that are on, and searches that wait for a therapist's answer."""

    def __init__(self, bookings: Records[Booking], searches: Records[Search]) -> None:
        self._bookings = bookings
        self._searches = searches
        self._visits = Together(self._find_visits)
        self._offers = Together(self._find_offers)

    async def active_bookings(self, therapist_id: str) -> list[Booking]:
        """Newest first."""
        return await self._visits.one(therapist_id) or []

    async def open_searches(self, therapist_id: str) -> list[Search]:
        """The live searches in which this therapist is asked, or waits for the guest, newest first."""
        return await self._offers.one(therapist_id) or []

    async def _find_visits(self, therapist_ids: Sequence[str]) -> dict[str, list[Booking]]:
        query: Document = {"therapist.id": {"$in": list(therapist_ids)}, "state": "active"}
        found = await self._bookings.find(query, limit=MOST_VISITS * len(therapist_ids))
        return _by_therapist((booking, {booking.therapist.id}) for booking in found if booking.therapist)

    async def _find_offers(self, therapist_ids: Sequence[str]) -> dict[str, list[Search]]:
        query: Document = {
            "offers.therapist_id": {"$in": list(therapist_ids)},
            "state": {"$in": ["asking", "keeping", "found"]},
        }
        found = await self._searches.find(query, limit=MOST_SEARCHES * len(therapist_ids))
        return _by_therapist((search, set(_whose_turn_is(search))) for search in found)


def _whose_turn_is(search: Search) -> Iterator[str]:
    """Who can still answer, and who has answered and waits for the guest."""
    yield from (offer.therapist_id for offer in search.open_offers())
    yield from (offer.therapist_id for offer in search.offers if offer.offer_id == search.chosen_offer_id)


def _by_therapist(found: Iterable[tuple[T, Iterable[str]]]) -> dict[str, list[T]]:
    sorted_out: dict[str, list[T]] = {}
    for each, therapist_ids in found:
        for therapist_id in therapist_ids:
            sorted_out.setdefault(therapist_id, []).append(each)
    return sorted_out
