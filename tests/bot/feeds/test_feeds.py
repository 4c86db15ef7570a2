"""Nothing said is lost: feeds are gap-free, written once and read whole, whoever writes and whatever fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
import structlog

from bot.errors import Outage
from bot.feeds.feed import ContentDiffers, NewEntry
from bot.feeds.feeds import PAGE, Feeds
from bot.messaging.bus import Bus
from bot.runtime.embedded import Servers
from bot.settings.rhythms import PEOPLE, FeedsRhythm
from bot.store import driver
from bot.store.driver import Database
from bot.store.entries import Entries, Entry
from tests.clients import PATIENCE_S
from tests.fakes.tcp_proxy import TcpProxy
from tests.rhythms import NEVER, PATIENT_BUS

NOW = datetime(2026, 12, 1, 3, 0, 0, 123_000, tzinfo=UTC)
FEED = "conversation:c_1"
# Nobody listens there, and nobody ever will.
NO_REDIS = "redis://127.0.0.1:1/0"
AT_ONCE = 20


class Reader:
    """Somebody who follows a feed and keeps what they are given."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._news = asyncio.Event()

    def __call__(self, entries: Sequence[Entry]) -> None:
        self.entries.extend(entries)
        self._news.set()

    @property
    def numbers(self) -> list[int]:
        return [entry.seq for entry in self.entries]

    async def until(self, seq: int) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not self.entries or self.entries[-1].seq < seq:
                self._news.clear()
                await self._news.wait()


async def until(condition: Callable[[], bool]) -> None:
    """For what nobody announces."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 - it is the state of another task, which has no event
            await asyncio.sleep(0.01)


@pytest.fixture(params=["motor", "pymongo"])
def driver_name(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
async def store(driver_name: driver.DriverName, servers: Servers, database: str) -> AsyncIterator[Database]:
    client = driver.connect(driver_name, servers.mongodb_uri or "")
    try:
        yield driver.read_database(client, database)
    finally:
        await driver.close(client)


@pytest.fixture(autouse=True)
async def nothing_fails_unseen() -> AsyncIterator[None]:
    """A task that ended with an error which nobody has looked at is an error of the test."""
    unseen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    yield
    assert unseen == []


# No safety look comes to help, or one does soon.
NO_LOOKS = replace(PEOPLE.feeds, look_every_s=NEVER)
FREQUENT_LOOKS = replace(PEOPLE.feeds, look_every_s=(0.02, 0.03))


@asynccontextmanager
async def process(
    store: Database, redis_url: str | None = NO_REDIS, rhythm: FeedsRhythm = PEOPLE.feeds, **more: Any
) -> AsyncIterator[Feeds]:
    """The feeds of one web process; several of them know of each other what real ones would."""
    bus = Bus(redis_url or "", rhythm=PATIENT_BUS)
    async with bus, Feeds(Entries(store["entries"]), bus, lambda: NOW, rhythm, **more) as feeds:
        if redis_url != NO_REDIS:
            await until(lambda: bus.healthy)
        yield feeds


@asynccontextmanager
async def proxy_to(url: str | None) -> AsyncIterator[tuple[TcpProxy, str]]:
    """A proxy in front of the server, and the server's address by way of it."""
    parts = urlsplit(url or "")
    assert parts.hostname, "the fixture has started the server"
    assert parts.port, "the fixture has started the server"
    async with TcpProxy(parts.hostname, parts.port) as proxy:
        yield proxy, parts._replace(netloc=f"127.0.0.1:{proxy.port}").geturl()


@dataclass(slots=True)
class Shaky:
    """The database by way of a proxy."""

    store: Database
    proxy: TcpProxy


@pytest.fixture
async def shaky(driver_name: driver.DriverName, servers: Servers, database: str) -> AsyncIterator[Shaky]:
    async with proxy_to(servers.mongodb_uri) as (proxy, uri):
        client = driver.connect(driver_name, uri, timeout_s=0.4)
        try:
            yield Shaky(driver.read_database(client, database), proxy)
        finally:
            await proxy.cut()  # a driver that closes says goodbye, and waits 10 s for a server that is frozen
            await driver.close(client)


