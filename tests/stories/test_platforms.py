"""The story of platforms: releases come before processes, a Redis signs for itself, a MongoDB stands alone."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pymongo
import pytest

from bot.cli.migration import prepare
from bot.runtime.embedded import Servers
from bot.runtime.engines import MongoDB
from bot.services import connected, migrate
from bot.settings.settings import Settings
from bot.store import indexes
from bot.store.driver import Database, PyMongoError
from bot.store.migrations import NEWEST, schema_of
from tests.agreement import eventually, until_agreed
from tests.clients import Guest, Therapist, guest, therapist
from tests.frail import frail
from tests.house import house_of, settings_for
from tests.lines import line_to
from tests.processes import environment_of, site
from tests.project import ROOT
from tests.rhythms import SWIFT, paced

pytestmark = pytest.mark.slow

SELF_SIGNED = ROOT / "tests" / "fakes" / "self_signed.pem"


# --- the release ------------------------------------------------------------------------------------------------------


async def release(settings: Settings, folder: Path) -> tuple[int, str]:
    """The Procfile's release command: its exit code and what it said."""
    return await run(settings, folder, "bot", "migrate")


async def run(settings: Settings, folder: Path, *program: str) -> tuple[int, str]:
    """A program of ours to its end: its exit code and what it said."""
    running = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *program),
        env=environment_of(settings),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await running.communicate()
    return running.returncode or 0, said.decode()


async def everything(database: Database) -> dict[str, Any]:
    """All collections with their indexes and documents."""
    return {
        name: (await database[name].index_information(), [each async for each in database[name].find().sort("_id", 1)])
        for name in sorted(await database.list_collection_names())
    }


@pytest.fixture
async def fresh(servers: Servers) -> AsyncIterator[tuple[Settings, Database]]:
    """A database that nothing was ever built in."""
    settings = settings_for(servers, "janji-release")
    async with connected(settings) as database:
        await database.client.drop_database(settings.database)
        yield settings, database
        await database.client.drop_database(settings.database)


async def test_a_release_that_is_repeated_changes_nothing_and_one_that_cannot_be_made_says_so(
    fresh: tuple[Settings, Database], tmp_path: Path
) -> None:
    settings, database = fresh
    assert (await release(settings, tmp_path))[0] == 0
    built = await everything(database)
    assert "entries" in built
    await migrate(settings)
    assert await everything(database) == built

    await database["entries"].drop_index("feed_1_seq_1")
    await database["entries"].create_index([("feed", 1), ("seq", 1)], name="feed_1_seq_1")  # not unique
    code, said = await release(settings, tmp_path)
    assert code != 0
    assert said.startswith("the index of entries on (feed, seq) cannot be built: ")
    assert said.count("\n") == 1


MANY = 150_000
HURRIED = paced(SWIFT, database={"operation_within_s": 0.25})


async def test_an_index_may_take_longer_than_anything_else(servers: Servers, fresh: tuple[Settings, Database]) -> None:
    """The time limit of every operation ended it: such a release never succeeded."""
    settings, _ = fresh
    hurried = settings.model_copy(update={"rhythms": HURRIED})
    with pymongo.MongoClient[Any](servers.mongodb_uri) as client:
        lines = [{"feed": f"conversation:{number}", "seq": 1, "type": "message"} for number in range(MANY)]
        client[settings.database]["entries"].insert_many(lines, ordered=False)
    async with connected(hurried) as database:
        with pytest.raises(PyMongoError):
            await indexes.build(database)
    await migrate(hurried)
    async with connected(settings) as database:
        assert "feed_1_seq_1" in await database["entries"].index_information()


async def test_a_release_puts_nothing_on_offer_and_what_was_deleted_stays_deleted(
    fresh: tuple[Settings, Database], tmp_path: Path
) -> None:
    settings, database = fresh
    production = settings.model_copy(update={"demo": False})
    await prepare(production)
    assert await database["services"].count_documents({}) == 0
    await prepare(production, with_menu=True)
    menu = [each["_id"] async for each in database["services"].find()]
    await database["services"].delete_one({"_id": menu[0]})
    for demo in (False, True):
        await prepare(settings.model_copy(update={"demo": demo}), with_menu=True)
    assert [each["_id"] async for each in database["services"].find()] == menu[1:]


