"""Checks of what people said: every message that was acked stands once, as it was said, and in its order."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from tests.faults.evidence import Finding, by_feed
from tests.faults.witness import Entry, Operation, Witness


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
                known = said.get((feed, data["client_id"]))
                if known is None or (known.payload["text"], known.audience) != (data["text"], data["from"]):
                    yield f"{data['client_id']} on {feed} was never said like this", (entry, known)


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


def receipts(witness: Witness, complete: bool) -> Iterator[Finding]:
    """Each receipt on a feed says more than the one before it of that side, and none that was acked is missing."""
    said: dict[tuple[str, str], Entry] = {}
    for feed in witness.conversations():
        for entry in witness.run_of(feed):
            if entry["type"] != "read":
                continue
            by, seq = entry["data"]["by"], entry["data"]["seq"]
            before = said.get((feed, by))
            if seq >= entry["seq"] or (before is not None and seq <= before["data"]["seq"]):
                yield f"the {by} of {feed} has read {seq}, which is no news", (before, entry)
            said[feed, by] = entry
    for receipt in witness.receipts if complete else ():
        stands = said.get((receipt.feed, receipt.by))
        messages = (entry for entry in witness.run_of(receipt.feed)[: receipt.seq] if entry["type"] == "message")
        read = max((entry["seq"] for entry in messages if entry["data"]["from"] != receipt.by), default=0)
        if read > (stands["data"]["seq"] if stands else 0):
            yield f"the {receipt.by} of {receipt.feed} has read {receipt.seq}, and that was forgotten", (stands,)


def _sorted(answer: Any) -> list[tuple[str, Any]]:
    return sorted((answer or {}).items())