async def say(feeds: Feeds, entry_id: str, text: str = "", *, feed: str = FEED, **more: Any) -> Entry:
    return await feeds.append(feed, entry_id, "message", {"text": text or entry_id}, **more)


async def say_many(feeds: Feeds, *entry_ids: str, feed: str = FEED) -> list[Entry]:
    return await feeds.append_many(feed, [NewEntry(entry_id, "message", {"text": entry_id}) for entry_id in entry_ids])


async def standing(store: Database, feed: str = FEED) -> list[tuple[int, str]]:
    """What the collection itself holds of the feed: numbers and ids."""
    found = store["entries"].find({"feed": feed}).sort("seq", 1)
    return [(document["seq"], document["_id"]) async for document in found]


# --- written once -----------------------------------------------------------------------------------------------------


async def test_the_same_entry_sent_at_once_through_two_processes_is_written_once(store: Database) -> None:
    async with process(store) as one, process(store) as two:
        entries = await asyncio.gather(*(say((one, two)[n % 2], "e_1") for n in range(AT_ONCE)))
        assert {(entry.id, entry.seq) for entry in entries} == {("e_1", 1)}
        assert await standing(store) == [(1, "e_1")]


async def test_an_id_that_was_used_for_something_else_is_refused(store: Database) -> None:
    async with process(store) as one, process(store) as two:
        first = await say(one, "e_1", "yes", is_said=True)
        for feeds in (one, two):
            with pytest.raises(ContentDiffers):
                await say(feeds, "e_1", "no", is_said=True)
            assert (await say(feeds, "e_1", "yes", is_said=True)).seq == first.seq
        assert await standing(store) == [(1, "e_1")]


async def test_what_was_redacted_meanwhile_was_said_all_the_same(store: Database) -> None:
    async with process(store) as feeds:
        first = await say(feeds, "e_1", "yes", is_said=True)
        await store["entries"].update_one({"_id": "e_1"}, {"$set": {"data": {"redacted": True}}})
        assert (await say(feeds, "e_1", "yes", is_said=True)).seq == first.seq


async def test_an_effect_that_is_performed_again_gets_the_first_entry_whatever_it_says(store: Database) -> None:
    async with process(store) as feeds:
        first = await say(feeds, "e_1", "yes")
        assert (await say(feeds, "e_1", "no")).data == first.data


async def test_two_contents_at_once_under_one_id_have_one_winner(store: Database) -> None:
    async with process(store) as one, process(store) as two:
        outcomes = await asyncio.gather(
            *(say((one, two)[n % 2], "e_1", str(n), is_said=True) for n in range(AT_ONCE)),
            return_exceptions=True,
        )
        assert sum(isinstance(outcome, Entry) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, ContentDiffers) for outcome in outcomes) == AT_ONCE - 1


async def test_what_is_posted_at_once_is_written_in_order_and_answered_by_its_futures(store: Database) -> None:
    async with process(store) as feeds:
        posts = [feeds.post(FEED, NewEntry(f"e_{n}", "message", {"n": n})) for n in range(AT_ONCE)]
        assert [(await post).seq for post in posts] == list(range(1, AT_ONCE + 1))


async def test_a_post_under_an_id_that_said_something_else_fails(store: Database) -> None:
    async with process(store) as feeds:
        first = feeds.post(FEED, NewEntry("e_1", "message", {"text": "yes"}, is_said=True))
        other = feeds.post(FEED, NewEntry("e_1", "message", {"text": "no"}, is_said=True))
        assert (await first).data == {"text": "yes"}
        with pytest.raises(ContentDiffers):
            await other


