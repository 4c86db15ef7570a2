"""`python -m tests.faults`: one run; with `--mutant`, of Janji without one of its guards; with `--mutants`, of each."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from pathlib import Path
from random import SystemRandom

import structlog

from bot.runtime.ending import run
from tests.faults import soak
from tests.faults.evening import Plan, Verdict, history_file, play
from tests.faults.hanging import give_up_after
from tests.faults.mutants import MUTANTS, Mutant

SECONDS = 300.0
# How long a mutant may live before the checker counts as blind to it.
MUTANT_LIVES_S = 60.0


def say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def report(verdict: Verdict, artefacts: Path) -> None:
    say("", *(f"{name:>14}: {figure}" for name, figure in verdict.figures.items()))
    for violation in verdict.violations:
        say("", str(violation))
    if verdict.violations:
        file = history_file(artefacts, verdict.plan)
        verdict.witness.write(file)
        say("", f"{len(verdict.violations)} violations; the history is in {file}")
    else:
        say("", "nothing was lost, doubled, out of order, booked twice or forgotten")


async def played(plan: Plan, at_most_s: float | None) -> Verdict:
    if at_most_s is not None:
        give_up_after(at_most_s)
    return await play(plan)


def run_once(plan: Plan, artefacts: Path, at_most_s: float | None) -> int:
    say(f"seed {plan.seed}, {plan.seconds:.0f} s, {plan.guests} guests at a time, {plan.webs} web processes")
    say(*(str(fault) for fault in plan.schedule))
    verdict = run(played(plan, at_most_s))
    report(verdict, artefacts)
    return 1 if verdict.violations else 0


def run_mutants(seed: str, names: list[str]) -> int:
    """The table of the guards: which check sees that one is missing, and after how many seconds."""
    survivors = []
    for name in names:
        mutant = MUTANTS[name]
        began = time.monotonic()
        verdict = run(play(plan_for(mutant, seed, MUTANT_LIVES_S)))
        took_s = time.monotonic() - began
        seen = [violation for violation in verdict.violations if violation.check in mutant.checks]
        if seen:
            say(f"| {mutant.guard} | `{name}` | {seen[0].check} | {seen[0].at:.0f} s | {seen[0].what} |")
        else:
            survivors.append(name)
            say(f"| {mutant.guard} | `{name}` | nothing in {took_s:.0f} s | | |")
    return 1 if survivors else 0


def plan_for(mutant: Mutant, seed: str, seconds: float) -> Plan:
    return Plan(seed, seconds, guests=10, races=mutant.races, mutant=mutant, faults=mutant.faults)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", default="", help="the same seed makes the same choices again")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--guests", type=int, default=8)
    parser.add_argument("--within", type=float, help="seconds for everything, start and settling included")
    parser.add_argument("--soak", action="store_true", help="half an hour of two hundred clients, and what grows")
    parser.add_argument("--at-most", type=float, help="seconds after which it gives up, and says where it hung")
    parser.add_argument("--only", default="", help="kinds of faults, with commas between them")
    parser.add_argument("--artefacts", type=Path, default=Path("artefacts"), help="where a history is left")
    parser.add_argument("--mutant", choices=tuple(MUTANTS))
    parser.add_argument("--mutants", nargs="*", metavar="NAME")
    chosen = parser.parse_args(arguments)
    logging.getLogger("engineio.client").setLevel(logging.CRITICAL)  # a connection that breaks is no news here
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    seed = chosen.seed or str(SystemRandom().randrange(10**6))
    seconds = chosen.seconds or SECONDS
    if chosen.mutants is not None:
        return run_mutants(seed, chosen.mutants or list(MUTANTS))
    if chosen.mutant:
        return run_once(plan_for(MUTANTS[chosen.mutant], seed, seconds), chosen.artefacts, chosen.at_most)
    faults = tuple(filter(None, chosen.only.split(",")))
    plan = Plan(seed, seconds, chosen.within, guests=chosen.guests, faults=faults)
    if chosen.soak:
        people = {"guests": soak.GUESTS, "therapists": soak.THERAPISTS, "pairs": soak.PAIRS}
        plan = Plan(seed, chosen.seconds or soak.SECONDS, **people, is_soak=True)
    return run_once(plan, chosen.artefacts, chosen.at_most)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
