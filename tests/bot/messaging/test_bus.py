"""Hints reach the other processes in order, hold nobody up, and come back after any failure of Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis
from redis.asyncio.client import PubSub

from bot.messaging.bus import CHANNEL, LARGEST_BATCH, MOST_WAITING, SENDER_BYTES, Bus
from bot.runtime.embedded import Servers
from bot.settings.rhythms import BusRhythm
from bot.store.driver import decode_documents, encode_document
from tests.clients import PATIENCE_S
from tests.fakes.tcp_proxy import TcpProxy
from tests.rhythms import NEVER_S, PATIENT_BUS

MANY = 500


class Process:
    """A bus, and what it was told."""

    def __init__(self, redis_url: str, rhythm: BusRhythm) -> None:
        self.bus = Bus(redis_url, rhythm=rhythm)
        self.heard: list[int] = []
        self._news = asyncio.Event()
        self.bus.on("number", self._hear)

    def _hear(self, document: Mapping[str, Any]) -> None:
        self.heard.append(document["n"])
        self._news.set()

    def say(self, *numbers: int) -> None:
        for n in numbers:
            self.bus.publish("number", {"n": n})

    async def until_heard(self, n: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while n not in self.heard:
                self._news.clear()
                await self._news.wait()


async def until(condition: Callable[[], bool]) -> None:
    """For what nobody announces."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - it is the state of another task, which has no event
            await asyncio.sleep(0.01)


async def hears_again(listener: Process, speaker: Process) -> None:
    """The other connection of either may still be the dead one: it costs a hint, and then it is replaced."""

    def is_heard() -> bool:
        speaker.say(len(listener.heard))
        return bool(listener.heard)

    listener.heard.clear()
    await until(is_heard)


@asynccontextmanager
async def process(
    redis_url: str, rhythm: BusRhythm = PATIENT_BUS, *, is_connected: bool = True
) -> AsyncIterator[Process]:
    started = Process(redis_url, rhythm)
    async with started.bus:
        if is_connected:
            # With its greeting sent: one that is on its way would be what an outage meets, and not what a test says.
            await until(lambda: started.bus.healthy and not started.bus._greets and not started.bus.owed_s)
        yield started


@pytest.fixture
def redis_url(servers: Servers) -> str:
    assert servers.redis_url is not None
    return servers.redis_url


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[TcpProxy]:
    parts = urlsplit(redis_url)
    async with TcpProxy(parts.hostname or "", parts.port or 0) as listening:
        yield listening


@pytest.fixture
def proxy_url(proxy: TcpProxy, redis_url: str) -> str:
    return urlsplit(redis_url)._replace(netloc=f"127.0.0.1:{proxy.port}").geturl()


# Limits that a test can wait for.
IMPATIENT = BusRhythm(
    publish_within_s=0.5, read_for_s=0.2, ping_every_s=0.1, silent_at_most_s=0.6, reconnect_after_s=0.02
)
# Who speaks although nobody listens.
TALKATIVE = replace(PATIENT_BUS, alone_for_s=0.0)


async def test_hints_reach_the_other_processes_in_order_and_not_oneself(redis_url: str) -> None:
    async with process(redis_url) as one, process(redis_url) as two, process(redis_url) as three:
        one.say(*range(MANY))
        for other in (two, three):
            await other.until_heard(MANY - 1)
            assert other.heard == list(range(MANY))
        two.say(MANY)
        await one.until_heard(MANY)
        await three.until_heard(MANY)
        assert one.heard == [MANY]
        assert (two.bus.received, three.bus.received) == (MANY, MANY + 1)


async def test_who_is_alone_says_nothing_until_another_process_is_there(redis_url: str) -> None:
    rhythm = replace(PATIENT_BUS, alone_for_s=NEVER_S)  # so that nobody but the newcomer can end it
    async with process(redis_url, rhythm) as one:
        await until(lambda: one.bus.is_alone)
        one.say(*range(MANY))
        assert one.bus.waiting == 0
        async with process(redis_url, rhythm) as two:
            await until(lambda: not one.bus.is_alone)
            one.say(MANY)
            await two.until_heard(MANY)
            assert two.heard == [MANY]
    assert one.bus.dropped == 0


async def test_who_was_alone_asks_again_after_a_while(redis_url: str) -> None:
    """Where the newcomer's word was lost."""
    rhythm = replace(PATIENT_BUS, alone_for_s=0.1)
    async with process(redis_url, rhythm) as one, Redis.from_url(redis_url) as redis, redis.pubsub() as quiet:
        await until(lambda: one.bus.is_alone)
        await quiet.subscribe(CHANNEL)
        await until_spoken_on(one, quiet)