async def test_a_post_that_cannot_be_written_fails_in_time_and_is_not_written_later(shaky: Shaky) -> None:
    async with process(shaky.store, rhythm=replace(PEOPLE.feeds, write_within_s=0.2)) as feeds:
        await feeds.append(FEED, "e_1", "message", {}, within_s=PATIENCE_S)
        shaky.proxy.freeze()
        under_way, behind = (feeds.post(FEED, NewEntry(f"e_{n}", "message", {})) for n in (2, 3))
        for post in (under_way, behind):
            with pytest.raises(Outage):
                await post
        shaky.proxy.pass_on()
        await feeds.append(FEED, "e_4", "message", {}, within_s=PATIENCE_S)
        assert "e_3" not in [entry_id for _, entry_id in await standing(shaky.store)]


async def test_when_too_much_waits_more_is_refused_at_once_and_taken_again_afterwards(store: Database) -> None:
    async with process(store, most_waiting=3) as feeds:
        posts = [feeds.post(FEED, NewEntry(f"e_{n}", "message", {})) for n in range(3)]
        with pytest.raises(Outage):
            feeds.post(FEED, NewEntry("e_3", "message", {}))
        feeds.post(FEED, NewEntry("e_2", "message", {}))  # the same once more is nothing more
        await asyncio.gather(*posts)
        assert (await feeds.append(FEED, "e_3", "message", {})).seq == 4


# --- without a gap ----------------------------------------------------------------------------------------------------


async def test_a_hot_feed_of_three_processes_has_no_gap_and_nobody_misses_anything(
    store: Database, servers: Servers
) -> None:
    writers, each = 24, 6
    total = writers * each

    async def write(feeds: Feeds, writer: int) -> None:
        for n in range(each):
            await say(feeds, f"e_{writer}_{n}")

    async def read_by_cursor(feeds: Feeds) -> list[Entry]:
        entries: list[Entry] = []
        while len(entries) < total:
            entries += await feeds.since(FEED, entries[-1].seq if entries else 0)
        return entries

    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(process(store, servers.redis_url)) for _ in range(3)]
        followers = [Reader() for _ in processes]
        for feeds, follower in zip(processes, followers, strict=True):
            feeds.follow(FEED, 0, follower)
        async with asyncio.timeout(PATIENCE_S):
            by_cursor = asyncio.gather(*(read_by_cursor(feeds) for feeds in processes))
            await asyncio.gather(*(write(processes[writer % 3], writer) for writer in range(writers)))
            for follower in followers:
                await follower.until(total)
            readings = [*(follower.entries for follower in followers), *await by_cursor]

    truth = await standing(store)
    assert [seq for seq, _ in truth] == list(range(1, total + 1))
    for reading in readings:
        assert [(entry.seq, entry.id) for entry in reading] == truth
    for writer in range(writers):
        mine = [entry_id for _, entry_id in truth if entry_id.startswith(f"e_{writer}_")]
        assert mine == [f"e_{writer}_{n}" for n in range(each)]


async def test_a_duplicate_in_the_middle_of_a_batch_leaves_no_hole(store: Database) -> None:
    async with process(store) as one, process(store) as two:
        await say(two, "known")
        # The first is in flight at once, and the others gather behind it to one batch.
        entries = await asyncio.gather(*(say(one, name) for name in ("first", "a", "b", "known", "c", "d")))
        assert [entry.seq for entry in entries] == [2, 3, 4, 1, 5, 6]
        assert [seq for seq, _ in await standing(store)] == [1, 2, 3, 4, 5, 6]


async def test_a_swarm_of_duplicates_costs_a_batch_or_two_and_not_one_each(store: Database) -> None:
    names = [f"known {number}" for number in range(AT_ONCE)]
    feeds_of = {name: f"conversation:c_{number % 7}" for number, name in enumerate(names)}
    async with process(store) as one, process(store) as two:
        first = await asyncio.gather(*(say(one, name, feed=feed) for name, feed in feeds_of.items()))
        again = await asyncio.gather(*(say(two, name, feed=feed) for name, feed in feeds_of.items()))
        assert [(entry.id, entry.seq) for entry in again] == [(entry.id, entry.seq) for entry in first]
        assert two.batches <= 3
        assert two.written == 0


