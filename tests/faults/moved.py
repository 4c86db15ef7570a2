"""Checks of where guests stand: by the table, with a cause, as they were told, and cancelled when they cancelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from conversations.conversation import State
from conversations.machine import TRANSITIONS
from tests.faults.evidence import CLOCKS_AGREE_WITHIN, Finding, Line, by_booking, by_feed, lines_of, moment
from tests.faults.witness import Answer, Operation, Witness


def moves(witness: Witness, complete: bool) -> Iterator[Finding]:
    """State lines follow the table, revisions only grow, one revision is one state, and no move is without a cause."""
    commands = by_feed(witness)
    causes = by_booking(witness)
    for feed in witness.conversations():
        lines = lines_of(witness, feed)
        for before, after in pairwise(lines):
            yield from _step(feed, before, after, [*commands.get(feed, ()), *causes.get(before.booking_id or "", ())])
        if lines and lines[0].state != "confirming":
            yield f"{feed} begins with {lines[0].state}", (lines[0].entry,)


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
    if moment(after.entry["at"]) < moment(was["deadline_at"]) - CLOCKS_AGREE_WITHIN:
        yield f"attempt {was['attempt']} of {feed} ended before its time", (before.entry, after.entry)


def standing(witness: Witness, complete: bool) -> Iterator[Finding]:
    """A command that was told where the conversation stands was told what stands on the feed."""
    for operation, answer, lines in _told(witness):
        state, revision = answer["state"], answer["revision"]
        here = [line for line in lines if line.revision == revision]
        is_past = any(line.revision > revision for line in lines)
        if not here and (is_past or complete):
            yield (
                f"{operation.name} was acked as revision {revision} of {operation.feed}, which never was",
                (operation,),
            )
        elif here and here[0].state != state:
            what = f"{operation.name} was acked as {state} in revision {revision} of {operation.feed}"
            yield f"{what}, which was {here[0].state}", (operation, here[0].entry)


def cancels(witness: Witness, complete: bool) -> Iterator[Finding]:
    """A cancel that was acked is the last word about its visit: only another booking goes on from there."""
    for operation, answer, lines in _told(witness):
        if operation.name != "cancel":
            continue
        before = [line for line in lines if line.revision <= answer["revision"]]
        after = [line for line in lines if line.revision > answer["revision"]]
        if before and after and before[-1].state != "cancelled":
            yield (
                f"{operation.client_id} was acked and {operation.feed} was not cancelled",
                (operation, before[-1].entry),
            )
        if after and after[0].state != "confirming":
            yield f"{operation.client_id} was acked and {operation.feed} went on", (operation, after[0].entry)


def _told(witness: Witness) -> Iterator[tuple[Operation, Answer, Sequence[Line]]]:
    """The commands whose ack says where the conversation stands, with the lines of its feed."""
    for feed, operations in by_feed(witness).items():
        told = [(each, each.acked.answer) for each in operations if each.acked is not None and each.acked.answer]
        told = [(operation, answer) for operation, answer in told if "revision" in answer]
        lines = lines_of(witness, feed) if told else []
        for operation, answer in told:
            yield operation, answer, lines
