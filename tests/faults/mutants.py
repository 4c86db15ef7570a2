"""Janji with one guard taken out, to show that the checker sees what the guard is for.

Nothing in the program knows of this: a mutant is made in the process that starts all others, after the imports.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.faults import guards


@dataclass(frozen=True, slots=True)
class Mutant:
    """`take_out` removes the guard; `indexes` are dropped, as keys by collection; `checks` are the ones that see it.

    `faults` are the kinds that help most to reach what the guard is for; none are all of them.
    """

    name: str
    guard: str
    take_out: Callable[[], None]
    checks: tuple[str, ...]
    faults: tuple[str, ...] = ()
    races: float = 0.12
    indexes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    async def drop_indexes(self, database: Any) -> None:
        for collection, keys in self.indexes.items():
            known = await database[collection].index_information()
            wanted = [name for name, index in known.items() if [key for key, _ in index["key"]] == list(keys)]
            assert wanted, f"{collection} has no index {list(keys)}"
            for name in wanted:
                await database[collection].drop_index(name)


_KILLS = ("kill_web", "kill_all_webs")
_BUS = ("kill_valkey", "cut_bus")
# Where several buttons at once are all that is needed, faults would only be in the way.
_CALM = ("flush_valkey",)
_OFTEN = 0.7

_ALL = (
    Mutant(
        name="version",
        guard="the version in the save of a record",
        take_out=guards.no_version_check,
        checks=("moves", "standing", "cancels", "agreement"),
        faults=_CALM,
        races=_OFTEN,
    ),
    Mutant(
        name="answers",
        guard="the answers that a record keeps",
        take_out=guards.no_known_answers,
        checks=("retries",),
    ),
    Mutant(
        name="save-first",
        guard="effects are performed after the save",
        take_out=guards.effects_before_save,
        checks=("moves", "standing", "agreement"),
        faults=_CALM,
        races=_OFTEN,
    ),
    Mutant(
        name="outbox",
        guard="effects are saved in the record that wants them",
        take_out=guards.outbox_in_memory,
        checks=("moves", "standing", "rest", "agreement"),
        faults=_KILLS,
    ),
    Mutant(
        name="rings",
        guard="a ring looks whether the moment has come",
        take_out=guards.rings_unchecked,
        checks=("moves",),
    ),
    Mutant(
        name="sweep",
        guard="the sweep",
        take_out=guards.no_sweep,
        checks=("rest", "agreement"),
        faults=_KILLS,
    ),
    Mutant(
        name="hold",
        guard="the condition of the hold",
        take_out=guards.no_hold_condition,
        checks=("holds", "commits"),
    ),
    Mutant(
        name="slot",
        guard="the unique index on slots (and no hold before it)",
        take_out=guards.no_holds_at_all,
        checks=("visits",),
        indexes={"reservations": ("therapist_id", "cells")},
    ),
    Mutant(
        name="feed-seq",
        guard="the unique index on (feed, seq)",
        take_out=guards.nothing,
        checks=("same for all", "acks"),
        indexes={"entries": ("feed", "seq")},
    ),
    Mutant(
        name="client-id",
        guard="the id of a message follows from its sender and their client_id",
        take_out=guards.random_message_ids,
        checks=("retries",),
    ),
    Mutant(
        name="receipts",
        guard="the id of a receipt follows from the one before it",
        take_out=guards.random_receipt_ids,
        checks=("receipts",),
    ),
    Mutant(
        name="ack-first",
        guard="the ack comes after the write",
        take_out=guards.ack_before_write,
        checks=("acks",),
        faults=("kill_mongo_and_web", "kill_web"),
    ),
    Mutant(
        name="contiguity",
        guard="a reader is handed a contiguous run",
        take_out=guards.no_contiguity,
        checks=("readers",),
        faults=_BUS,
    ),
    Mutant(
        name="gap",
        guard="a head that jumps is looked into",
        take_out=guards.no_gap_noticed,
        checks=("readers",),
        faults=_BUS,
    ),
    Mutant(
        name="cursor",
        guard="who comes back goes on from the cursor",
        take_out=guards.no_cursor,
        checks=("readers",),
    ),
    Mutant(
        name="look",
        guard="the safety look at the heads",
        take_out=guards.no_safety_look,
        checks=("quiet rooms",),
        faults=("quiet",),
    ),
)
MUTANTS: Mapping[str, Mutant] = {mutant.name: mutant for mutant in _ALL}