@pytest.mark.parametrize("is_read", [True, False])
async def test_feeds_that_went_on_elsewhere_cost_a_batch_or_two_and_not_one_each(
    store: Database, is_read: bool
) -> None:
    """As after Redis was away: what was written elsewhere is not known here."""
    names = [f"conversation:c_{number}" for number in range(AT_ONCE)]
    readers = {name: Reader() for name in names}
    async with process(store, rhythm=NO_LOOKS) as here, process(store, rhythm=NO_LOOKS) as elsewhere:
        await asyncio.gather(*(say(here, f"{name} 1", feed=name) for name in names))
        for name in names if is_read else ():
            here.follow(name, 1, readers[name])
        await asyncio.gather(*(say_many(elsewhere, f"{name} 2", f"{name} 3", feed=name) for name in names))
        before = here.batches
        entries = await asyncio.gather(*(say(here, f"{name} 4", feed=name) for name in names))
        assert [entry.seq for entry in entries] == [4] * AT_ONCE
        assert here.batches - before <= 4
        for name in names if is_read else ():
            assert readers[name].numbers == [2, 3, 4]


async def test_numbers_that_another_process_took_meanwhile_are_not_taken_twice(store: Database) -> None:
    async with process(store) as one, process(store) as two:
        await say(one, "a")
        await say_many(two, "b", "c")
        written = await say_many(one, "d", "e", "f")
        assert [entry.seq for entry in written] == [4, 5, 6]
        assert await standing(store) == list(enumerate("abcdef", 1))


async def test_a_feed_that_met_a_duplicate_does_not_hold_up_the_others_of_its_batch(store: Database) -> None:
    others = [f"conversation:c_{n}" for n in range(2, 8)]
    async with process(store) as one, process(store) as two:
        await say(one, "known")
        await asyncio.gather(
            say(two, "lane 1", feed="lane 1"),
            say(two, "lane 2", feed="lane 2"),  # both lanes are taken, the rest goes together
            say(two, "known"),
            *(say_many(two, f"{feed} a", f"{feed} b", feed=feed) for feed in others),
        )
        for feed in others:
            assert await standing(store, feed) == [(1, f"{feed} a"), (2, f"{feed} b")]


async def test_entries_that_are_appended_together_stay_together_and_in_order(store: Database) -> None:
    async with process(store) as feeds:
        before = [asyncio.create_task(say(feeds, f"before {n}")) for n in range(AT_ONCE)]
        together = asyncio.create_task(say_many(feeds, "x", "y", "z"))
        after = [asyncio.create_task(say(feeds, f"after {n}")) for n in range(AT_ONCE)]
        await asyncio.gather(*before, *after)
        x, y, z = await together
        assert [x.id, y.id, z.id] == ["x", "y", "z"]
        assert [x.seq, y.seq, z.seq] == [x.seq, x.seq + 1, x.seq + 2]


async def test_a_run_that_is_read_stops_before_a_hole(store: Database) -> None:
    async def put(*numbers: int) -> None:
        for seq in numbers:
            entry = Entry(f"e_{seq}", FEED, seq, NOW, "message", {})
            await store["entries"].insert_one(entry.as_document())

    await put(1, 2, 4, 5)
    async with process(store) as feeds:
        assert [entry.seq for entry in await feeds.since(FEED, 0)] == [1, 2]
        assert await feeds.since(FEED, 2) == []
        assert [entry.seq for entry in await feeds.since(FEED, 3)] == [4, 5]
        reader = Reader()
        feeds.follow(FEED, 0, reader)
        await reader.until(2)
        await put(3)
        await reader.until(5)
        assert reader.numbers == [1, 2, 3, 4, 5]


async def test_a_cursor_that_nobody_gave_out_gives_no_number(store: Database) -> None:
    async with process(store) as feeds:
        following = feeds.follow(FEED, 999, Reader())
        await until(lambda: following.is_live)
        assert (await say(feeds, "e_1")).seq == 1