@pytest.mark.parametrize("program", [("bot",), ("bot", "migrate"), ("workers", "sweep")])
async def test_an_older_program_does_not_start_on_a_newer_database(
    fresh: tuple[Settings, Database], tmp_path: Path, program: tuple[str, ...]
) -> None:
    settings, database = fresh
    await migrate(settings)
    assert await schema_of(database) == NEWEST
    await database["meta"].update_one({"_id": "schema"}, {"$set": {"number": NEWEST + 1}})
    before = await everything(database)
    code, said = await run(settings, tmp_path, *program)
    assert code == 2, said
    assert said.startswith(f"The database has schema {NEWEST + 1}, and this program knows {NEWEST}")
    assert await everything(database) == before


@pytest.mark.parametrize("concurrency", [1, 2])
async def test_a_port_that_is_taken_is_one_line(servers: Servers, tmp_path: Path, concurrency: int) -> None:
    """Two processes of one installation share a port on purpose; another program's was shared in silence."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        settings = settings_for(servers, "janji-release", port=port, web_concurrency=concurrency)
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot"),
            env=environment_of(settings),
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await running.communicate()
    assert running.returncode == 2
    assert said.decode() == f"PORT {port} on 127.0.0.1 can't be listened on: Address already in use.\n"


# --- Redis behind a certificate of its own ----------------------------------------------------------------------------


@pytest.fixture
def certificate() -> ssl.SSLContext:
    """Signed by nobody but itself, like those of the platform's Redis; it guards nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(SELF_SIGNED)
    return context


async def test_web_and_workers_use_a_redis_whose_certificate_nobody_signed(
    servers: Servers, database: str, tmp_path: Path, certificate: ssl.SSLContext
) -> None:
    async with line_to(servers.redis_url or "", certificate) as line:
        address = line.address.replace("redis://", "rediss://")
        settings = settings_for(servers, database, redis_url=address, redis_verify=False)
        async with site(settings, tmp_path) as place, house_of(settings) as house:
            await place.workers()
            sari = await house.add_therapist()
            async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
                await visit(budi, console)

            async def is_well() -> None:
                record = await house.services.therapists.get(sari.id)
                assert record is not None
                assert record.visits == 1, "the job of the workers"
                assert house.services.bus.healthy

            await eventually(is_well)


async def visit(budi: Guest, console: Therapist) -> None:
    """From hello to completed."""
    await budi.search()
    await console.accept()
    await budi.accept()
    booking = await console.until_booking("active")
    await budi.do("message", text="Halo")
    await console.do("progress", booking_id=booking["id"], step="completed")
    await budi.until_state("completed")


async def test_where_certificates_are_verified_a_self_signed_redis_is_not_used(
    servers: Servers, database: str, certificate: ssl.SSLContext, capsys: pytest.CaptureFixture[str]
) -> None:
    async with line_to(servers.redis_url or "", certificate) as line:
        address = line.address.replace("redis://", "rediss://")
        settings = settings_for(servers, database, redis_url=address)
        async with house_of(settings) as house, guest(house.url) as budi:
            await budi.book()
            assert not house.services.bus.healthy
    assert "certificate verify failed" in capsys.readouterr().out, "who operates it reads why"


# --- a MongoDB that is no replica set ---------------------------------------------------------------------------------


class Standalone(MongoDB):
    """Without replication there are no change streams and no transactions."""

    def arguments(self, data: Path, port: int) -> list[str]:
        given = super().arguments(data, port)
        at = given.index("--replSet")
        return given[:at] + given[at + 2 :]

    def make_ready(self, port: int) -> None:
        with self._client(port) as client:
            assert "setName" not in client.admin.command("hello")

    def address(self, port: int) -> str:
        return f"mongodb://127.0.0.1:{port}/"


async def test_a_mongodb_without_replication_serves_a_visit_from_hello_to_completed(
    servers: Servers, tmp_path: Path
) -> None:
    async with frail(Standalone(), tmp_path) as mongo:
        settings = settings_for(Servers(mongo.address, servers.redis_url), "janji")
        await migrate(settings)
        async with house_of(settings) as house:
            sari = await house.add_therapist()
            async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
                await visit(budi, console)
            await until_agreed(house.services)
