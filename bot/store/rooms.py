"""Which part of a conversation a therapist may read: from the line that gave them the visit to its last one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.store.driver import Collection, Document
from bot.store.together import Together


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
        self._lines = Together(self._read)

    async def of(self, booking_id: str, therapist_id: str) -> Room | None:
        """The newest room of this therapist in this booking; None where the booking never was theirs."""
        room: Room | None = None
        for line in await self._lines.one(booking_id) or ():
            is_theirs = is_room_of(line["data"], therapist_id)
            if is_theirs and (room is None or room.closes_at is not None):
                room = Room(line["feed"], line["seq"])
            elif room is not None and room.closes_at is None and not is_theirs:
                room = Room(room.feed, room.opens_at, line["seq"])
        return room

    async def _read(self, booking_ids: Sequence[str]) -> dict[str, list[Document]]:
        """The state lines of each booking, in their order."""
        found = self._entries.find(
            {"type": "state", "data.booking_id": {"$in": list(booking_ids)}},
            {"feed": 1, "seq": 1, "data.booking_id": 1, "data.state": 1, "data.therapist_id": 1},
        ).sort("seq", 1)
        lines: dict[str, list[Document]] = {}
        async for line in found:
            lines.setdefault(line["data"]["booking_id"], []).append(line)
        return lines


def is_room_of(state: Mapping[str, Any], therapist_id: str) -> bool:
    """Whether a state line (as stored) says that the visit of this therapist stands."""
    return state.get("state") == "active" and state.get("therapist_id") == therapist_id
