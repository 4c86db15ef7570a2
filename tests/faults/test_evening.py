"""One short evening on every run of the tests, with the same faults every time; `make faults` plays longer ones."""

from __future__ import annotations

import asyncio
import sys
from itertools import pairwise

import pytest

from bot.runtime.dependants import die_with_parent
from tests.faults.schedule import KINDS, QUIET, schedule
from tests.project import ROOT

pytestmark = pytest.mark.slow

SEED = "1507"
WITHIN_S = 36.0
HANGS_S = 100.0


async def test_nothing_is_lost_doubled_or_forgotten_while_servers_and_processes_die() -> None:
    arguments = ["--seed", SEED, "--seconds", "17", "--within", str(WITHIN_S), "--at-most", str(HANGS_S)]
    playing = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.faults", *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        preexec_fn=die_with_parent if sys.platform == "linux" else None,
    )
    said, _ = await playing.communicate()
    assert playing.returncode == 0, said.decode()[-20_000:]


def test_a_seed_gives_the_same_faults_again() -> None:
    assert schedule("7", 120, 3) == schedule("7", 120, 3)
    assert schedule("7", 120, 3) != schedule("8", 120, 3)


def test_every_kind_of_fault_comes_in_a_long_evening_and_none_where_none_is_wanted() -> None:
    assert {fault.kind for fault in schedule("1", 1_500, 3)} == {*KINDS, QUIET}
    assert schedule("1", 300, 3, ["none"]) == []


def test_faults_come_one_after_the_other() -> None:
    faults = schedule("1", 300, 3)
    assert all(one.at_s + one.lasts_s <= other.at_s for one, other in pairwise(faults))
