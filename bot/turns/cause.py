"""Why something is performed: the record that wants it, the effect's own id, and the road to other records."""

from __future__ import annotations

from dataclasses import dataclass

from bot.store.kinds import RecordName
from bot.turns.turns import Take


@dataclass(frozen=True, slots=True)
class Cause:
    """`effect_id` is the idempotency key of whatever the effect creates."""

    record: RecordName
    record_id: str
    effect_id: str
    take: Take
