"""Nonsense on every transport is answered with clear errors, changes nothing and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

from bot.embedded import Servers
from tests.fuzz import campaign

# The same cases each time, so that a change of the code alone can turn this red; `make fuzz` draws others.
SEED = 20_261
CASES = 3_000


async def test_nonsense_on_every_transport_is_refused_and_leaves_nothing_behind(
    servers: Servers, database: str, tmp_path: Path
) -> None:
    report = await campaign.run(servers, database, tmp_path, count=CASES, seed=SEED)
    assert not report.breaches, "\n".join([str(report), *report.breaches[:5]])
    assert report.wrong > CASES / 2
    assert {"ok", "invalid", "unauthorized", "not_found", "not_now", "too_large", "closed"} <= set(report.told)
