"""Which faults come when: a seed and a length give a schedule, the same one every time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

# Some calm at first, in which everybody comes in.
CALM_S = 2.0


@dataclass(frozen=True, slots=True)
class Fault:
    """`kind` names a method of the nemesis; `target` is the number of a web process; `lasts_s` how long it holds."""

    at_s: float
    kind: str
    target: int = 0
    lasts_s: float = 0.0

    def __str__(self) -> str:
        return f"{self.at_s:6.1f} s  {self.kind} {self.target}, {self.lasts_s:.1f} s"


@dataclass(frozen=True, slots=True)
class Kind:
    """How often a fault is drawn, and how long it lasts at least and at most."""

    weight: int
    shortest_s: float
    longest_s: float


KINDS = {
    "kill_web": Kind(6, 0.0, 1.0),
    "stop_web": Kind(3, 0.0, 0.5),
    "pause_web": Kind(2, 0.5, 2.5),
    "kill_all_webs": Kind(1, 0.0, 0.5),
    "kill_workers": Kind(1, 0.0, 1.0),
    "stop_workers": Kind(1, 0.0, 1.0),
    "kill_valkey": Kind(3, 0.2, 2.5),
    "stop_valkey": Kind(1, 0.2, 2.0),
    "flush_valkey": Kind(1, 0.0, 0.0),
    "kill_mongo": Kind(3, 0.0, 0.5),
    "stop_mongo": Kind(1, 0.0, 0.5),
    "kill_mongo_and_web": Kind(2, 0.0, 0.5),
    "cut_clients": Kind(3, 0.0, 1.0),
    "delay_clients": Kind(2, 0.5, 2.0),
    "freeze_clients": Kind(2, 0.5, 2.0),
    "lose_answers": Kind(2, 0.3, 1.0),
    "cut_mongo": Kind(1, 0.2, 1.5),
    "delay_mongo": Kind(2, 0.5, 2.0),
    "freeze_mongo": Kind(1, 0.5, 2.0),
    "cut_bus": Kind(1, 0.5, 2.5),
    "freeze_bus": Kind(2, 0.5, 3.0),
}
QUIET = "quiet"
# A quiet room is judged while nothing else happens.
QUIET_LASTS_S = 9.0
FIRST_QUIET_AT_S = 5.0
QUIET_EVERY_S = 40.0
PAUSES_S = (0.3, 2.5)


def schedule(seed: str, seconds: float, webs: int, only: Sequence[str] = ()) -> list[Fault]:
    """Faults one after the other over so many seconds; `only` these kinds, where any are named."""
    return list(_draw(Random(f"{seed}:faults"), seconds, webs, only))


def _draw(chance: Random, seconds: float, webs: int, only: Sequence[str]) -> Iterator[Fault]:
    at_s, was_quiet_at = CALM_S, -QUIET_EVERY_S
    names = [name for name in KINDS if not only or name in only]
    weights = [KINDS[name].weight for name in names]
    may_be_quiet = not only or QUIET in only
    while at_s < seconds:
        is_time = at_s > FIRST_QUIET_AT_S and at_s - was_quiet_at > (QUIET_EVERY_S if names else 0.0)
        if may_be_quiet and is_time and at_s + QUIET_LASTS_S < seconds:
            was_quiet_at = at_s
            yield Fault(round(at_s, 2), QUIET, 0, QUIET_LASTS_S)
            at_s += QUIET_LASTS_S
            continue
        if not names:
            at_s += 1.0
            continue
        (name,) = chance.choices(names, weights)
        kind = KINDS[name]
        lasts_s = round(chance.uniform(kind.shortest_s, kind.longest_s), 2)
        yield Fault(round(at_s, 2), name, chance.randrange(webs), lasts_s)
        at_s += lasts_s + chance.uniform(*PAUSES_S)