async def test_who_begins_to_listen_while_they_speak_does_not_take_another_for_themselves(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One listener was counted, the other process, and by then they listened themselves: they fell silent."""
    rhythm = replace(PATIENT_BUS, alone_for_s=NEVER_S)
    async with process(redis_url, rhythm) as one:
        with monkeypatch.context() as late:
            subscribe, publish = PubSub.subscribe, Redis.publish
            is_counted = asyncio.Event()

            async def subscribe_later(pubsub: PubSub, channel: str) -> None:
                await is_counted.wait()
                await subscribe(pubsub, channel)

            async def answer_later(redis: Redis, channel: str, message: bytes) -> int:
                listeners = int(await publish(redis, channel, message))
                is_counted.set()
                await until(lambda: two.bus.healthy)
                return listeners

            late.setattr(PubSub, "subscribe", subscribe_later)
            late.setattr(Redis, "publish", answer_later)
            async with process(redis_url, rhythm, is_connected=False) as two:
                two.say(1)
                await one.until_heard(1)
                await until(lambda: two.bus.published == 1)
                two.say(2)
                await one.until_heard(2)


async def until_spoken_on(speaker: Process, channel: Any) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            speaker.say(1)
            message = await channel.get_message(ignore_subscribe_messages=True, timeout=0.05)
            if message is not None:
                assert b"number" in message["data"]
                return


async def test_a_process_on_another_database_is_not_heard(redis_url: str) -> None:
    """One Redis for two databases: what was said in the one was read in the other, whose feed got a hole by it."""
    heard: list[Mapping[str, Any]] = []
    async with (
        Bus(redis_url, namespace="one", rhythm=TALKATIVE) as one,
        Bus(redis_url, namespace="other", rhythm=TALKATIVE) as other,
        Bus(redis_url, rhythm=TALKATIVE) as old,
    ):
        one.on("word", heard.append)
        await until(lambda: one.healthy and other.healthy and old.healthy)
        for stranger in (other, old):
            stranger.publish("word", {"by": "a stranger"})
        await until(lambda: other.published == old.published == 1)
        async with Bus(redis_url, namespace="one", rhythm=TALKATIVE) as friend:
            friend.publish("word", {"by": "a friend"})
            await until(lambda: bool(heard))
    assert heard == [{"by": "a friend"}]


async def test_a_kind_that_a_process_does_not_know_is_nothing_to_it(redis_url: str) -> None:
    async with process(redis_url) as one, process(redis_url) as two:
        one.bus.publish("something newer", {"n": 1})
        one.say(2)
        await two.until_heard(2)
        assert two.heard == [2]


async def batches_until(channel: Any, n: int) -> list[list[Mapping[str, Any]]]:
    """The documents that were published on the channel, message by message, up to the one with the number."""
    batches: list[list[Mapping[str, Any]]] = []
    async with asyncio.timeout(PATIENCE_S):
        async for message in channel.listen():
            if message["type"] == "message":
                batches.append(list(decode_documents(message["data"][SENDER_BYTES:])))
                if batches[-1][-1] == {"n": n}:
                    break
    return batches


async def test_what_has_gathered_goes_out_in_few_batches_of_bounded_size(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis, redis.pubsub() as channel:
        await channel.subscribe(CHANNEL)
        async with process(redis_url) as one, process(redis_url) as two:
            one.say(*range(MANY))
            one.bus.publish("large", {"text": "x" * (LARGEST_BATCH - 1000)})
            one.bus.publish("large", {"text": "x" * (LARGEST_BATCH + 1000)})
            one.say(MANY)
            await two.until_heard(MANY)
        batches = [batch for batch in await batches_until(channel, MANY) if batch != [{"kind": "hello"}, {}]]
    assert len(batches) == 4
    assert [said["n"] for said in batches[0][1::2]] == list(range(MANY))
    sizes = [sum(len(encode_document(document)) for document in batch) for batch in batches]
    assert sizes[0] <= LARGEST_BATCH
    assert sizes[1] <= LARGEST_BATCH
    assert sizes[2] > LARGEST_BATCH, "what is larger than a batch goes alone"


async def test_redis_that_comes_later_is_used_without_a_restart(
    proxy: TcpProxy, proxy_url: str, redis_url: str
) -> None:
    await proxy.cut()
    async with process(proxy_url, IMPATIENT, is_connected=False) as one, process(redis_url, IMPATIENT) as two:
        tries = proxy.accepted
        one.say(1)
        await until(lambda: proxy.accepted > tries + 2)
        assert not one.bus.healthy
        proxy.pass_on()
        await until(lambda: one.bus.healthy)
        one.say(2)
        await two.until_heard(2)
        two.say(3)
        await one.until_heard(3)
        assert two.heard == [1, 2]


async def test_redis_that_went_away_and_came_back_is_used_again(proxy: TcpProxy, proxy_url: str) -> None:
    async with process(proxy_url, IMPATIENT) as one, process(proxy_url, IMPATIENT) as two:
        await proxy.cut()
        await until(lambda: not (one.bus.healthy or two.bus.healthy))
        proxy.pass_on()
        await until(lambda: one.bus.healthy and two.bus.healthy)
        await hears_again(two, one)
        await hears_again(one, two)


@pytest.mark.parametrize("somebody_publishes", [True, False])
async def test_a_connection_that_is_half_open_is_noticed_and_replaced(
    proxy: TcpProxy, proxy_url: str, redis_url: str, somebody_publishes: bool
) -> None:
    async with process(proxy_url, IMPATIENT) as one, process(redis_url, IMPATIENT) as two:
        proxy.freeze()
        if somebody_publishes:
            one.say(1)
        await until(lambda: not one.bus.healthy)
        proxy.pass_on()
        await until(lambda: one.bus.healthy)
        await hears_again(two, one)
        await hears_again(one, two)
        assert one.bus.healthy


async def test_health_comes_back_although_nobody_publishes(proxy: TcpProxy, proxy_url: str) -> None:
    """A failure to publish was remembered until there was something to publish again."""
    async with process(proxy_url, replace(IMPATIENT, alone_for_s=0.0)) as one:
        proxy.freeze()
        one.say(1)
        await until(lambda: one.bus.dropped == 1)
        proxy.pass_on()
        await until(lambda: one.bus.healthy)
        assert one.bus.published == 0


async def test_a_quiet_connection_is_kept(proxy: TcpProxy, proxy_url: str) -> None:
    """Nobody says anything for twice as long as silence is allowed, except for the answers to the pings."""
    # Longer than a busy machine stands still.
    rhythm = replace(IMPATIENT, publish_within_s=PATIENCE_S, silent_at_most_s=2.0)
    async with process(proxy_url, rhythm) as one, process(proxy_url, rhythm) as two:
        connections = proxy.accepted
        await asyncio.sleep(rhythm.silent_at_most_s * 2)
        assert proxy.accepted == connections
        one.say(1)
        await two.until_heard(1)


async def test_publishing_waits_for_nobody_and_the_oldest_hints_go_when_too_many_wait(
    proxy: TcpProxy, proxy_url: str, redis_url: str
) -> None:
    async with process(proxy_url, TALKATIVE) as one, process(redis_url, TALKATIVE) as two:
        one.say(*range(MOST_WAITING + 7))  # nothing is awaited in between, so nothing goes out
        assert one.bus.dropped == 7
        await two.until_heard(MOST_WAITING + 6)
        assert two.heard == list(range(7, MOST_WAITING + 7))
        await until(lambda: one.bus.published == MOST_WAITING)


async def test_what_could_not_be_said_is_counted(proxy: TcpProxy, proxy_url: str) -> None:
    async with process(proxy_url, replace(IMPATIENT, alone_for_s=0.0)) as one:
        proxy.freeze()
        one.say(*range(10))
        await until(lambda: one.bus.dropped == 10)
        assert one.bus.published == 0


async def test_nonsense_on_the_channel_and_a_handler_that_fails_leave_the_bus_listening(redis_url: str) -> None:
    """Either ended the listening for ever, and nobody noticed."""

    def fail(document: Mapping[str, Any]) -> None:
        raise KeyError("seq")

    async with process(redis_url) as one, process(redis_url) as two, Redis.from_url(redis_url) as redis:
        two.bus.on("hard", fail)
        await redis.publish(CHANNEL, b"this is not a document")
        one.bus.publish("hard", {})
        await until(lambda: two.bus.received == 1)
        one.say(1)
        await two.until_heard(1)
        assert two.bus.healthy


async def test_a_bus_stops_at_once_while_redis_is_half_open(proxy: TcpProxy, proxy_url: str) -> None:
    # Whoever waited for Redis would wait until the test fails.
    rhythm = replace(PATIENT_BUS, publish_within_s=NEVER_S)
    async with asyncio.timeout(PATIENCE_S), process(proxy_url, rhythm) as one:
        proxy.freeze()
        one.say(1)
        await asyncio.sleep(0)