# --- read whole, live or later ----------------------------------------------------------------------------------------


async def test_without_redis_a_follower_elsewhere_gets_the_entry_by_the_safety_look(store: Database) -> None:
    async with process(store, rhythm=FREQUENT_LOOKS) as here, process(store, rhythm=FREQUENT_LOOKS) as elsewhere:
        reader = Reader()
        following = elsewhere.follow(FEED, 0, reader)
        await until(lambda: following.is_live)
        await say_many(here, "a", "b")
        await reader.until(2)
        assert reader.numbers == [1, 2]


async def test_an_entry_that_makes_no_sense_holds_up_its_own_feed_alone(store: Database) -> None:
    async with process(store, rhythm=FREQUENT_LOOKS) as here, process(store, rhythm=FREQUENT_LOOKS) as elsewhere:
        reader = Reader()
        followings = [elsewhere.follow(FEED, 0, reader), elsewhere.follow("broken", 0, Reader())]
        await until(lambda: all(following.is_live for following in followings))
        with structlog.testing.capture_logs() as lines:
            await store["entries"].insert_one({"_id": "senseless", "feed": "broken", "seq": 1})
            await until(lambda: any(line["log_level"] == "error" for line in lines))
            await say_many(here, "a", "b")
            await reader.until(2)
        assert reader.numbers == [1, 2]
        assert {line["feed"] for line in lines if line["log_level"] == "error"} == {"broken"}


