"""Therapists: who they are, where they are, and the one hold each can have.

A hold is taken, kept and let go by single conditional updates on the therapist's document: nobody is offered twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.store.driver import Collection, Document, DuplicateKeyError
from bot.store.together import Together
from conversations.values import Gender, Locale, Therapist
from matching.geography import distance_km
from matching.policy import Candidate, Needs

# How many of the nearest are ranked: enough for quality and waiting time to matter, few enough to stay quick.
NEAREST_RANKED = 24


class PhoneTaken(Exception):
    """Another therapist has this phone number."""


@dataclass(frozen=True, slots=True)
class TherapistRecord:
    """A therapist's document as it was read; `phone` is E.164, degrees are WGS 84."""

    id: str
    name: str
    phone: str
    photo: str
    rating: float
    rating_count: int
    gender: Gender
    specialties: tuple[str, ...]
    languages: tuple[str, ...]
    durations: tuple[int, ...]
    latitude: float
    longitude: float
    is_available: bool
    is_simulated: bool
    locale: Locale
    visits: int

    def as_guests_see(self) -> Therapist:
        return Therapist(
            id=self.id,
            name=self.name,
            photo=self.photo,
            rating=self.rating,
            rating_count=self.rating_count,
            gender=self.gender,
            specialties=self.specialties,
            languages=self.languages,
        )


def _point(latitude: float, longitude: float) -> Document:
    return {"type": "Point", "coordinates": [longitude, latitude]}


def _not_after(field: str, now: datetime) -> Document:
    """The moment in the field has passed, or there is none."""
    return {field: {"$not": {"$gt": now}}}


def _record(document: Document) -> TherapistRecord:
    longitude, latitude = document["location"]["coordinates"]
    return TherapistRecord(
        id=document["_id"],
        name=document["name"],
        phone=document["phone"],
        photo=document["photo"],
        rating=document["rating"],
        rating_count=document["rating_count"],
        gender=document["gender"],
        specialties=tuple(document["specialties"]),
        languages=tuple(document["languages"]),
        durations=tuple(document["durations"]),
        latitude=latitude,
        longitude=longitude,
        is_available=document["available"],
        is_simulated=document.get("is_simulated", False),
        locale=document.get("locale", "id"),
        visits=document.get("visits", 0),
    )


