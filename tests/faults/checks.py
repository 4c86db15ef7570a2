"""What must hold of everything that was seen: each check is a function of the witness that yields what is wrong.

They may be asked at any moment: what is known so far is a beginning of every feed, and nothing that is right later is
wrong now. `complete` says that the feeds have been read to their ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from conversations.machine import TRANSITIONS, State
from tests.faults.witness import Entry, Operation, Witness

# By how much a countdown may seem to end early: its moment is kept in milliseconds.
GRAIN = timedelta(milliseconds=5)

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


# --- acks -------------------------------------------------------------------------------------------------------------


def acks(witness: Witness, complete: bool) -> Iterator[Finding]:
    """Every message that was acked stands under its number, as it was said; and nothing stands that nobody said."""
    for operation in witness.operations:
        if operation.name == "message":
            yield from _acked_message(witness, operation, complete)
    said = {(operation.feed, operation.client_id): operation for operation in witness.operations}
    for feed in witness.conversations():
        for entry in witness.run_of(feed):
            if entry["type"] == "message":
                data = entry["data"]
                operation = said.get((feed, data["client_id"]))
                if operation is None or (operation.payload["text"], operation.audience) != (data["text"], data["from"]):
                    yield f"{data['client_id']} on {feed} was never said like this", (entry, operation)


def _acked_message(witness: Witness, operation: Operation, complete: bool) -> Iterator[Finding]:
    acked = operation.acked
    if acked is None or acked.answer is None:
        return
    seq = acked.answer["seq"]
    entry = witness.feeds.get(operation.feed, {}).get(seq)
    if entry is None:
        if complete:
            yield f"{operation.client_id} was acked as {seq} of {operation.feed} and is not there", (operation,)
    elif entry["id"] != acked.answer["id"]:
        yield (
            f"{operation.client_id} was acked as {seq} of {operation.feed}, where something else is",
            (operation, entry),
        )


def order(witness: Witness, complete: bool) -> Iterator[Finding]:
    """What one sender was acked before they said the next thing comes before it."""
    for feed, operations in by_feed(witness).items():
        by_sender: dict[str, list[Operation]] = defaultdict(list)
        for operation in operations:
            if operation.name == "message" and operation.acked is not None:
                by_sender[operation.subject].append(operation)
        for several in by_sender.values():
            yield from _out_of_order(feed, several)


def _out_of_order(feed: str, several: Sequence[Operation]) -> Iterator[Finding]:
    """Going through what was said by its beginning, the highest number among all that was acked before is kept."""
    acked = sorted(several, key=lambda each: _ended(each))
    highest: Operation | None = None
    place = 0
    for later in sorted(several, key=lambda each: each.began):
        while place < len(acked) and _ended(acked[place]) < later.began:
            if highest is None or _seq(acked[place]) > _seq(highest):
                highest = acked[place]
            place += 1
        if highest is not None and _seq(highest) > _seq(later):
            yield (
                f"{later.client_id} was said after {highest.client_id} and stands before it on {feed}",
                (highest, later),
            )


def _ended(operation: Operation) -> float:
    acked = operation.acked
    assert acked is not None
    assert acked.ended is not None
    return acked.ended


def _seq(operation: Operation) -> int:
    acked = operation.acked
    assert acked is not None
    assert acked.answer is not None
    return int(acked.answer["seq"])


def retries(witness: Witness, complete: bool) -> Iterator[Finding]:
    """A `client_id` has one effect, and every yes to it is the same; after a yes there is no no."""
    for operation in witness.operations:
        answers = {str(_sorted(each.answer)) for each in operation.oks}
        if len(answers) > 1:
            yield f"{operation.client_id} ({operation.name}) was answered differently", (operation,)
        acked = operation.acked
        for each in operation.tries:
            if acked is not None and acked.ended is not None and each.is_refused and each.began > acked.ended:
                yield f"{operation.client_id} ({operation.name}) was refused after it had been done", (operation,)
    for feed in witness.conversations():
        known: dict[tuple[str, str], Entry] = {}
        for entry in witness.run_of(feed):
            if entry["type"] == "message":
                key = (entry["data"]["from"], entry["data"]["client_id"])
                if key in known:
                    yield f"{key[1]} stands twice on {feed}", (known[key], entry)
                known[key] = entry


def _sorted(answer: Any) -> list[tuple[str, Any]]:
    return sorted((answer or {}).items())


# --- conversations ----------------------------------------------------------------------------------------------------


def moves(witness: Witness, complete: bool) -> Iterator[Finding]:
    """State lines follow the table, revisions only grow, one revision is one state, and no move is without a cause."""
    commands = by_feed(witness)
    causes = _therapists_commands(witness)
    for feed in witness.conversations():
        lines = lines_of(witness, feed)
        for before, after in pairwise(lines):
            yield from _step(feed, before, after, [*commands.get(feed, ()), *causes.get(before.booking_id or "", ())])
        if lines and lines[0].state != "confirming":
            yield f"{feed} begins with {lines[0].state}", (lines[0].entry,)


def _therapists_commands(witness: Witness) -> Mapping[str, list[Operation]]:
    """What therapists have asked about a booking, by its id."""
    found: dict[str, list[Operation]] = defaultdict(list)
    for operation in witness.operations:
        if operation.audience == "therapist" and "booking_id" in operation.payload:
            found[operation.payload["booking_id"]].append(operation)
    return found


def _step(feed: str, before: Line, after: Line, commands: Sequence[Operation]) -> Iterator[Finding]:
    evidence = (before.entry, after.entry)
    if after.revision < before.revision:
        yield f"{feed} goes back to revision {after.revision}", evidence
    elif after.revision == before.revision and after.state != before.state:
        yield f"{feed} is {before.state} and {after.state} in revision {after.revision}", evidence
    elif State(after.state) not in _reachable(before.state):
        yield f"{feed} goes from {before.state} to {after.state}, which is not in the table", evidence
    if after.revision == before.revision:
        yield from _too_early(feed, before, after)
    elif not _has_cause(before, after, commands):
        yield f"{feed} goes from {before.state} to {after.state}, and nobody asked for it", evidence


def _reachable(state: str) -> set[State]:
    return {to for move in TRANSITIONS[State(state)].values() for to in move.to}


# What only a command can bring about: (from, to) -> the commands, with the step of `progress`; "*" is any state.
_CAUSES: Mapping[tuple[str, str], tuple[tuple[str, str | None], ...]] = {
    ("*", "confirming"): (("book", None),),
    ("*", "cancelled"): (("cancel", None),),
    ("confirming", "searching"): (("confirm_service", None),),
    ("no_therapist", "searching"): (("search_again", None),),
    ("choosing", "active"): (("accept_therapist", None),),
    ("active", "completed"): (("progress", "completed"),),
    ("active", "expired"): (("progress", "no_show"),),
    ("active", "no_therapist"): (("cancel_booking", None),),
}


def _has_cause(before: Line, after: Line, commands: Sequence[Operation]) -> bool:
    causes = _CAUSES.get((before.state, after.state)) or _CAUSES.get(("*", after.state))
    return causes is None or any(
        operation.tries and (operation.name, step) == (name, operation.payload.get("step") if step else None)
        for operation in commands
        for name, step in causes
    )


def _too_early(feed: str, before: Line, after: Line) -> Iterator[Finding]:
    """A countdown of a search (but of the one therapist who was picked) is followed by the next one when it is over."""
    was, now = before.entry["data"].get("countdown"), after.entry["data"].get("countdown")
    if not was or not now or was["attempt"] < 1 or now["attempt"] <= was["attempt"]:
        return
    if moment(after.entry["at"]) < moment(was["deadline_at"]) - GRAIN:
        yield f"attempt {was['attempt']} of {feed} ended before its time", (before.entry, after.entry)


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def standing(witness: Witness, complete: bool) -> Iterator[Finding]:
    """A command that was told where the conversation stands was told what stands on the feed."""
    for operation in witness.operations:
        acked = operation.acked
        if acked is None or acked.answer is None or "revision" not in acked.answer:
            continue
        state, revision = acked.answer["state"], acked.answer["revision"]
        lines = [line for line in lines_of(witness, operation.feed) if line.revision >= revision]
        here = [line for line in lines if line.revision == revision]
        if not here and (lines or complete):
            yield (
                f"{operation.name} was acked as revision {revision} of {operation.feed}, which never was",
                (operation,),
            )
        elif here and here[0].state != state:
            what = f"{operation.name} was acked as {state} in revision {revision} of {operation.feed}"
            yield f"{what}, which was {here[0].state}", (operation, here[0].entry)


def cancels(witness: Witness, complete: bool) -> Iterator[Finding]:
    """A cancel that was acked is the last word about its visit: only another booking goes on from there."""
    for operation in witness.operations:
        acked = operation.acked
        if operation.name != "cancel" or acked is None or acked.answer is None:
            continue
        lines = lines_of(witness, operation.feed)
        before = [line for line in lines if line.revision <= acked.answer["revision"]]
        after = [line for line in lines if line.revision > acked.answer["revision"]]
        if before and after and before[-1].state != "cancelled":
            yield (
                f"{operation.client_id} was acked and {operation.feed} was not cancelled",
                (operation, before[-1].entry),
            )
        if after and after[0].state != "confirming":
            yield f"{operation.client_id} was acked and {operation.feed} went on", (operation, after[0].entry)


# --- therapists -------------------------------------------------------------------------------------------------------


def holds(witness: Witness, complete: bool) -> Iterator[Finding]:
    """On a therapist's feed: an offer that came before another one's is never found to be theirs after that one came;
    and who has said yes is asked by nobody else until that has come to something."""
    for feed in witness.therapists():
        asked: dict[str, Entry] = {}
        overtaken: dict[str, Entry] = {}
        kept: Entry | None = None
        for entry in witness.run_of(feed):
            data = entry["data"]
            if entry["type"] == "offer":
                if kept is not None:
                    yield (
                        f"{feed}: {data['offer_id']} was offered while {kept['data']['offer_id']} was kept",
                        (kept, entry),
                    )
                overtaken |= dict.fromkeys(asked, entry)
                asked[data["offer_id"]] = entry
            elif entry["type"] == "offer_closed":
                offer = asked.pop(data["offer_id"], None)
                if kept is not None and kept["data"]["offer_id"] == data["offer_id"]:
                    kept = None
                if offer is not None and data["why"] == "accepted":
                    if offer["data"]["offer_id"] in overtaken:
                        another = overtaken[offer["data"]["offer_id"]]
                        yield (
                            f"{feed}: {data['offer_id']} was kept after another had been offered",
                            (offer, another, entry),
                        )
                    kept = offer
            elif entry["type"] == "booking" and kept is not None and _address(entry) == _address(kept):
                kept = None


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
        for one, other in pairwise(several):
            if one.feed != other.feed and other.begin < one.end:
                yield f"{therapist_id} visits {one.feed} and {other.feed} at once", (one.entry, other.entry)


def _visits(witness: Witness) -> Mapping[str, list[Visit]]:
    commands, causes = by_feed(witness), _therapists_commands(witness)
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
                Visit(feed, begin, _first_end(feed, begin, commands, causes.get(booking_id, ())), line.entry)
            )
    return found


def _first_end(
    feed: str, begin: float, commands: Mapping[str, Sequence[Operation]], of_the_therapist: Sequence[Operation]
) -> float:
    """The moment of the first word that could have ended the visit; what was never answered may come at any time."""
    endings = [each for each in commands.get(feed, ()) if each.name == "cancel"]
    endings += [
        each
        for each in of_the_therapist
        if each.name == "cancel_booking" or each.payload.get("step") in ("completed", "no_show")
    ]
    return min((_may_happen(each, begin) for each in endings), default=float("inf"))


def _may_happen(ending: Operation, begin: float) -> float:
    """When, from `begin` on, a command may have had its effect; what had its last answer before cannot any more."""
    is_open = [not (each.is_ok or each.is_refused) for each in ending.tries]
    tries = [
        each
        for each, may_come in zip(ending.tries, is_open, strict=True)
        if may_come or each.ended is None or each.ended > begin
    ]
    return min((each.began for each in tries), default=float("inf"))


Check = Callable[[Witness, bool], Iterator[Finding]]

CHECKS: Mapping[str, Check] = {
    check.__name__: check for check in (acks, order, retries, moves, standing, cancels, holds, visits)
}


def accuse(witness: Witness, complete: bool) -> None:
    """Run every check, and tell the witness what it finds; the first of each is enough."""
    for name, check in CHECKS.items():
        for what, evidence in check(witness, complete):
            witness.accuse(name, what, *(each for each in evidence if each is not None))
            break
