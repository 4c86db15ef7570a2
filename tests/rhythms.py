"""The pace of tests: pauses and looks are short, patience is long enough for a busy machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bot.settings.rhythms import PEOPLE, Range, Rhythms
from tests.clients import PATIENCE_S

# For what must not come to help, and for what must not lose patience.
NEVER_S = 3600.0
NEVER: Range = (NEVER_S, NEVER_S)
# A machine that stands still for some seconds is no outage of Redis, and costs no hint.
PATIENT_BUS = replace(
    PEOPLE.bus,
    **dict.fromkeys(("publish_within_s", "read_for_s", "ping_every_s", "silent_at_most_s"), PATIENCE_S),
)


def paced(base: Rhythms = PEOPLE, **groups: Mapping[str, Any]) -> Rhythms:
    """Another pace in some rooms: `paced(bus={"ping_every_s": 0.5})`."""
    return replace(base, **{name: replace(getattr(base, name), **fields) for name, fields in groups.items()})


SWIFT = paced(
    bus={"reconnect_after_s": 0.05},
    feeds={"pause_after_failure_s": 0.05},
    turns={"again_after_outage_s": 0.2, "again_after_postponed_s": 2.0, "answer_look_every_s": 0.02},
    limits={"away_for_s": 0.25, "settle_every_s": 0.1},
    access={"look_every_s": (0.5, 0.7)},
    signals={"pause_after_failure_s": 0.1},
    streams={"read_again_after_s": 0.2},
    jobs={"ask_again_after_s": 0.2},
    vitals={"kept_for_s": 0.1},
    ending={"returns_spread_over_s": 0.5},
    pages={"probe_every_s": 2.0, "offline_after_s": 4.0},
    workers={"code_again_after_s": (0.0, 0.0), "come_back_after_s": 0.1},
)
