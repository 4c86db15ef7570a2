"""Buckets in Redis bound what all processes give together, and a process decides alone when Redis does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis.asyncio
from redis.asyncio import Redis

from bot.access.limits import SCOPES, Asker, Kind, RateLimits, network_of, rate_of
from bot.errors import Refusal
from bot.runtime.embedded import Servers
from bot.schemas.commands import COMMANDS, counts_as
from bot.settings.rates import Rate
from bot.settings.rhythms import PEOPLE, Rhythms
from bot.settings.settings import Settings
from tests.clients import PATIENCE_S
from tests.fakes.tcp_proxy import TcpProxy
from tests.house import SECRET
from tests.rhythms import paced

ASKER = Asker("203.0.113.7", "c_somebody", "+6281234567890")
EVERY_RATE = [f"limit_{kind}_per_{scope}" for kind, scopes in SCOPES.items() for scope in scopes]
# A deadline of correctness: what Redis may cost before this process decides, and slack for a busy machine.
DECIDED_WITHIN_S = 0.5


# Redis is there, and is given the time that it needs on a busy machine.
PATIENT = paced(limits={"taken_within_s": PATIENCE_S})


@pytest.fixture
async def courier(servers: Servers) -> AsyncIterator[Redis]:
    async with redis.asyncio.from_url(servers.redis_url) as connection:
        await connection.flushall()
        yield connection


@asynccontextmanager
async def limits_at(
    redis_url: str, namespace: str = "test", *, rhythms: Rhythms = PATIENT, **rates: str
) -> AsyncIterator[RateLimits]:
    """The limits of one process; rates that are not named are too high to matter."""
    settings = Settings(secret=SECRET, rhythms=rhythms, **{**dict.fromkeys(EVERY_RATE, "1000/h:1000"), **rates})
    async with RateLimits(settings, redis_url, namespace=namespace) as limits:
        yield limits


@pytest.fixture
async def proxy(servers: Servers, courier: Redis) -> AsyncIterator[TcpProxy]:
    host, port = str(servers.redis_url).removeprefix("redis://").partition("/")[0].split(":")
    async with TcpProxy(host, int(port)) as line:
        yield line


async def taken(limits: RateLimits, kind: Kind = "connects", asker: Asker = ASKER) -> bool:
    try:
        await limits.take(kind, asker)
    except Refusal as refusal:
        return refusal.code != "too_many_requests"
    return True


def spent(limits: RateLimits, kind: Kind = "messages", asker: Asker = ASKER) -> bool:
    try:
        limits.spend(kind, asker)
    except Refusal:
        return False
    return True


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110  # what is settled in Redis has no event of ours
            await asyncio.sleep(0.01)


# --- all processes together -------------------------------------------------------------------------------------------


async def test_fifty_at_once_over_two_processes_never_get_more_than_the_burst(servers: Servers, courier: Redis) -> None:
    url = str(servers.redis_url)
    rates = {"limit_connects_per_token": "1/h:7"}
    async with limits_at(url, **rates) as one, limits_at(url, **rates) as other:
        takers = [taken((one, other)[number % 2]) for number in range(50)]
        assert sum(await asyncio.gather(*takers)) == 7
        assert one.refused["connects"] + other.refused["connects"] == 43
        assert one.decided_alone == other.decided_alone == 0


async def test_either_all_buckets_of_an_asker_give_a_token_or_none(servers: Servers, courier: Redis) -> None:
    rates = {"limit_connects_per_token": "1/h:1", "limit_connects_per_address": "1/h:3"}
    async with limits_at(str(servers.redis_url), **rates) as limits:
        mine = [await taken(limits) for _ in range(10)]
        neighbours = [await taken(limits, asker=Asker(ASKER.address, f"c_{number}")) for number in range(3)]
        assert mine == [True] + [False] * 9
        assert neighbours == [True, True, False]


async def test_who_is_refused_elsewhere_is_told_when_to_come_again(servers: Servers, courier: Redis) -> None:
    url = str(servers.redis_url)
    rates = {"limit_codes_per_phone": "1/h:1"}
    async with limits_at(url, **rates) as one, limits_at(url, **rates) as other:
        assert await taken(one, "codes")
        with pytest.raises(Refusal) as caught:
            await other.take("codes", ASKER)
        assert caught.value.message == "Too many codes were asked for. Please try again later."
        assert caught.value.retry_after_s == pytest.approx(3600, abs=60)


async def test_a_token_comes_back_with_the_time_of_redis(servers: Servers, courier: Redis) -> None:
    async with limits_at(str(servers.redis_url), limit_codes_per_phone="1/h:2") as one:
        assert [await taken(one, "codes") for _ in range(3)] == [True, True, False]
    (key,) = [key async for key in courier.scan_iter("*:codes:phone:*")]
    an_hour_later = int(await courier.get(key)) - 3600 * 1_000_000
    await courier.set(key, an_hour_later)
    async with limits_at(str(servers.redis_url), limit_codes_per_phone="1/h:2") as restarted:
        assert [await taken(restarted, "codes") for _ in range(2)] == [True, False]


async def test_a_bucket_is_kept_no_longer_than_it_takes_to_fill(servers: Servers, courier: Redis) -> None:
    rates = {"limit_connects_per_token": "1/m:5", "limit_connects_per_address": "1/s:5"}
    async with limits_at(str(servers.redis_url), **rates) as limits:
        assert [await taken(limits) for _ in range(2)] == [True, True]
    lives = {key.decode().split(":")[4]: await courier.pttl(key) async for key in courier.scan_iter("janji:limits:*")}
    assert 60_000 < lives["token"] <= 120_000
    assert 0 < lives["address"] <= 2_000


async def test_a_clock_that_is_far_behind_locks_nobody_out(servers: Servers, courier: Redis) -> None:
    """As after a failover to a server whose clock is wrong: what was stored lies years ahead of its time."""
    rates = {"limit_connects_per_token": "10/s:2"}
    async with limits_at(str(servers.redis_url), **rates) as limits:
        assert await taken(limits)
        (key,) = [key async for key in courier.scan_iter("*:connects:token:*")]
        await courier.set(key, 4_000_000_000_000_000)
        with pytest.raises(Refusal) as caught:
            await limits.take("connects", ASKER)
        assert caught.value.retry_after_s is not None
        assert caught.value.retry_after_s <= 0.4


async def test_installations_that_share_a_redis_do_not_share_buckets(servers: Servers, courier: Redis) -> None:
    url, rates = str(servers.redis_url), {"limit_connects_per_token": "1/h:1"}
    async with limits_at(url, "one", **rates) as one, limits_at(url, "other", **rates) as other:
        assert [await taken(one), await taken(one), await taken(other)] == [True, False, True]


async def test_nobody_learns_from_redis_who_asked(servers: Servers, courier: Redis) -> None:
    async with limits_at(str(servers.redis_url), **dict.fromkeys(EVERY_RATE, "1/h:10")) as limits:
        assert await taken(limits, "guesses")
        assert await taken(limits, "connects")
    keys = b" ".join([key async for key in courier.scan_iter("*")]).decode()
    assert keys.count("janji:limits:") == 5
    assert not any(part in keys for part in (ASKER.address, ASKER.subject, ASKER.phone))


async def test_what_is_not_known_of_an_asker_is_not_counted(servers: Servers, courier: Redis) -> None:
    rates = {"limit_connects_per_token": "1/h:1", "limit_connects_per_address": "1/h:3"}
    async with limits_at(str(servers.redis_url), **rates) as limits:
        assert [await taken(limits, asker=Asker(ASKER.address)) for _ in range(4)] == [True, True, True, False]


# --- what is spent at once and settled later --------------------------------------------------------------------------


async def test_spending_asks_nobody_and_the_other_process_hears_of_it(servers: Servers, courier: Redis) -> None:
    url, rates = str(servers.redis_url), {"limit_messages_per_token": "1/h:5"}
    async with limits_at(url, **rates) as one, limits_at(url, **rates) as other:
        assert [spent(one) for _ in range(6)] == [True] * 5 + [False]
        await until(lambda: one.settled > 0)
        assert spent(other)
        await until(lambda: other.settled > 0)
        # What both gave beyond the burst is a debt: the next token comes when it is paid.
        with pytest.raises(Refusal) as caught:
            other.spend("messages", ASKER)
        assert caught.value.retry_after_s == pytest.approx(2 * 3600, abs=60)


async def test_what_is_spent_while_it_is_settled_is_counted_too(servers: Servers, courier: Redis) -> None:
    url, rates = str(servers.redis_url), {"limit_messages_per_token": "1/h:1000"}
    async with limits_at(url, **rates) as one, limits_at(url, **rates) as other:
        for _ in range(30):
            assert all(spent((one, other)[number % 2]) for number in range(10))
            await asyncio.sleep(0.02)
        pattern, span_us = "*:messages:token:*", Rate.parse("1/h:1000").interval_us * 300

        async def has_all() -> bool:
            (key,) = [key async for key in courier.scan_iter(pattern)]
            seconds, rest = await courier.time()
            return int(await courier.get(key)) - (seconds * 1_000_000 + rest) > span_us - 60_000_000

        async with asyncio.timeout(PATIENCE_S):
            while not await has_all():  # noqa: ASYNC110  # what is settled in Redis has no event of ours
                await asyncio.sleep(0.01)


async def test_an_idle_process_says_nothing_to_redis(servers: Servers, courier: Redis) -> None:
    before = await courier.info("clients")
    async with limits_at(str(servers.redis_url)):
        await asyncio.sleep(0.05)
        assert (await courier.info("clients"))["connected_clients"] == before["connected_clients"]


# --- without Redis ----------------------------------------------------------------------------------------------------


async def took(decision: Any) -> tuple[float, Any]:
    loop = asyncio.get_running_loop()
    started_at = loop.time()
    verdict = await decision
    return loop.time() - started_at, verdict


@pytest.mark.timed
@pytest.mark.parametrize("fault", ["frozen", "answers lost", "cut", "slow"])
async def test_without_redis_each_process_decides_at_once_by_buckets_of_the_same_size(
    proxy: TcpProxy, fault: str
) -> None:
    async with limits_at(
        f"redis://127.0.0.1:{proxy.port}/0", rhythms=PEOPLE, limit_connects_per_token="1/h:5"
    ) as limits:
        assert await taken(limits)
        match fault:
            case "frozen":
                proxy.freeze()
            case "answers lost":
                proxy.lose_answers()
            case "cut":
                await proxy.cut()
            case "slow":
                proxy.delay(0.4)
        decisions = [await took(taken(limits)) for _ in range(10)]
        assert [verdict for _, verdict in decisions] == [True] * 4 + [False] * 6
        assert max(seconds for seconds, _ in decisions) < DECIDED_WITHIN_S
        assert limits.is_alone
        assert limits.decided_alone >= 4
        neighbour = Asker("198.51.100.1", "c_neighbour")
        assert await taken(limits, asker=neighbour), "an outage blocks nobody"
        assert spent(limits)


@pytest.mark.timed
async def test_a_redis_that_never_was_there_costs_nobody_more_than_a_moment() -> None:
    async with limits_at("redis://127.0.0.1:1/0", rhythms=PEOPLE, limit_connects_per_token="1/h:2") as limits:
        seconds, verdicts = await took(asyncio.gather(*(taken(limits) for _ in range(50))))
        assert sum(verdicts) == 2
        assert seconds < DECIDED_WITHIN_S


async def test_when_redis_is_back_it_decides_again(proxy: TcpProxy, courier: Redis) -> None:
    async with limits_at(f"redis://127.0.0.1:{proxy.port}/0") as limits:
        await proxy.cut()
        assert await taken(limits)
        proxy.pass_on()
        await until(lambda: not limits.is_alone)
        alone = limits.decided_alone
        assert await taken(limits)
        assert (limits.decided_alone, limits.is_alone) == (alone, False)
        assert [key async for key in courier.scan_iter("*:connects:token:*")]


async def test_scripts_that_redis_forgot_are_told_again(servers: Servers, courier: Redis) -> None:
    async with limits_at(str(servers.redis_url)) as limits:
        assert await taken(limits)
        await courier.script_flush()
        assert await taken(limits), "decided alone"
        await until(lambda: not limits.is_alone)
        alone = limits.decided_alone
        assert await taken(limits)
        assert limits.decided_alone == alone


async def test_what_redis_forgot_this_process_still_knows(servers: Servers, courier: Redis) -> None:
    async with limits_at(str(servers.redis_url), limit_codes_per_phone="1/h:2") as limits:
        assert [await taken(limits, "codes") for _ in range(2)] == [True, True]
        await courier.flushall()
        assert not await taken(limits, "codes")


async def test_limits_end_while_redis_hangs(proxy: TcpProxy) -> None:
    async with asyncio.timeout(PATIENCE_S):
        async with limits_at(f"redis://127.0.0.1:{proxy.port}/0", rhythms=PEOPLE) as limits:
            assert await taken(limits)
            proxy.freeze()
            assert spent(limits)
            assert await taken(limits)


# --- whose buckets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
    ],
)
def test_one_home_is_one_address_however_many_it_may_choose_from(address: str, network: str) -> None:
    assert network_of(address) == network


def test_every_command_has_buckets_and_messages_and_signals_their_own() -> None:
    kinds = {name: counts_as(audience, name) for audience, rows in COMMANDS.items() for name in rows}
    assert kinds["message"] == "messages"
    assert {kinds["book"], kinds["cancel"], kinds["accept_offer"]} == {"commands"}
    assert {kinds[name] for name in ("typing", "presence", "delivered", "read")} == {"signals"}
    assert counts_as("guest", "unheard of") == "commands"


def test_every_bucket_has_a_setting_and_a_stranger_cannot_use_up_what_a_number_has() -> None:
    settings = Settings()
    rates = {(kind, scope): rate_of(settings, kind, scope) for kind, scopes in SCOPES.items() for scope in scopes}
    assert all(isinstance(rate, Rate) for rate in rates.values())
    for kind in ("codes", "guesses"):
        pair, number = rates[kind, "phone_and_address"], rates[kind, "phone"]
        assert pair.burst < number.burst
        assert pair.per_s < number.per_s
