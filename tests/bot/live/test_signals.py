"""Live signals between processes that share one Redis: the beat is called and the clock is moved, nobody sleeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from bot.identity import Audience
from bot.live.presence import NOTHING_SEEN, Rules, Sight
from bot.live.signal_store import Failures, SignalStore
from bot.live.signals import LiveVisit, Signals, Watch, person_of
from bot.messaging.bus import Bus
from bot.runtime.embedded import Servers
from bot.settings.rhythms import PEOPLE
from tests.clients import PATIENCE_S
from tests.clock import FakeClock
from tests.fakes.tcp_proxy import TcpProxy
from tests.rhythms import PATIENT_BUS

VISIT = LiveVisit("c_1", "b_1", "t_1")
GUEST, SARI = person_of("guest", "c_1"), person_of("therapist", "t_1")
RULES = Rules()


class Process:
    """The signals of one process, whose beats a test makes."""

    def __init__(self, bus: Bus, store: SignalStore, clock: FakeClock) -> None:
        self.clock = clock
        self.signals = Signals(store, bus, clock.now, RULES)
        self.told: list[tuple[str, dict[str, Any]]] = []

    def watch(self, side: Audience, told: Sight = NOTHING_SEEN) -> Watch:
        return self.signals.watch(VISIT, side, lambda name, data: self.told.append((name, data)), told)

    def taken(self) -> list[tuple[str, dict[str, Any]]]:
        told, self.told = self.told, []
        return told

    async def beats(self) -> None:
        """What is written after it was read is written by the second one."""
        await self.signals.beat()
        await self.signals.beat()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 12, 1, 12, tzinfo=UTC))


@pytest.fixture
async def redis(servers: Servers) -> AsyncIterator[Redis]:
    client = Redis.from_url(servers.redis_url or "")
    await client.flushall()
    yield client
    await client.aclose()


class Start(Protocol):
    def __call__(self, redis_url: str = ...) -> Process: ...


@pytest.fixture
async def start(servers: Servers, redis: Redis, clock: FakeClock) -> AsyncIterator[Start]:
    """Processes that hear nothing of each other but what stands in the store."""
    rhythm = replace(PEOPLE.signals, exchanged_within_s=PATIENCE_S)  # a beat here must not miss the next one
    async with AsyncExitStack() as ends:

        def begin(redis_url: str = servers.redis_url or "") -> Process:
            store = SignalStore(redis_url, namespace="test", rhythm=rhythm)
            ends.push_async_callback(store.close)
            return Process(Bus(redis_url), store, clock)

        yield begin


def presences(told: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    return [next(iter(data.values())) for name, data in told if name == "presence"]


def move(clock: FakeClock, seconds: float) -> None:
    clock.at += timedelta(seconds=seconds)


async def test_a_guest_sees_the_therapist_come_go_to_the_background_and_leave(start: Start, clock: FakeClock) -> None:
    here, there = start(), start()
    here.watch("guest")
    await here.beats()
    assert presences(here.taken()) == ["offline"]
    tab = there.signals.arrive(SARI)
    await there.beats()
    await here.beats()
    assert here.taken() == [("presence", {"therapist": "online"})]
    tab.set_away(True)
    await there.beats()
    await here.beats()
    assert here.taken() == [("presence", {"therapist": "away"})]
    tab.close()
    await there.beats()
    move(clock, RULES.grace_s - 1)
    await here.beats()
    assert here.taken() == []
    move(clock, 1)
    await here.beats()
    assert here.taken() == [("presence", {"therapist": "offline"})]


async def test_a_process_that_is_killed_and_a_return_within_the_grace_show_nothing(
    start: Start, clock: FakeClock
) -> None:
    here, killed, next_one = start(), start(), start()
    killed.signals.arrive(SARI)
    await killed.beats()
    here.watch("guest")
    await here.beats()
    assert presences(here.taken()) == ["online"]
    for _ in range(5):
        move(clock, RULES.grace_s / 6)
        await here.beats()
    next_one.signals.arrive(SARI)
    await next_one.beats()
    for _ in range(10):
        move(clock, RULES.beat_s)
        await next_one.beats()
        await here.beats()
    assert here.taken() == []


async def test_several_tabs_in_several_processes_are_online_while_any_of_them_is(
    start: Start, clock: FakeClock
) -> None:
    here, there = start(), start()
    here.watch("guest")
    first, second = here.signals.arrive(SARI), there.signals.arrive(SARI, is_away=True)
    await there.beats()
    await here.beats()
    assert presences(here.taken())[-1] == "online"
    first.set_away(True)
    assert presences(here.taken()) == ["away"]
    second.set_away(False)
    await there.beats()
    await here.beats()
    assert presences(here.taken()) == ["online"]


async def test_typing_is_over_six_seconds_after_the_last_word_of_a_client_that_died(
    start: Start, clock: FakeClock
) -> None:
    here, dead = start(), start()
    dead.signals.set_typing("c_1", "guest", True)
    await dead.beats()
    here.watch("therapist")
    await here.beats()
    assert ("typing", {"by": "guest", "on": True}) in here.taken()
    move(clock, RULES.typing_s - 0.001)
    await here.beats()
    assert here.taken() == []
    move(clock, 0.001)
    await here.beats()
    assert here.taken() == [("typing", {"by": "guest", "on": False})]


async def test_the_end_of_typing_and_of_a_grace_is_told_at_its_moment_and_waits_for_no_beat(servers: Servers) -> None:
    url = servers.redis_url or ""
    store = SignalStore(url, namespace="test")
    rules = Rules(typing_s=0.05, grace_s=0.05, beat_s=3600)
    signals = Signals(store, Bus(url), lambda: datetime.now(UTC), rules)
    told: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
    watch = signals.watch(VISIT, "therapist", lambda name, data: told.put_nowait((name, data)))
    tab = signals.arrive(GUEST)
    signals.set_typing("c_1", "guest", True)
    tab.close()
    async with asyncio.timeout(PATIENCE_S):
        heard = [await told.get() for _ in range(4)]
    assert heard[:2] == [("presence", {"guest": "online"}), ("typing", {"by": "guest", "on": True})]
    assert sorted(heard[2:]) == [("presence", {"guest": "offline"}), ("typing", {"by": "guest", "on": False})]
    watch.close()
    await store.close()


async def test_other_processes_hear_at_once_and_read_nothing_for_it(servers: Servers, redis: Redis) -> None:
    url = servers.redis_url or ""
    rules = Rules(beat_s=3600)
    told: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
    async with Bus(url, rhythm=PATIENT_BUS) as our_bus, Bus(url, rhythm=PATIENT_BUS) as their_bus:
        ours = Signals(SignalStore(url, namespace="test"), our_bus, lambda: datetime.now(UTC), rules)
        theirs = Signals(SignalStore(url, namespace="test"), their_bus, lambda: datetime.now(UTC), rules)
        async with ours, theirs, asyncio.timeout(PATIENCE_S):
            ours.watch(VISIT, "therapist", lambda name, data: told.put_nowait((name, data)))
            assert await told.get() == ("presence", {"guest": "offline"})
            while not (our_bus.healthy and their_bus.healthy):  # noqa: ASYNC110 - it has no event
                await asyncio.sleep(0.01)
            theirs.arrive(GUEST)
            assert await told.get() == ("presence", {"guest": "online"})
            theirs.set_typing("c_1", "guest", True)
            theirs.set_delivered("c_1", "guest", 4)
            assert {(await told.get())[0] for _ in range(2)} == {"typing", "delivered"}


async def test_a_process_that_stops_leaves_word_that_its_people_have_just_left(
    servers: Servers, redis: Redis, clock: FakeClock
) -> None:
    url = servers.redis_url or ""
    async with Signals(SignalStore(url, namespace="test"), Bus(url), clock.now, RULES) as signals:
        tab = signals.arrive(SARI)
        async with asyncio.timeout(PATIENCE_S):
            while not await redis.exists("janji:test:signals:therapist:t_1"):  # noqa: ASYNC110 - Redis announces nothing
                await asyncio.sleep(0.01)
        tab.close()
    [mark] = (await redis.hgetall("janji:test:signals:therapist:t_1")).values()
    assert mark.endswith(b" left online")


async def test_receipts_never_go_back_whichever_device_is_behind(start: Start) -> None:
    here, there = start(), start()
    here.watch("therapist")
    here.signals.set_delivered("c_1", "guest", 17)
    there.signals.set_delivered("c_1", "guest", 15)
    await there.beats()
    await here.beats()
    here.signals.set_delivered("c_1", "guest", 16)
    assert [data["seq"] for name, data in here.taken() if name == "delivered"] == [17]
    await there.beats()
    assert there.signals.delivered_to("c_1", "guest") == 15, "nobody watches there, so nothing is read again"
    there.watch("therapist")
    await there.beats()
    assert there.signals.delivered_to("c_1", "guest") == 17


async def test_what_a_process_has_forgotten_is_not_undone_by_what_it_says_later(start: Start, clock: FakeClock) -> None:
    process, other = start(), start()
    process.signals.set_delivered("c_1", "guest", 17)
    await process.beats()
    move(clock, RULES.mark_lives.total_seconds() + 1)
    await process.signals.beat()
    assert len(process.signals) == 0
    process.signals.set_delivered("c_1", "guest", 15)
    await process.beats()
    other.watch("therapist")
    await other.beats()
    assert [data["seq"] for name, data in other.taken() if name == "delivered"] == [17]


async def test_a_flush_shows_nothing_and_the_next_beat_writes_everything_again(
    start: Start, clock: FakeClock, redis: Redis
) -> None:
    here, there, later = start(), start(), start()
    tab = there.signals.arrive(GUEST)
    there.signals.set_delivered("c_1", "guest", 5)
    await there.beats()
    here.watch("therapist")
    await here.beats()
    here.taken()
    await redis.flushall()
    await here.beats()
    assert here.taken() == []
    move(clock, RULES.beat_s)
    await there.beats()
    later.watch("therapist")
    await later.beats()
    assert later.told[-2:] == [("delivered", {"by": "guest", "seq": 5}), ("presence", {"guest": "online"})]
    assert await redis.pttl("janji:test:signals:conversation:c_1") > 0
    tab.close()


async def test_a_beat_of_many_people_is_a_few_round_trips(start: Start, redis: Redis) -> None:
    process = start()
    tabs = [process.signals.arrive(person_of("therapist", f"t_{n}")) for n in range(1000)]
    await process.beats()
    before = await redis.info("stats")
    await process.signals.beat()
    after_it = await redis.info("stats")
    assert after_it["total_reads_processed"] - before["total_reads_processed"] < len(tabs) / 20
    assert await redis.zcard("janji:test:signals:therapists") == len(tabs)


async def test_notes_of_processes_that_are_gone_do_not_gather(start: Start, clock: FakeClock, redis: Redis) -> None:
    for _ in range(5):
        process = start()
        process.signals.arrive(SARI)
        await process.beats()
        move(clock, 2 * RULES.mark_lives.total_seconds() + 1)
    last = start()
    last.signals.arrive(SARI)
    await last.beats()
    assert len(await redis.hgetall("janji:test:signals:therapist:t_1")) == 1


async def test_a_search_knows_who_is_at_their_console_in_any_process(start: Start, clock: FakeClock) -> None:
    here, there = start(), start()
    assert here.signals.is_at_work("t_1") is None, "nobody has looked yet"
    tab = there.signals.arrive(SARI)
    assert there.signals.is_at_work("t_1") is True
    await there.beats()
    await here.beats()
    assert (here.signals.is_at_work("t_1"), here.signals.is_at_work("t_2")) == (True, False)
    tab.close()
    move(clock, RULES.mark_lives.total_seconds())
    await there.beats()
    await here.beats()
    assert (here.signals.is_at_work("t_1"), there.signals.is_at_work("t_1")) == (False, False)
    move(clock, RULES.mark_lives.total_seconds())
    assert here.signals.is_at_work("t_1") is None, "that was too long ago"


# --- without Redis ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def proxied(servers: Servers) -> AsyncIterator[TcpProxy]:
    address = urlsplit(servers.redis_url or "")
    async with TcpProxy(address.hostname or "", address.port or 0) as proxy:
        yield proxy


async def test_without_redis_a_process_knows_its_own_people_and_calls_nobody_offline(
    start: Start, servers: Servers, clock: FakeClock
) -> None:
    async with proxied(servers) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}"
        here, there = start(url), start()
        there.signals.arrive(SARI)
        await there.beats()
        here.watch("guest")
        await here.beats()
        assert presences(here.taken()) == ["online"]
        await proxy.cut()
        move(clock, 10 * RULES.mark_lives.total_seconds())
        with pytest.raises(Failures):
            await here.signals.beat()
        assert here.taken() == [], "whether she is there can't be told"
        here.watch("therapist")
        tab = here.signals.arrive(GUEST)
        here.signals.set_typing("c_1", "guest", True)
        assert here.taken() == [("presence", {"guest": "online"}), ("typing", {"by": "guest", "on": True})]
        tab.close()
        proxy.pass_on()
        await here.beats()
        assert presences(here.taken()) == ["offline"]


async def test_who_comes_in_while_redis_hangs_waits_a_fraction_of_a_second_and_the_next_one_not_at_all(
    servers: Servers, redis: Redis, clock: FakeClock
) -> None:
    async with proxied(servers) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}"
        store = SignalStore(url, namespace="test")
        process = Process(Bus(url), store, clock)
        async with process.signals:
            async with asyncio.timeout(PATIENCE_S):
                await process.signals.sight(VISIT, "guest")
            proxy.freeze()
            move(clock, 1000)
            async with asyncio.timeout(PATIENCE_S):
                assert await process.signals.sight(VISIT, "guest") == NOTHING_SEEN
                process.signals.set_typing("c_1", "guest", True)
                while store.is_well:  # noqa: ASYNC110 - it is the state of another task, which has no event
                    await asyncio.sleep(0.01)
            assert (await process.signals.sight(VISIT, "therapist")).is_typing
