"""Which part of a conversation a therapist may read: from the line that gave them the visit to its last one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bot.store.driver import Collection


@dataclass(frozen=True, slots=True)
class Room:
    """A stretch of a conversation's feed, both ends included; `closes_at` is None while the visit goes on."""

    feed: str
    opens_at: int
    closes_at: int | None = None


class Rooms:
    """Rooms as they follow from the state lines in the collection `entries`: nothing about them is kept twice."""

    def __init__(self, entries: Collection) -> None:
        self._entries = entries

    async def of(self, booking_id: str, therapist_id: str) -> Room | None:
        """The newest room of this therapist in this booking; None where the booking never was theirs."""
        lines = self._entries.find(
            {"type": "state", "data.booking_id": {"$eq": booking_id}}, {"feed": 1, "seq": 1, "data": 1}
        ).sort("seq", 1)
        room: Room | None = None
        async for line in lines:
            is_theirs = is_room_of(line["data"], therapist_id)
            if is_theirs and (room is None or room.closes_at is not None):
                room = Room(line["feed"], line["seq"])
            elif room is not None and room.closes_at is None and not is_theirs:
                room = Room(room.feed, room.opens_at, line["seq"])
        return room


def is_room_of(state: Mapping[str, Any], therapist_id: str) -> bool:
    """Whether a state line (as stored) says that the visit of this therapist stands."""
    return state.get("state") == "active" and state.get("therapist_id") == therapist_id