class Therapists:
    """The collection `therapists`."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._together = Together(self.get_several)

    async def add(self, therapist: TherapistRecord) -> None:
        """A new therapist; raises `PhoneTaken` when the number is somebody's already."""
        document = {
            "_id": therapist.id,
            "name": therapist.name,
            "phone": therapist.phone,
            "photo": therapist.photo,
            "rating": therapist.rating,
            "rating_count": therapist.rating_count,
            "gender": therapist.gender,
            "specialties": list(therapist.specialties),
            "languages": list(therapist.languages),
            "durations": list(therapist.durations),
            "location": _point(therapist.latitude, therapist.longitude),
            "available": therapist.is_available,
            "is_simulated": therapist.is_simulated,
            "locale": therapist.locale,
            "visits": therapist.visits,
            "offers": 0,
            "fence": 0,
            "hold": None,
            "busy": None,
            "last_offer_at": None,
        }
        try:
            await self._collection.insert_one(document)
        except DuplicateKeyError as error:
            raise PhoneTaken(therapist.phone) from error

    async def get(self, therapist_id: str) -> TherapistRecord | None:
        document = await self._collection.find_one({"_id": {"$eq": therapist_id}})
        return _record(document) if document else None

    async def get_with_others(self, therapist_id: str) -> TherapistRecord | None:
        """As `get`, in one question for all who ask at this moment."""
        return await self._together.one(therapist_id)

    async def get_several(self, therapist_ids: Sequence[str]) -> dict[str, TherapistRecord]:
        """Those of them that there are, by their ids."""
        found = self._collection.find({"_id": {"$in": list(therapist_ids)}})
        return {document["_id"]: _record(document) async for document in found}

    async def with_phone(self, phone: str) -> TherapistRecord | None:
        document = await self._collection.find_one({"phone": {"$eq": phone}})
        return _record(document) if document else None

    async def simulated(self) -> list[TherapistRecord]:
        """The therapists of the demonstration who answer by themselves."""
        return [_record(document) async for document in self._collection.find({"is_simulated": True}).limit(1000)]

    async def nearest(
        self, latitude: float, longitude: float, *, limit: int, duration: int | None = None
    ) -> list[TherapistRecord]:
        """Therapists for a shop window: the available ones first, each group by distance."""
        near: Document = {"location": {"$nearSphere": {"$geometry": _point(latitude, longitude)}}}
        if duration is not None:
            near["durations"] = duration
        found: list[TherapistRecord] = []
        for available in (True, False):
            cursor = self._collection.find({"available": available, **near}).limit(limit - len(found))
            found += [_record(document) async for document in cursor]
            if len(found) >= limit:
                break
        return found

    async def set_available(
        self, therapist_id: str, available: bool, position: tuple[float, float] | None = None
    ) -> None:
        """`position` is latitude and longitude."""
        changes: Document = {"available": available}
        if position is not None:
            changes["location"] = _point(*position)
        await self._collection.update_one({"_id": therapist_id}, {"$set": changes})

    async def keep_figures(self, therapist_id: str, visits: int, stars: Sequence[int]) -> None:
        """The visits, and the average of all ratings: `stars` are those given here, one each.

        What a therapist was rated before they came to us stays in `rated_before` and weighs as much as it did.
        """
        before = {"rating": "$rating", "count": "$rating_count"}
        total = {"$add": [{"$multiply": ["$rated_before.rating", "$rated_before.count"]}, sum(stars)]}
        count = {"$add": ["$rated_before.count", len(stars)]}
        average = {"$cond": [{"$gt": [count, 0]}, {"$divide": [total, {"$max": [count, 1]}]}, "$rated_before.rating"]}
        await self._collection.update_one(
            {"_id": therapist_id},
            [
                {"$set": {"visits": visits, "rated_before": {"$ifNull": ["$rated_before", before]}}},
                {"$set": {"rating": {"$round": [average, 2]}, "rating_count": count}},
            ],
        )

    # --- the search ---------------------------------------------------------------------------------------------------

    async def candidates(
        self,
        needs: Needs,
        radius_km: float | None,
        now: datetime,
        *,
        search_id: str,
        refused: Sequence[str] = (),
        only: str | None = None,
    ) -> list[Candidate]:
        """The nearest therapists who may be asked; one already held for this very search counts as free for it."""
        query: Document = {
            "available": True,
            "durations": needs.duration,
            "$or": [_not_after("hold.until", now), {"hold.search_id": search_id}],
            **_not_after("busy.until", now),
            "location": {"$nearSphere": {"$geometry": _point(needs.latitude, needs.longitude)}},
        }
        if radius_km is not None:
            query["location"]["$nearSphere"]["$maxDistance"] = radius_km * 1000
        if needs.gender_preference != "any":
            query["gender"] = needs.gender_preference
        query["_id"] = {"$nin": list(refused)} if only is None else {"$eq": only, "$nin": list(refused)}
        cursor = self._collection.find(query, _CANDIDATE_FIELDS).limit(NEAREST_RANKED)
        return [_candidate(document, needs) async for document in cursor]

    async def hold(
        self, therapist_id: str, *, search_id: str, offer_id: str, until: datetime, now: datetime
    ) -> tuple[int, datetime] | None:
        """Take the therapist's hold: its fence and end, or None where somebody else has it, or at its end.

        The same offer takes its own hold again and gets the same answer, so that the effect may be performed twice.
        """
        if until <= now:
            # Whoever performs the effect again so late would take the offer's own hold from it, with another fence.
            return None
        document = await self._collection.find_one_and_update(
            {
                "_id": therapist_id,
                "available": True,
                **_not_after("hold.until", now),
                **_not_after("busy.until", now),
            },
            [
                {
                    "$set": {
                        "fence": {"$add": ["$fence", 1]},
                        "offers": {"$add": [{"$ifNull": ["$offers", 0]}, 1]},
                        "last_offer_at": {"$literal": now},
                    }
                },
                {
                    "$set": {
                        "hold": {
                            "search_id": {"$literal": search_id},
                            "offer_id": {"$literal": offer_id},
                            "fence": "$fence",
                            "until": {"$literal": until},
                        }
                    }
                },
            ],
            return_document=True,
        )
        if document is None:
            document = await self._collection.find_one(
                {"_id": therapist_id, "hold.offer_id": offer_id, "hold.until": {"$gt": now}}
            )
        return (document["hold"]["fence"], document["hold"]["until"]) if document else None

    async def keep_hold(self, therapist_id: str, offer_id: str, until: datetime) -> bool:
        """Prolong the hold while it is still this offer's: nobody can have taken it without replacing it."""
        result = await self._collection.update_one(
            {"_id": therapist_id, "hold.offer_id": offer_id}, {"$max": {"hold.until": until}}
        )
        return bool(result.matched_count)

    async def release_hold(self, therapist_id: str, offer_id: str, fence: int) -> None:
        """Let go of the hold if it is still this very one; doing it late or twice changes nothing."""
        await self._collection.update_one(
            {"_id": therapist_id, "hold.offer_id": offer_id, "hold.fence": fence}, {"$set": {"hold": None}}
        )

    async def mark_busy(self, therapist_id: str, booking_id: str, until: datetime) -> None:
        """Leave the therapist out of searches; the reservation is what keeps the time, this only saves asking."""
        await self._collection.update_one(
            {"_id": therapist_id}, {"$set": {"busy": {"booking_id": booking_id, "until": until}}}
        )

    async def mark_free(self, therapist_id: str, booking_id: str) -> None:
        await self._collection.update_one(
            {"_id": therapist_id, "busy.booking_id": booking_id}, {"$set": {"busy": None}}
        )


_CANDIDATE_FIELDS = {"rating": 1, "gender": 1, "durations": 1, "location": 1, "last_offer_at": 1}


def _candidate(document: Document, needs: Needs) -> Candidate:
    longitude, latitude = document["location"]["coordinates"]
    return Candidate(
        therapist_id=document["_id"],
        distance_km=distance_km(needs.latitude, needs.longitude, latitude, longitude),
        rating=document["rating"],
        gender=document["gender"],
        durations=tuple(document["durations"]),
        last_offer_at=document["last_offer_at"],
    )
