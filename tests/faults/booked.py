"""Checks of who is with whom: no therapist is held for two guests, or visits two, at one moment."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.faults.evidence import CLOCKS_AGREE_WITHIN, Finding, Line, by_booking, by_feed, lines_of, moment
from tests.faults.witness import Entry, Operation, Witness


def holds(witness: Witness, complete: bool) -> Iterator[Finding]:
    """Whoever is asked is asked by one, and whoever has said yes by nobody, until that has come to something.

    An offer's end is on the feed before its therapist is free, unless its moment has passed: the line of one that was
    over already may come late, behind the next one's.
    """
    for feed in witness.therapists():
        asked: dict[str, Entry] = {}
        overtaken: dict[str, Entry] = {}
        kept: Entry | None = None
        for entry in witness.run_of(feed):
            offer_id = entry["data"].get("offer_id", "")
            if entry["type"] == "offer":
                if kept is not None and _is_asked_beside(entry, kept):
                    yield f"{feed}: {offer_id} was offered while another one was kept", (kept, entry)
                overtaken |= {each: entry for each, earlier in asked.items() if _is_asked_beside(entry, earlier)}
                asked[offer_id] = entry
            elif entry["type"] == "offer_waiting":
                offer = asked.pop(offer_id, None)
                if offer is not None and offer_id in overtaken:
                    yield f"{feed}: {offer_id} was kept beside another one", (offer, overtaken[offer_id], entry)
                kept = offer or kept
            elif entry["type"] == "offer_closed":
                asked.pop(offer_id, None)
                is_booked = entry["data"]["why"] == "accepted"
                if kept is not None and kept["data"]["offer_id"] == offer_id and not is_booked:
                    kept = None
            elif entry["type"] == "booking" and kept is not None and _address(entry) == _address(kept):
                kept = None


def _is_asked_beside(later: Entry, earlier: Entry) -> bool:
    """The later offer on a feed had not lapsed when the earlier one was made, so it was made after it."""
    return moment(later["data"]["respond_by"]) - CLOCKS_AGREE_WITHIN > moment(earlier["at"])


def _address(entry: Entry) -> str:
    """Names the guest, in offers and in bookings."""
    booking = entry["data"]["booking"]
    return str(booking.get("address") or booking["location"]["address"])


@dataclass(frozen=True, slots=True)
class Visit:
    """A stretch of time in which a therapist was certainly visiting: heard of, and not yet asked to end."""

    feed: str
    begin: float
    end: float
    entry: Entry


def visits(witness: Witness, complete: bool) -> Iterator[Finding]:
    """No therapist visits two guests at one moment, by the moments at which the witness heard and asked."""
    for therapist_id, several in _visits(witness).items():
        several.sort(key=lambda each: each.begin)
        longest = several[0]
        for other in several[1:]:
            if longest.feed != other.feed and other.begin < min(longest.end, other.end):
                yield f"{therapist_id} visits {longest.feed} and {other.feed} at once", (longest.entry, other.entry)
            longest = max(longest, other, key=lambda each: each.end)


def _visits(witness: Witness) -> Mapping[str, list[Visit]]:
    commands, causes = by_feed(witness), by_booking(witness)
    found: dict[str, list[Visit]] = defaultdict(list)
    for feed in witness.conversations():
        booked: set[str] = set()
        for line in lines_of(witness, feed):
            booking_id, therapist_id = line.booking_id, line.therapist_id
            if line.state != "active" or not booking_id or not therapist_id or f"{booking_id} {therapist_id}" in booked:
                continue
            booked.add(f"{booking_id} {therapist_id}")
            begin = witness.first_heard[feed, line.entry["seq"]]
            found[therapist_id].append(
                Visit(
                    feed, begin, _first_end(line, begin, commands.get(feed, ()), causes.get(booking_id, ())), line.entry
                )
            )
    return found


def _first_end(
    line: Line, begin: float, of_the_guest: Sequence[Operation], of_the_therapist: Sequence[Operation]
) -> float:
    """The moment of the first word that could have ended the visit; what was never answered may come at any time."""
    endings = [each for each in of_the_guest if each.name == "cancel"]
    endings += [
        each
        for each in of_the_therapist
        if each.name == "cancel_booking" or each.payload.get("step") in ("completed", "no_show")
    ]
    return min((_may_happen(each, begin, line.revision) for each in endings), default=float("inf"))


def _may_happen(ending: Operation, begin: float, revision: int) -> float:
    """When a command may have ended the visit of this revision, of which was heard at `begin`.

    What had its last answer before cannot any more, unless it was told a later revision: it was faster than the feed.
    """
    is_open = [not (each.is_ok or each.is_refused) for each in ending.tries]
    tries = [
        each
        for each, may_come in zip(ending.tries, is_open, strict=True)
        if may_come or each.ended is None or each.ended > begin or (each.answer or {}).get("revision", 0) > revision
    ]
    return min((each.began for each in tries), default=float("inf"))
