"""The story of who asks how the program is doing, while its servers are killed, hang and come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest
import redis
from aiohttp import ClientSession

from bot.messaging.named_jobs import queue_of
from bot.runtime.embedded import Servers
from bot.runtime.engines import MongoDB, Valkey
from bot.services import migrate
from conversations.notices import Notice
from tests.agreement import eventually
from tests.clients import PATIENCE_S
from tests.frail import Frail, frail
from tests.house import House, house_of, settings_for
from tests.processes import site
from tests.rhythms import SWIFT, paced

pytestmark = pytest.mark.slow

Parts = dict[str, dict[str, Any]]


async def ready(http: ClientSession) -> tuple[int, dict[str, Any]]:
    async with http.get("/health/ready") as response:
        return response.status, await response.json()


async def status(http: ClientSession) -> tuple[str, Parts]:
    async with http.get("/api/status?locale=en") as response:
        assert response.status == 200
        answer = await response.json()
        return answer["state"], {part["name"]: part for part in answer["parts"]}


async def until_parts(http: ClientSession, **states: str) -> Parts:
    """Until these parts are in these states."""
    found: list[Parts] = []

    async def is_so() -> None:
        _, parts = await status(http)
        assert {name: parts[name]["state"] for name in states} == states
        found.append(parts)

    await eventually(is_so)
    return found[-1]


async def until_age(http: ClientSession, part: str, age_s: float | None) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    async def is_so() -> None:
        _, parts = await status(http)
        assert parts[part]["age_s"] == age_s
        found.append(parts[part])

    await eventually(is_so)
    return found[-1]


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[Frail]:
    async with frail(Valkey(), tmp_path) as server:
        yield server


@pytest.fixture
async def mongo(tmp_path: Path) -> AsyncIterator[Frail]:
    async with frail(MongoDB(), tmp_path) as server:
        yield server


# --- Redis and the workers --------------------------------------------------------------------------------------------


async def test_without_redis_a_process_is_ready_and_says_since_when_it_is_away(
    servers: Servers, database: str, valkey: Frail, tmp_path: Path
) -> None:
    settings = settings_for(servers, database, redis_url=valkey.address)
    async with site(settings, tmp_path) as place, house_of(settings) as house, ClientSession(house.url) as http:
        await place.workers("rq")
        await until_parts(http, redis="ok", workers="away")  # nobody hands anything out to them
        await place.workers("sweep")
        parts = await until_parts(http, redis="ok", workers="ok")
        assert (await status(http))[0] == "operational"
        assert parts["workers"]["age_s"] >= 0

        killed_at = house.services.clock.now()
        valkey.kill()
        await until_parts(http, redis="away", workers="unknown", mongodb="ok", outbox="ok", alarms="ok")
        assert (await status(http))[0] == "degraded"

        async def is_old() -> None:
            """Attempts to reconnect, which fail several times a second, do not make it younger."""
            assert (await status(http))[1]["redis"]["age_s"] > 1.5

        await eventually(is_old)
        (code, first), (_, later) = await ready(http), await ready(http)
        assert (code, first["status"], first["checks"]) == (200, "ok", {"mongodb": "ok", "redis": "away"})
        assert first["away_since"] == later["away_since"]
        assert killed_at <= datetime.fromisoformat(first["away_since"]["redis"]) <= house.services.clock.now()

        await valkey.start()
        await until_parts(http, redis="ok", workers="ok")
        assert (await ready(http))[1]["away_since"] == {}


async def test_a_redis_that_hangs_is_called_slow_before_it_is_called_away(
    servers: Servers, database: str, valkey: Frail
) -> None:
    rhythms = paced(SWIFT, bus={"ping_every_s": 0.3, "silent_at_most_s": 3.0})
    settings = settings_for(servers, database, redis_url=valkey.address, rhythms=rhythms)
    async with house_of(settings) as house, ClientSession(house.url) as http:
        await until_parts(http, redis="ok")
        valkey.freeze()
        await until_parts(http, redis="delayed")
        await until_parts(http, redis="away")
        valkey.thaw()
        await until_parts(http, redis="ok")


async def test_what_works_behind_is_seen_by_its_signs_of_life_and_a_job_that_nobody_takes_is_told(
    house: House, servers: Servers
) -> None:
    """By ours, in the database: RQ never registers again after Redis came back empty, and jobs ran unseen."""
    hearts, clock, epoch = house.services.heartbeats, house.services.clock, house.services.epoch
    async with ClientSession(house.url) as http:
        assert (await until_age(http, "workers", None))["text"] == "Waits until a worker is back."
        await hearts.beat("jobs", clock.now())
        parts = await until_parts(http, workers="away")  # nobody hands out what is due
        assert parts["workers"]["age_s"] is None
        await hearts.beat("dispatch", clock.now())
        await until_parts(http, workers="ok")
        with closing(redis.Redis.from_url(servers.redis_url or "")) as courier:
            courier.flushall()
            await until_parts(http, workers="ok")
            job = queue_of("default", epoch, courier).enqueue("workers.jobs.count_visits", "t_nobody")
            job.enqueued_at = datetime.now(UTC) - timedelta(seconds=40)
            job.save()
            await until_parts(http, workers="delayed")
        await hearts.beat("jobs", clock.now() - timedelta(seconds=100))
        parts = await until_parts(http, workers="away")
        assert 100 <= parts["workers"]["age_s"] < 200


@pytest.mark.parametrize("fault", ["locked", "refuses"])
async def test_a_database_that_answers_and_takes_no_writes_is_away(mongo: Frail, valkey: Frail, fault: str) -> None:
    """Every light was green while each booking was refused."""
    servers = Servers(mongodb_uri=mongo.address, redis_url=valkey.address)
    settings = settings_for(servers, "status", log_level="error", rhythms=IMPATIENT)
    await migrate(settings)
    async with house_of(settings) as house, ClientSession(house.url) as http:
        await until_parts(http, mongodb="ok")
        with pymongo.MongoClient[Any](mongo.address) as client:
            if fault == "locked":
                client.admin.command("fsync", lock=True)
            else:  # as on a full disk, or for a user without rights
                client["status"].command("collMod", "heartbeats", validator={"$expr": False})
            await until_parts(http, mongodb="away")
            code, body = await ready(http)
            assert (code, body["checks"]["mongodb"]) == (503, "away")
            if fault == "locked":
                client.admin.command("fsyncUnlock")
            else:
                client["status"].command("collMod", "heartbeats", validator={})
        await until_parts(http, mongodb="ok")


# --- MongoDB ----------------------------------------------------------------------------------------------------------


# Whatever else is asked of MongoDB fails soon.
IMPATIENT = paced(SWIFT, database={"operation_within_s": 0.5})
# Whatever else is asked of it waits longer than a test does, and who has asked knows for as long.
PATIENT = paced(SWIFT, database={"operation_within_s": 3 * PATIENCE_S}, vitals={"kept_for_s": 60.0})


@pytest.fixture
async def fragile(mongo: Frail, valkey: Frail, request: pytest.FixtureRequest) -> AsyncIterator[House]:
    """A house of a pace both of whose servers can be broken."""
    servers = Servers(mongodb_uri=mongo.address, redis_url=valkey.address)
    settings = settings_for(servers, "status", log_level="error", rhythms=request.param)
    await migrate(settings)
    async with house_of(settings) as running:
        yield running


@pytest.mark.parametrize("fragile", [IMPATIENT], ids=[""], indirect=True)
async def test_without_mongodb_a_process_lives_but_is_not_ready_and_says_since_when(
    fragile: House, mongo: Frail, caplog: pytest.LogCaptureFixture
) -> None:
    vitals = fragile.services.vitals

    async def is_as_old_as_the_outage() -> None:
        """Whoever asks for the first time: the sweep has seen it begin."""
        vitals._no_answer_since = fragile.services.clock.now()
        assert (await status(http))[1]["mongodb"]["age_s"] > 1

    async with ClientSession(fragile.url) as http:
        for fault, mend in ((mongo.kill, mongo.start), (mongo.freeze, mongo.thaw)):
            await until_parts(http, mongodb="ok", outbox="ok", alarms="ok", redis="ok")
            fault()
            parts = await until_parts(http, mongodb="away", outbox="unknown", alarms="unknown", redis="ok")
            assert parts["mongodb"]["text"].startswith("The database has not answered for")
            assert (await status(http))[0] == "down"
            code, body = await ready(http)
            assert (code, body["status"], body["checks"]["mongodb"]) == (503, "unavailable", "away")
            assert body["away_since"].keys() == {"mongodb"}
            async with http.get("/health/live") as response:
                assert response.status == 200
            await eventually(is_as_old_as_the_outage)
            if mending := mend():
                await mending
        await until_parts(http, mongodb="ok", outbox="ok", alarms="ok")
        assert (await ready(http))[1]["away_since"] == {}
    assert [record.name for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize("fragile", [PATIENT], ids=[""], indirect=True)
async def test_with_everything_hung_a_storm_of_questions_is_answered_by_one(
    fragile: House, mongo: Frail, valkey: Frail, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    hearts = fragile.services.heartbeats
    beat = hearts.beat

    async def counting(*arguments: Any) -> None:
        asked.append(arguments)
        await beat(*arguments)

    async with ClientSession(fragile.url) as http:
        await until_parts(http, mongodb="ok", redis="ok")
        mongo.freeze()
        valkey.freeze()
        monkeypatch.setattr(hearts, "beat", counting)
        fragile.services.vitals._mongodb._good_until = 0.0  # an answer from before is good no more
        async with asyncio.timeout(PATIENCE_S):
            answers = await asyncio.gather(*(ready(http) for _ in range(100)), *(status(http) for _ in range(20)))
        assert {code for code, _ in answers} == {503, "down"}
        assert len(asked) == 1
        mongo.thaw()
        valkey.thaw()


# --- what is late -----------------------------------------------------------------------------------------------------


async def test_what_is_overdue_and_what_nobody_performed_is_told_with_its_age(servers: Servers, database: str) -> None:
    async with house_of(settings_for(servers, database, sweep_s=60)) as house, ClientSession(house.url) as http:
        parts = await until_parts(http, outbox="ok", alarms="ok")
        assert (parts["outbox"]["age_s"], parts["alarms"]["age_s"]) == (None, None)
        now = house.services.clock.now()
        await house.services.database["searches"].insert_many(
            [
                {"_id": "s_late", "conversation_id": "c_1", "expires_at": now - timedelta(seconds=70), "outbox": []},
                {
                    "_id": "s_left",
                    "conversation_id": "c_2",
                    "expires_at": now + timedelta(hours=1),
                    "outbox": [{"id": "e_2", "at": now}, {"id": "e_1", "at": now - timedelta(seconds=40)}],
                },
            ]
        )
        parts = await until_parts(http, outbox="delayed", alarms="delayed")
        assert 70 <= parts["alarms"]["age_s"] < 100
        assert 40 <= parts["outbox"]["age_s"] < 70
        assert parts["alarms"]["text"] == "One is 1 minute late."
        await house.services.database["searches"].delete_many({})
        await until_parts(http, outbox="ok", alarms="ok")


async def test_notifications_that_are_late_and_a_provider_that_fails_are_told(servers: Servers, database: str) -> None:
    mail = {"smtp_url": "smtps://localhost", "mail_from": "no-reply@janji.example"}
    settings = settings_for(servers, database, sweep_s=60, **mail)
    async with house_of(settings) as house, ClientSession(house.url) as http:
        await until_parts(http, notifications="ok")
        services, now = house.services, house.services.clock.now()
        due_at = now - timedelta(seconds=70)
        notice = Notice("booking_confirmed", "customer", "customer:x_1", "email", due_at, now, "normal", None)
        await services.notifications.write("external_booking", "x_1", 1, [notice], due_at)
        parts = await until_parts(http, notifications="delayed")
        assert 70 <= parts["notifications"]["age_s"] < 100
        assert parts["notifications"]["text"] == "One is 1 minute late."
        for name in ("email", "a provider that is not set any more"):
            await services.breakers.failed(name, "535", now - timedelta(minutes=5), is_misconfigured=True)
        parts = await until_parts(http, notifications="away")
        assert parts["notifications"]["text"].startswith("One way to send them has failed for 5 minutes.")
        await services.breakers.succeeded("email")
        [row] = await services.notifications.of_booking("x_1")
        await services.notifications.discard(row.id, now)
        await until_parts(http, notifications="ok")
