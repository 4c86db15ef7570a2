"""Reservations: one row per booked visit, and the index that lets no quarter of an hour be booked twice.

Writing the row is the commit point of a booking: no read stands between two people and one slot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from bot.store.driver import Collection, DuplicateKeyError


@dataclass(frozen=True, slots=True)
class Released:
    """What a reservation was for, as it is let go."""

    therapist_id: str
    booking_id: str


class Reservations:
    """The collection `reservations`, unique on (therapist, cell) while active."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def exists(self, reservation_id: str) -> bool:
        return await self._collection.find_one({"_id": reservation_id}, {"_id": 1}) is not None

    async def reserve(
        self,
        reservation_id: str,
        *,
        therapist_id: str,
        booking_id: str,
        cells: Sequence[int],
        starts_at: datetime,
        ends_at: datetime,
    ) -> bool:
        """True when the row stands, by this call or an earlier one with the same id; False when a cell is taken."""
        row = {
            "_id": reservation_id,
            "therapist_id": therapist_id,
            "booking_id": booking_id,
            "cells": list(cells),
            "starts_at": starts_at,
            "ends_at": ends_at,
            "active": True,
        }
        try:
            await self._collection.insert_one(row)
        except DuplicateKeyError:
            return await self.exists(reservation_id)
        return True

    async def release(self, reservation_id: str) -> Released | None:
        """The cells are free again; None where there is no such row."""
        row = await self._collection.find_one_and_update({"_id": reservation_id}, {"$set": {"active": False}})
        return Released(row["therapist_id"], row["booking_id"]) if row else None

    async def taken_by(self, therapist_ids: Sequence[str], cells: Sequence[int]) -> set[str]:
        """Which of these therapists have any of these cells booked: a reason not to ask, never a reason to book."""
        cursor = self._collection.find(
            {"therapist_id": {"$in": list(therapist_ids)}, "cells": {"$in": list(cells)}, "active": True},
            {"therapist_id": 1},
        )
        return {row["therapist_id"] async for row in cursor}
