"""A request with a key is done once: by one attempt at a time, and by the next one where that one has died."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from bot.runtime.embedded import Servers
from bot.store import driver
from bot.store.idempotency import ANSWERS_LIVE, Answered, Begun, Different, Idempotency, UnderWay

NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
LEASE = timedelta(seconds=20)
SECOND = timedelta(seconds=1)
ANSWER = {"notifications": []}


@pytest.fixture
async def requests(servers: Servers, database: str) -> AsyncIterator[Idempotency]:
    client = driver.connect("pymongo", servers.mongodb_uri or "")
    try:
        yield Idempotency(driver.read_database(client, database)["idempotency"])
    finally:
        await driver.close(client)


async def begun(requests: Idempotency, at: datetime = NOW, digest: str = "d") -> Begun:
    attempt = await requests.begin("r", digest, at, LEASE)
    assert isinstance(attempt, Begun)
    return attempt


async def test_of_many_at_once_one_begins_and_the_others_hear_that_it_is_under_way(requests: Idempotency) -> None:
    attempts = await asyncio.gather(*(requests.begin("r", "d", NOW, LEASE) for _ in range(10)))
    assert Counter(type(each) for each in attempts) == {Begun: 1, UnderWay: 9}
    assert {each.seconds_left for each in attempts if isinstance(each, UnderWay)} == {20.0}


async def test_what_was_answered_is_answered_again_for_a_day(requests: Idempotency) -> None:
    await requests.finish(await begun(requests), 200, ANSWER)
    assert await requests.begin("r", "d", NOW + ANSWERS_LIVE - SECOND, LEASE) == Answered(200, ANSWER)
    assert await requests.begin("r", "other", NOW + SECOND, LEASE) == Different()
    await begun(requests, NOW + ANSWERS_LIVE, digest="other")


async def test_another_body_is_refused_while_the_first_is_under_way_and_when_its_process_has_died(
    requests: Idempotency,
) -> None:
    await begun(requests)
    assert await requests.begin("r", "other", NOW, LEASE) == Different()
    assert await requests.begin("r", "other", NOW + LEASE, LEASE) == Different()


async def test_an_attempt_that_died_holds_its_key_no_longer_than_its_lease(requests: Idempotency) -> None:
    dead = await begun(requests)
    assert await requests.begin("r", "d", NOW + LEASE - SECOND, LEASE) == UnderWay(1.0)
    second = await begun(requests, NOW + LEASE)
    await requests.finish(dead, 200, {"late": True})
    assert isinstance(await requests.begin("r", "d", NOW + LEASE, LEASE), UnderWay), "it is not its request any more"
    await requests.give_up(dead)
    await requests.finish(second, 200, ANSWER)
    assert await requests.begin("r", "d", NOW + LEASE, LEASE) == Answered(200, ANSWER)


async def test_a_request_that_was_given_up_leaves_its_key_free(requests: Idempotency) -> None:
    await requests.give_up(await begun(requests))
    await begun(requests, digest="other")
