"""What is due becomes jobs: one for a few rows, and one for each part of many; together they deliver everything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from bot.messaging.jobs import Jobs
from bot.runtime.embedded import Servers
from bot.store.notifications import PARTS
from tests.workers.offices import Office, office_of
from workers.dispatch import A_FEW, Dispatch


class Asked:
    """Stands where jobs are asked for: what each would be called with."""

    def __init__(self) -> None:
        self.jobs: list[tuple[Any, ...]] = []

    async def enqueue(self, queue: str, function: str, job_id: str, *args: Any) -> bool:
        if function == "workers.jobs.deliver":
            self.jobs.append(args)
        return True


@pytest.fixture
async def office(servers: Servers, database: str, tmp_path: Path) -> AsyncIterator[Office]:
    async with office_of(servers, database, tmp_path) as running:
        yield running


async def jobs_for(office: Office) -> list[tuple[Any, ...]]:
    asked, services = Asked(), office.services
    dispatch = Dispatch(
        services.notifications,
        services.announcements,
        cast(Jobs, asked),
        services.heartbeats,
        services.clock.now,
        every_s=1.0,
    )
    await dispatch.once()
    return asked.jobs


async def test_a_few_rows_are_one_job_for_each_queue(office: Office) -> None:
    rows = [await office.write(occasion=str(number)) for number in range(8)]
    urgent = await office.write(occasion="urgent", urgency="urgent")
    jobs = await jobs_for(office)
    assert jobs == [("critical", None), ("notify", None)]
    for queue, part in jobs:
        await office.post.drain(queue, part)
    assert {(await office.row(each)).status for each in (*rows, urgent)} == {"sent"}


async def test_of_many_rows_each_part_is_a_job(office: Office) -> None:
    for number in range(A_FEW + 1):
        await office.write(occasion=str(number))
    jobs = await jobs_for(office)
    assert jobs == [("notify", part) for part in range(PARTS)]
    for queue, part in jobs:
        await office.post.drain(queue, part)
    assert len(office.twilio.messages) == A_FEW + 1
    assert await jobs_for(office) == []
