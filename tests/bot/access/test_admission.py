"""Tokens are replaced as they are used and can be ended, and no race, lost answer or outage logs anybody out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.access.admission import GRACE, Access
from bot.access.tokens import LIVES, Tokens
from bot.messaging.bus import Bus
from bot.runtime.embedded import Servers
from bot.settings.rhythms import PEOPLE, AccessRhythm
from bot.store import driver
from bot.store.token_families import USES_KEPT, TokenFamilies
from tests.agreement import eventually
from tests.clock import FakeClock
from tests.house import SECRET
from tests.rhythms import NEVER

START = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)


class Doorman:
    """Access as one process has it, on a clock that stands, and what it was told to forget."""

    def __init__(
        self, database: driver.Database, redis_url: str, clock: FakeClock, rhythm: AccessRhythm = PEOPLE.access
    ) -> None:
        self.clock = clock
        self.tokens = Tokens(SECRET, clock.now)
        self.families = TokenFamilies(database["token_families"])
        self.forgotten: list[str] = []
        self.bus = Bus(redis_url, namespace="access")
        self.access = Access(self.tokens, self.families, self.bus, clock.now, self.forgotten.extend, rhythm)

    def first_token(self) -> str:
        return self.tokens.sign("guest", "c_1")

    async def renewed(self, token: str) -> str:
        """The successor of a token that is good."""
        renewed = await self.access.renew(token)
        assert renewed is not None, "a good token was not taken"
        assert renewed.bearer.subject == "c_1"
        return renewed.token

    async def is_known(self, token: str) -> bool:
        return await self.access.renew(token) is not None


@pytest.fixture
async def database(servers: Servers, database: str) -> AsyncIterator[driver.Database]:
    client = driver.connect("pymongo", servers.mongodb_uri or "")
    try:
        yield driver.read_database(client, database)
    finally:
        await driver.close(client)


@pytest.fixture
def doorman(servers: Servers, database: driver.Database) -> Doorman:
    return Doorman(database, servers.redis_url or "", FakeClock(START))


@pytest.fixture
def other(servers: Servers, doorman: Doorman, database: driver.Database) -> Doorman:
    """The same in another process, which hears nothing on the bus."""
    return Doorman(database, servers.redis_url or "", doorman.clock)


# --- replaced ---------------------------------------------------------------------------------------------------------


async def test_each_use_brings_another_token_for_the_same_conversation(doorman: Doorman) -> None:
    token, seen = doorman.first_token(), set()
    for _ in range(5):
        seen.add(token)
        token = await doorman.renewed(token)
    assert len(seen) == 5
    assert token not in seen


async def test_a_guest_who_never_hears_the_answer_comes_back_with_the_old_token_for_ever(doorman: Doorman) -> None:
    token = doorman.first_token()
    for days in range(0, 89, 11):
        doorman.clock.at = START + timedelta(days=days)
        await doorman.renewed(token)


async def test_an_old_token_opens_nothing_once_its_successor_was_used_and_the_grace_is_over(doorman: Doorman) -> None:
    old = doorman.first_token()
    new = await doorman.renewed(old)
    doorman.clock.at += timedelta(days=1)
    await doorman.renewed(new)
    doorman.clock.at += GRACE - SECOND
    assert await doorman.is_known(old), "another tab may still be on its way with it"
    doorman.clock.at += SECOND
    assert not await doorman.is_known(old)
    assert await doorman.access.bearer_of("guest", old) is None
    assert await doorman.is_known(new), "and who has the new one is not disturbed"


async def test_a_request_without_a_connection_uses_a_token_too(doorman: Doorman) -> None:
    old = doorman.first_token()
    new = await doorman.renewed(old)
    assert await doorman.access.bearer_of("guest", new)
    doorman.clock.at += GRACE
    assert not await doorman.is_known(old)


async def test_tabs_that_reload_together_all_stay_the_same_guest(doorman: Doorman, other: Doorman) -> None:
    shared = doorman.first_token()
    for reload in range(USES_KEPT):
        doorman.clock.at += SECOND
        tabs = [(doorman if tab % 2 else other).renewed(shared) for tab in range(6)]
        slow, shared, *_ = await asyncio.gather(*tabs)
        assert await doorman.is_known(slow), f"reload {reload}"


async def test_what_follows_on_a_late_token_within_the_grace_is_as_new_as_any(doorman: Doorman) -> None:
    late = doorman.first_token()
    newest = await doorman.renewed(await doorman.renewed(late))
    await doorman.renewed(newest)
    after_late = await doorman.renewed(late)
    doorman.clock.at += 2 * GRACE
    assert await doorman.is_known(after_late)


async def test_a_token_that_was_replaced_long_ago_stays_nothing_however_often_its_guest_comes(doorman: Doorman) -> None:
    stolen = doorman.first_token()
    token = await doorman.renewed(stolen)
    doorman.clock.at += timedelta(days=1)
    for uses in range(2 * USES_KEPT):
        token = await doorman.renewed(token)
        assert await doorman.is_known(stolen) == (uses < USES_KEPT), "so many uses within one grace are no race"
    doorman.clock.at += GRACE
    token = await doorman.renewed(token)
    assert not await doorman.is_known(stolen)


async def test_a_process_remembers_only_those_who_came_a_moment_ago(
    servers: Servers, database: driver.Database, doorman: Doorman
) -> None:
    async def come_to(one: Doorman) -> int:
        for number in range(9):
            await one.access.bearer_of("guest", one.tokens.sign("guest", f"c_{number}"))
        return len(one.access)

    assert await come_to(doorman) == 9
    rhythm = replace(PEOPLE.access, known_for_s=1e-6)
    forgetful = Doorman(database, servers.redis_url or "", doorman.clock, rhythm)
    assert await come_to(forgetful) == 1


async def test_what_is_kept_of_a_guest_stays_small_and_goes_when_the_tokens_have_expired(
    doorman: Doorman, database: driver.Database
) -> None:
    token = doorman.first_token()
    for _ in range(USES_KEPT + 3):
        token = await doorman.renewed(token)
    [kept] = await database["token_families"].find({}).to_list(None)
    assert len(kept["uses"]) == USES_KEPT
    assert kept["remove_at"] == START + LIVES["guest"]


# --- ended ------------------------------------------------------------------------------------------------------------


async def test_an_ended_token_opens_nothing_at_once_and_a_new_sign_in_does(doorman: Doorman) -> None:
    token = await doorman.access.sign_in("t_1")
    assert await doorman.access.bearer_of("therapist", token)
    await doorman.access.end("therapist", "t_1")
    assert await doorman.access.bearer_of("therapist", token) is None
    assert await doorman.access.bearer_of("therapist", await doorman.access.sign_in("t_1"))


async def test_no_token_of_an_ended_family_is_good_not_even_the_newest(doorman: Doorman) -> None:
    old = doorman.first_token()
    new = await doorman.renewed(old)
    await doorman.access.end("guest", "c_1")
    assert not await doorman.is_known(new)
    assert not await doorman.is_known(old)
    assert await doorman.is_known(doorman.tokens.sign("guest", "c_2"))


async def test_a_ticket_of_an_ended_token_is_nobodys(doorman: Doorman) -> None:
    bearer = await doorman.access.bearer_of("guest", doorman.first_token())
    assert bearer is not None
    assert await doorman.access.is_good(bearer)
    await doorman.access.end("guest", "c_1")
    assert not await doorman.access.is_good(bearer)


async def test_who_is_connected_by_an_ended_token_is_told_once_and_nobody_else(doorman: Doorman) -> None:
    ended: list[str] = []
    bearer = await doorman.access.bearer_of("therapist", doorman.tokens.sign("therapist", "t_1"))
    assert bearer is not None
    unwatch = doorman.access.watch(bearer, lambda: ended.append("gone already"))
    doorman.access.watch(bearer, lambda: ended.append("ours"))
    unwatch()
    await doorman.access.end("therapist", "t_1")
    later = await doorman.access.bearer_of("therapist", await doorman.access.sign_in("t_1"))
    assert later is not None
    doorman.access.watch(later, lambda: ended.append("signed in again"))
    await doorman.access.end("therapist", "t_2")
    assert ended == ["ours"]


@pytest.mark.parametrize("is_bus_up", [True, False])
async def test_another_process_hears_of_it_with_and_without_the_bus(
    servers: Servers, database: driver.Database, doorman: Doorman, is_bus_up: bool
) -> None:
    rhythm = replace(PEOPLE.access, look_every_s=NEVER if is_bus_up else (0.02, 0.03))
    other = Doorman(database, servers.redis_url or "", doorman.clock, rhythm)
    ended = asyncio.Event()
    bearer = await other.access.bearer_of("guest", doorman.first_token())
    assert bearer is not None
    other.access.watch(bearer, ended.set)

    async def has_heard() -> None:
        assert set(other.forgotten) == {"conversation:c_1"}

    async with AsyncExitStack() as stack:
        if is_bus_up:
            await stack.enter_async_context(other.bus)
            await stack.enter_async_context(doorman.bus)
            await eventually(lambda: is_healthy(doorman.bus, other.bus))
        following = asyncio.create_task(other.access.follow())
        stack.callback(following.cancel)
        await doorman.access.end("guest", "c_1")
        await doorman.access.tell_changed("guest", "c_1", ["conversation:c_1"])
        await eventually(has_heard)
    assert ended.is_set()
    assert await other.access.bearer_of("guest", doorman.first_token()) is None


async def is_healthy(*buses: Bus) -> None:
    assert all(bus.healthy for bus in buses)
