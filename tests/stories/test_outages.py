"""The story of servers that are away: people go on without Redis, and are told to come again without MongoDB."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymongo
import pytest
import redis.asyncio

from bot.runtime.embedded import Servers
from bot.runtime.engines import MongoDB, Valkey
from bot.services import migrate
from bot.settings.settings import Settings
from tests.agreement import eventually, until_agreed
from tests.clients import PATIENCE_S, Guest, Therapist, client_id, guest, therapist
from tests.fakes.tcp_proxy import TcpProxy
from tests.frail import Frail, frail
from tests.house import House, house_of, settings_for
from tests.processes import site
from tests.rhythms import SWIFT, paced

pytestmark = pytest.mark.slow

# What is promised without Redis: nobody waits for it, and the look at the heads brings the rest. It is tried again:
# the machine that runs the tests has other things to do.
ACKED_WITHIN_S = 0.5
READ_WITHIN_S = 2.0
TRIES = 3


@dataclass(slots=True)
class Visit:
    """A guest on one process and their therapist on another one."""

    house: House
    other: House
    budi: Guest
    console: Therapist
    booking_id: str = ""

    async def begin(self) -> None:
        await self.budi.search()
        await self.console.accept()
        await self.budi.accept()
        await self.budi.until_state("active")
        self.booking_id = self.budi.standing["booking"]["id"]
        await self.console.until(lambda: self._is_theirs(self.booking_id), "the visit")

    async def end(self) -> None:
        await self.console.do("progress", booking_id=self.booking_id, step="completed")
        await self.budi.until_state("completed")

    async def say(self, text: str) -> tuple[float, float]:
        """After how many seconds the guest had the ack, and the therapist the message."""
        loop = asyncio.get_running_loop()
        said_at = loop.time()
        await self.budi.do("message", text=text)
        acked_at = loop.time()
        await self.console.until(lambda: self._is_read(text), f"the message {text}")
        return acked_at - said_at, loop.time() - said_at

    def _is_theirs(self, booking_id: str) -> bool:
        return any(data["booking"]["id"] == booking_id for data in self.console.of_type("booking"))

    def _is_read(self, text: str) -> bool:
        return any(data["text"] == text for data in self.console.of_type("message"))

    async def chat(self, what: str) -> None:
        """A message into a quiet room arrives in time, whatever Redis does."""
        times = []
        while len(times) < TRIES:
            acked, read = await self.say(f"{what} {len(times)}")
            if acked < ACKED_WITHIN_S and read < READ_WITHIN_S:
                return
            times.append((acked, read))
        raise AssertionError(f"{what}: acked and read after {times}")


@asynccontextmanager
async def visit(settings: Settings) -> AsyncIterator[Visit]:
    async with AsyncExitStack() as stack:
        house, other = [await stack.enter_async_context(house_of(settings)) for _ in range(2)]
        sari = await house.add_therapist()
        console = await stack.enter_async_context(therapist(other.url, house.token_of(sari)))
        budi = await stack.enter_async_context(guest(house.url))
        yield Visit(house, other, budi, console)


async def until_buses(are_well: bool, *houses: House) -> None:
    async def is_so() -> None:
        assert [house.services.bus.healthy for house in houses] == [are_well] * len(houses)

    await eventually(is_so)


# --- Redis ------------------------------------------------------------------------------------------------------------


# A bus that sees within seconds what it otherwise sees within ten.
IMPATIENT = paced(SWIFT, bus={"ping_every_s": 0.5, "silent_at_most_s": 1.5})


def proxy_url(proxy: TcpProxy) -> str:
    return f"redis://127.0.0.1:{proxy.port}/0"


def broken(fault: str, valkey: Frail, proxy: TcpProxy) -> Callable[[], Awaitable[None]]:
    """Breaks Redis at once; what is returned mends it."""
    if fault == "killed":
        valkey.kill()
        return valkey.start
    if fault == "hung":
        valkey.freeze()
    else:
        proxy.freeze()

    async def mend() -> None:
        valkey.thaw()
        proxy.pass_on()

    return mend


@pytest.mark.parametrize("fault", ["killed", "hung", "half-open"])
async def test_messages_and_bookings_go_on_without_redis_and_are_fast_again_with_it(
    servers: Servers, database: str, tmp_path: Path, fault: str
) -> None:
    async with (
        frail(Valkey(), tmp_path) as valkey,
        TcpProxy("127.0.0.1", valkey.port) as proxy,
        visit(
            settings_for(servers, database, redis_url=f"redis://127.0.0.1:{proxy.port}/0", rhythms=IMPATIENT)
        ) as here,
    ):
        await until_buses(True, here.house, here.other)
        await here.begin()
        mend = broken(fault, valkey, proxy)
        await here.chat("nobody hints")
        await until_buses(False, here.house, here.other)
        await here.chat("it is known")
        await here.end()  # a job of this waits for Redis, and nothing else does
        await here.begin()
        await mend()
        await until_buses(True, here.house, here.other)
        await here.chat("as before")
        await until_agreed(here.house.services)
        async with redis.asyncio.Redis(port=valkey.port) as courier:
            assert await courier.llen(f"rq:queue:default:{here.house.services.epoch}") == 1, (
                "the job was put off, and asked for once"
            )


async def test_a_process_starts_without_redis_finds_it_later_and_does_not_mind_that_it_is_emptied(
    servers: Servers, database: str, tmp_path: Path
) -> None:
    async with frail(Valkey(), tmp_path) as valkey:
        valkey.kill()
        async with visit(settings_for(servers, database, redis_url=valkey.address, rhythms=IMPATIENT)) as here:
            await here.begin()
            await here.chat("never there")
            await valkey.start()
            await until_buses(True, here.house, here.other)
            async with redis.asyncio.Redis(port=valkey.port) as courier:
                await courier.flushall()
            await here.chat("emptied")
            await here.end()
            await until_agreed(here.house.services)


async def test_workers_start_without_redis_outlive_it_and_do_their_jobs_when_it_comes_back(
    servers: Servers, database: str, tmp_path: Path
) -> None:
    async with frail(Valkey(), tmp_path) as valkey:
        valkey.kill()
        settings = settings_for(servers, database, redis_url=valkey.address, rhythms=IMPATIENT)
        async with site(settings, tmp_path) as place, visit(settings) as here:
            workers = await place.workers()
            await here.begin()
            await here.end()
            await valkey.start()
            await until_counted(here, 1)
            valkey.kill()
            await here.begin()
            await here.end()
            await valkey.start()
            await until_counted(here, 2)
            assert workers.is_running, workers.last_words()
            assert await workers.stop() == 0, workers.last_words()


async def until_counted(here: Visit, visits: int) -> None:
    therapist_id = here.console.session["therapist"]["id"]

    async def is_counted() -> None:
        record = await here.house.services.therapists.get(therapist_id)
        assert record is not None
        assert record.visits == visits

    await eventually(is_counted)


# --- MongoDB ----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def mongo(tmp_path: Path) -> AsyncIterator[Frail]:
    async with frail(MongoDB(), tmp_path) as server:
        yield server


@asynccontextmanager
async def house_on(mongo: Frail, servers: Servers, **more: Any) -> AsyncIterator[House]:
    settings = settings_for(Servers(mongo.address, servers.redis_url), "janji", command_timeout_s=1.0, **more)
    await migrate(settings)
    async with house_of(settings) as house:
        yield house


async def until_done(client: Guest, command: str, **payload: Any) -> dict[str, Any]:
    """The same command under the same id, as clients repeat it, until it is not `unavailable` any more."""
    async with asyncio.timeout(PATIENCE_S):
        while not (ack := await client.send(command, **payload))["ok"]:
            assert ack["error"]["code"] == "unavailable", ack
            assert ack["error"]["retry_after_s"] > 0
            await asyncio.sleep(0.2)
    return ack


async def test_a_database_that_hangs_or_dies_is_unavailable_in_time_and_the_same_command_later_succeeds_once(
    mongo: Frail, servers: Servers, caplog: pytest.LogCaptureFixture
) -> None:
    async with house_on(mongo, servers, answer_s=1.5, radii_km=(1.0, 5.0)) as house:
        async with guest(house.url) as budi, guest(house.url) as ani:
            await budi.search()  # nobody is there: its countdown runs out while the database hangs
            await budi.until(lambda: budi.standing["countdown"] is not None, "the countdown")
            mongo.freeze()
            book = {"client_id": client_id(), "kind": "now", "source": "menu"}
            refused = await ani.send("book", **book)
            assert (refused["ok"], refused["error"]["code"]) == (False, "unavailable")
            assert refused["error"]["retry_after_s"] > 0
            cancel = {"client_id": client_id()}
            assert await budi.refusal("cancel", **cancel) == "unavailable"
            mongo.thaw()
            await budi.until_line("no_therapist")  # by itself
            first = await until_done(ani, "book", **book)
            assert await ani.do("book", **book) == first
            await ani.until_card("service")

            mongo.kill()
            form = {"client_id": client_id(), **ani.form()}
            assert await ani.refusal("confirm_service", **form) == "unavailable"
            await mongo.start()
            await until_done(ani, "confirm_service", **form)
            await ani.until_state("searching")
            await until_done(budi, "cancel", **cancel)  # which nobody had asked for as far as the database knows
            await budi.until_state("cancelled")
            assert [data["card"] for data in ani.of_type("card")].count("service") == 1
            await ani.until_state("no_therapist")
            for client in (budi, ani):
                assert [entry["seq"] for entry in client.entries] == list(range(1, len(client.entries) + 1))
        await until_agreed(house.services)
    assert [record.name for record in caplog.records if record.exc_info] == [], "an outage is one line"


async def test_a_search_goes_on_by_itself_after_the_database_has_changed_its_primary(
    mongo: Frail, servers: Servers
) -> None:
    async with house_on(mongo, servers, answer_s=1.5, radii_km=(1.0, 5.0, 6.0, 7.0, 8.0)) as house:
        sari = await house.add_therapist(km=3)
        async with guest(house.url) as budi, therapist(house.url, house.token_of(sari)) as console:
            await budi.search()
            step_down(mongo, 2)
            await console.until_offer()
            await console.accept()
            choice = await budi.until_card("therapist")
            step_down(mongo, 1)
            payload = {"client_id": client_id(), "revision": choice["revision"], "offer_id": choice["offer_id"]}
            await until_done(budi, "accept_therapist", **payload)
            await budi.until_state("active")
            message = {"client_id": client_id(), "text": "across"}
            step_down(mongo, 1)
            await until_done(budi, "message", **message)
            await budi.do("message", **message)
            await console.until(lambda: bool(console.of_type("message")), "the message")
            assert len(console.of_type("message")) == 1
        await until_agreed(house.services)


def step_down(mongo: Frail, seconds: int) -> None:
    """There is no primary for so long: a set of one has nobody else to elect."""
    with pymongo.MongoClient[Any]("127.0.0.1", mongo.port, directConnection=True) as client:
        client.admin.command("replSetStepDown", seconds, force=True)
