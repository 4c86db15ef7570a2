"""How the checks read what was seen: state lines, commands by feed and by booking, moments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.faults.witness import Entry, Operation, Witness

# The clocks of two processes agree as far as their questions to the database were quick; rings that nobody checks come
# seconds early.
CLOCKS_AGREE_WITHIN = timedelta(milliseconds=400)

# What is wrong in a sentence, and the shortest evidence of it.
Finding = tuple[str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Line:
    """A state line of a conversation, with its predecessor's."""

    entry: Entry

    @property
    def state(self) -> str:
        return str(self.entry["data"]["state"])

    @property
    def revision(self) -> int:
        return int(self.entry["data"]["revision"])

    @property
    def therapist_id(self) -> str | None:
        therapist = (self.entry["data"].get("booking") or {}).get("therapist") or {}
        return therapist.get("id")

    @property
    def booking_id(self) -> str | None:
        return (self.entry["data"].get("booking") or {}).get("id")


def lines_of(witness: Witness, feed: str) -> list[Line]:
    return [Line(entry) for entry in witness.run_of(feed) if entry["type"] == "state"]


def by_feed(witness: Witness) -> Mapping[str, list[Operation]]:
    sorted_out: dict[str, list[Operation]] = defaultdict(list)
    for operation in witness.operations:
        sorted_out[operation.feed].append(operation)
    return sorted_out


def by_booking(witness: Witness) -> Mapping[str, list[Operation]]:
    """What therapists have asked about a booking, by its id."""
    found: dict[str, list[Operation]] = defaultdict(list)
    for operation in witness.operations:
        if operation.audience == "therapist" and "booking_id" in operation.payload:
            found[operation.payload["booking_id"]].append(operation)
    return found


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
