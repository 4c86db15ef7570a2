"""What must hold of everything that was seen: each check is a function of the witness that yields what is wrong.

They may be asked at any moment: what is known so far is a beginning of every feed, and nothing that is right later is
wrong now. `complete` says that the feeds have been read to their ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from tests.faults.booked import holds, visits
from tests.faults.evidence import Finding
from tests.faults.moved import cancels, moves, standing
from tests.faults.said import acks, order, receipts, retries
from tests.faults.witness import Witness

Check = Callable[[Witness, bool], Iterator[Finding]]

CHECKS: Mapping[str, Check] = {
    check.__name__: check for check in (acks, order, retries, receipts, moves, standing, cancels, holds, visits)
}


def accuse(witness: Witness, complete: bool) -> None:
    """Run every check, and tell the witness what it finds; the first of each is enough."""
    for name, check in CHECKS.items():
        for what, evidence in check(witness, complete):
            witness.accuse(name, what, *(each for each in evidence if each is not None))
            break