async def test_a_look_that_meets_a_fault_of_ours_is_told_of_and_the_next_one_comes(
    store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(feeds: Feeds) -> None:
        raise KeyError("a bug of ours")

    async with process(store, rhythm=FREQUENT_LOOKS) as here, process(store, rhythm=FREQUENT_LOOKS) as elsewhere:
        reader = Reader()
        following = elsewhere.follow(FEED, 0, reader)
        await until(lambda: following.is_live)
        with structlog.testing.capture_logs() as lines, monkeypatch.context() as broken:
            broken.setattr(Feeds, "_look", fail)
            await until(lambda: any(line["log_level"] == "error" for line in lines))
        await say_many(here, "a", "b")
        await reader.until(2)
        assert reader.numbers == [1, 2]


async def test_a_follower_who_is_behind_catches_up_in_pages_and_then_is_live(store: Database, servers: Servers) -> None:
    many = 2 * PAGE + 50
    async with (
        process(store, servers.redis_url, rhythm=NO_LOOKS) as here,
        process(store, servers.redis_url, rhythm=NO_LOOKS) as elsewhere,
    ):
        await say_many(here, *(f"e_{n}" for n in range(many)))
        reader = Reader()
        following = elsewhere.follow(FEED, 3, reader)
        await until(lambda: following.is_live)
        await say(here, "news")
        await reader.until(many + 1)
        assert reader.numbers == list(range(4, many + 2))
        assert reader.entries[-1].id == "news"


async def test_a_hint_with_a_gap_makes_the_process_read_what_is_missing(store: Database, servers: Servers) -> None:
    async with (
        process(store, rhythm=NO_LOOKS) as deaf,
        process(store, servers.redis_url, rhythm=NO_LOOKS) as elsewhere,
    ):
        async with Bus(servers.redis_url or "", rhythm=PATIENT_BUS) as bus:
            reader = Reader()
            following = elsewhere.follow(FEED, 0, reader)
            await until(lambda: following.is_live)
            written = await say_many(deaf, "a", "b", "c")
            assert reader.entries == []
            bus.publish("entry", written[-1].as_document())
            await reader.until(3)
        assert [entry.id for entry in reader.entries] == ["a", "b", "c"]


async def test_a_hint_that_comes_while_what_is_missing_is_read_makes_the_process_read_again(
    store: Database, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it told of was seen at the next look, a second later."""
    asked, answered = asyncio.Event(), asyncio.Event()
    async with (
        process(store, rhythm=NO_LOOKS) as deaf,
        process(store, servers.redis_url, rhythm=NO_LOOKS) as elsewhere,
        Bus(servers.redis_url or "", rhythm=PATIENT_BUS) as bus,
    ):
        reader = Reader()
        following = elsewhere.follow(FEED, 0, reader)
        await until(lambda: following.is_live)
        ask = elsewhere._heads._read

        async def be_answered_late(feeds: Sequence[str]) -> Any:
            heads = await ask(feeds)
            asked.set()
            await answered.wait()
            return heads

        monkeypatch.setattr(elsewhere._heads, "_read", be_answered_late)
        *_, third = await say_many(deaf, "a", "b", "c")
        bus.publish("entry", third.as_document())
        await asked.wait()
        *_, fifth = await say_many(deaf, "d", "e")
        heard = elsewhere._bus.received
        bus.publish("entry", fifth.as_document())
        await until(lambda: elsewhere._bus.received > heard)
        answered.set()
        await reader.until(5)
        assert reader.numbers == [1, 2, 3, 4, 5]


async def test_a_reader_who_fails_is_closed_and_the_others_go_on(store: Database) -> None:
    def fail(_: Sequence[Entry]) -> None:
        raise ConnectionResetError("gone")

    async with process(store, rhythm=NO_LOOKS) as feeds:
        await say(feeds, "e_1")
        before, after = Reader(), Reader()
        feeds.follow(FEED, 1, before)
        failing = feeds.follow(FEED, 1, fail)
        feeds.follow(FEED, 1, after)
        await say(feeds, "e_2")
        await say(feeds, "e_3")
        assert failing.is_closed
        assert before.numbers == after.numbers == [2, 3]


async def test_a_closed_following_hears_nothing_more(store: Database) -> None:
    async with process(store, rhythm=NO_LOOKS) as feeds:
        await say(feeds, "e_1")
        reader = Reader()
        following = feeds.follow(FEED, 1, reader)
        await say(feeds, "e_2")
        following.close()
        await say(feeds, "e_3")
        assert reader.numbers == [2]


async def test_what_came_while_nobody_read_is_not_missing_from_memory(store: Database, servers: Servers) -> None:
    """A process that remembered 1 and 2, and then looked up that the feed is at 4, read nothing for ever from 2."""
    async with process(store, rhythm=NO_LOOKS) as deaf, process(store, servers.redis_url, rhythm=NO_LOOKS) as feeds:
        async with Bus(servers.redis_url or "", rhythm=PATIENT_BUS) as bus:
            await say(feeds, "a")
            following = feeds.follow(FEED, 1, Reader())
            await say(feeds, "b")
            following.close()
            for entry in await say_many(deaf, "c", "d"):
                bus.publish("entry", entry.as_document())
            await until(lambda: feeds._feeds[FEED].head is None)
        await until_live(feeds, 4)
        reader = Reader()
        feeds.follow(FEED, 2, reader)
        await reader.until(4)
        assert reader.numbers == [3, 4]


async def until_live(feeds: Feeds, cursor: int) -> None:
    following = feeds.follow(FEED, cursor, Reader())
    await until(lambda: following.is_live)


async def test_feeds_that_nobody_uses_are_forgotten_and_go_on_where_they_were(store: Database) -> None:
    rhythm = replace(FREQUENT_LOOKS, forget_after_s=0.0)
    async with process(store, rhythm=rhythm) as feeds:
        reader = Reader()
        following = feeds.follow("followed", 0, reader)
        await asyncio.gather(*(say(feeds, f"e_{n}", feed=f"feed {n}") for n in range(AT_ONCE)))
        await until(lambda: len(feeds) == 1)
        assert (await say(feeds, "more", feed="feed 3")).seq == 2
        await say(feeds, "for the reader", feed="followed")
        await reader.until(1)
        following.close()
        await until(lambda: len(feeds) == 0)


async def test_old_entries_of_a_feed_that_is_read_all_day_leave_memory_and_no_gap(store: Database) -> None:
    rhythm = replace(FREQUENT_LOOKS, forget_after_s=-1.0)  # here time stands
    async with process(store, rhythm=rhythm) as feeds:
        loyal = Reader()
        feeds.follow(FEED, 0, loyal)
        await say_many(feeds, "a", "b", "c")
        await loyal.until(3)
        await until(lambda: not feeds._feeds[FEED].recent)
        late = Reader()
        feeds.follow(FEED, 1, late)
        await say_many(feeds, "d")
        await asyncio.gather(loyal.until(4), late.until(4))
        assert (loyal.numbers, late.numbers) == ([1, 2, 3, 4], [2, 3, 4])


# --- when something fails ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trouble", [TcpProxy.freeze, TcpProxy.lose_answers])
async def test_an_entry_that_met_an_outage_of_the_database_is_written_once_when_it_comes_again(
    shaky: Shaky, trouble: Callable[[TcpProxy], None]
) -> None:
    async with process(shaky.store) as feeds:
        await say(feeds, "e_1")
        trouble(shaky.proxy)
        with pytest.raises(Outage):
            await say(feeds, "e_2", within_s=0.2)
        shaky.proxy.pass_on()
        again = await asyncio.gather(*(say(feeds, "e_2", within_s=PATIENCE_S) for _ in range(3)))
        assert [entry.seq for entry in again] == [2, 2, 2]
        assert (await say(feeds, "e_3", within_s=PATIENCE_S)).seq == 3
        assert await standing(shaky.store) == [(1, "e_1"), (2, "e_2"), (3, "e_3")]


async def test_entries_that_nobody_waits_for_any_more_are_given_up(shaky: Shaky) -> None:
    """A batch of which nothing was wanted any more was once written as an empty one, which is an error."""
    async with process(shaky.store) as feeds:
        await say(feeds, "e_1")
        shaky.proxy.freeze()
        late = await asyncio.gather(
            *(say(feeds, f"late {n}", within_s=0.1) for n in range(AT_ONCE)), return_exceptions=True
        )
        assert [type(outcome) for outcome in late] == [Outage] * AT_ONCE
        shaky.proxy.pass_on()
        with structlog.testing.capture_logs() as lines:
            await until(lambda: feeds._feeds[FEED].is_idle)
        assert "error" not in [line["log_level"] for line in lines]
        assert (await say(feeds, "e_2", within_s=PATIENCE_S)).seq == 2


async def test_a_process_that_stops_tells_those_who_wait_for_a_frozen_database(shaky: Shaky) -> None:
    async with process(shaky.store) as feeds:
        await say(feeds, "e_1")
        shaky.proxy.freeze()
        waiting = [asyncio.create_task(say(feeds, f"e_{n}", within_s=3600)) for n in (2, 3, 4)]
        await asyncio.sleep(0)  # they are on their way
    async with asyncio.timeout(PATIENCE_S):
        outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Outage] * 3


async def test_an_entry_that_no_document_can_hold_fails_alone(store: Database) -> None:
    async with process(store) as feeds:
        outcomes = await asyncio.gather(
            say(feeds, "first"),
            say(feeds, "a"),
            feeds.append(FEED, "bad", "message", {"text": object()}),
            say(feeds, "b"),
            return_exceptions=True,
        )
        assert [isinstance(outcome, Entry) for outcome in outcomes] == [True, True, False, True]
        assert await standing(store) == [(1, "first"), (2, "a"), (3, "b")]


async def test_a_redis_that_is_half_open_holds_up_no_entry(store: Database, servers: Servers) -> None:
    """Its bus is patient: whoever waited for Redis would wait until the test fails."""
    async with proxy_to(servers.redis_url) as (proxy, redis_url), process(store, redis_url) as feeds:
        proxy.freeze()
        for n in range(AT_ONCE):
            await say(feeds, f"e_{n}")
        assert [seq for seq, _ in await standing(store)] == list(range(1, AT_ONCE + 1))
