"""A running house for tests: the real program on real servers, with an empty database and clocks that run faster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pymongo
import pytest
import redis
from pymongo import WriteConcern

from bot.access.tokens import Tokens
from bot.app import serving
from bot.clock import Clock
from bot.identity import new_id
from bot.runtime.embedded import Servers
from bot.services import Services, migrate
from bot.settings.settings import Settings
from bot.store.therapists import TherapistRecord
from conversations.money.amounts import Money
from conversations.values import Price, Service
from tests.clients import JAKARTA
from tests.rhythms import SWIFT

SECRET = "a secret for the tests, longer than thirty-two characters"
METRICS_TOKEN = "what-the-collector-sends"
# Of these tests and of nobody else.
VAPID_PRIVATE_KEY = "K3-wnkoi-LfIAsxxs1DUpi1AK-88k4I0Mr3X_TwHMdU"
KILOMETRE_IN_DEGREES = 1 / 111.3

Sweepers = tuple[pymongo.MongoClient[Any], redis.Redis]

MASSAGE = Service(
    "balinese",
    {"en": "Balinese massage", "id": "Pijat Bali"},
    {"en": "Calm and slow.", "id": "Tenang dan perlahan."},
    tuple(Price(minutes, Money(minutes * 400_000, "IDR")) for minutes in (60, 90, 120)),
)


# A whole town comes from one address here; what limits do is tested with limits of the test's own.
WIDE_LIMITS: dict[str, Any] = {
    "connections_per_address": 100_000,
    "connections_per_token": 1_000,
    "open_per_phone": 0,
    "open_per_network": 0,
    **dict.fromkeys((name for name in Settings.model_fields if name.startswith("limit_")), "1000000/s:1000000"),
}


def settings_for(servers: Servers, database: str, **more: Any) -> Settings:
    """Settings for a test: loopback, any port, the names that tests use, and limits that nobody reaches."""
    return Settings(
        **{
            "host": "127.0.0.1",
            "port": 0,
            "mongodb_uri": servers.mongodb_uri,
            "redis_url": servers.redis_url,
            "database": database,
            "secret": SECRET,
            "metrics_token": METRICS_TOKEN,
            "vapid_private_key": VAPID_PRIVATE_KEY,
            "vapid_subject": "mailto:operator@example.com",
            "demo": True,
            "log_level": "warning",
            "rhythms": SWIFT,
            **WIDE_LIMITS,
            **more,
        }
    )


@dataclass(slots=True)
class House:
    """One web process and what is needed to fill it with people."""

    services: Services
    url: str

    @property
    def tokens(self) -> Tokens:
        return self.services.tokens

    async def add_therapist(self, **more: Any) -> TherapistRecord:
        """A therapist who is available, a few hundred metres from the guest unless `km` says how far."""
        return await add_therapist(self.services, **more)

    def token_of(self, therapist: TherapistRecord) -> str:
        return self.tokens.sign("therapist", therapist.id)


async def add_therapist(services: Services, *, km: float = 0.5, **more: Any) -> TherapistRecord:
    therapist_id = new_id("t")
    fields: dict[str, Any] = {
        "id": therapist_id,
        "name": f"Sari {therapist_id[-4:]}",
        "phone": f"+62812{int(therapist_id[2:12], 16) % 10**8:08d}",
        "photo": "/photos/01.svg",
        "rating": 4.8,
        "rating_count": 120,
        "gender": "female",
        "specialties": ("Balinese",),
        "languages": ("English",),
        "durations": (60, 90, 120),
        "latitude": JAKARTA[0] + km * KILOMETRE_IN_DEGREES,
        "longitude": JAKARTA[1],
        "is_available": True,
        "is_simulated": False,
        "locale": "en",
        "visits": 0,
    }
    therapist = TherapistRecord(**{**fields, **more})
    await services.therapists.add(therapist)
    return therapist


@asynccontextmanager
async def house_of(settings: Settings, clock: Clock | None = None) -> AsyncIterator[House]:
    async with serving(settings, clock=clock) as web_process:
        await web_process.services.catalogue.add_missing([MASSAGE])
        yield House(web_process.services, f"http://127.0.0.1:{web_process.port}")


@pytest.fixture(scope="session")
def migrated(servers: Servers) -> str:
    """A database with every index, made once; each test finds it empty."""
    import asyncio

    asyncio.run(migrate(settings_for(servers, "janji-tests")))
    return "janji-tests"


@pytest.fixture(scope="session")
def sweepers(servers: Servers) -> Iterator[Sweepers]:
    """Who empties MongoDB and Valkey before each test; connecting anew would take longer than that."""
    mongo: pymongo.MongoClient[Any] = pymongo.MongoClient(servers.mongodb_uri)
    courier = redis.Redis.from_url(servers.redis_url or "")
    yield mongo, courier
    mongo.close()
    courier.close()


@pytest.fixture
def database(sweepers: Sweepers, migrated: str) -> str:
    """The name of the database, emptied, and Redis flushed."""
    mongo, courier = sweepers
    filled = _filled(mongo[migrated])
    for name in filled:
        # Only the last of them with a majority, which then has what was written before it, too.
        concern = WriteConcern(w="majority" if name == filled[-1] else 1)
        mongo[migrated][name].with_options(write_concern=concern).delete_many({})
    courier.flushall()
    return migrated


def _filled(database: pymongo.database.Database[Any]) -> list[str]:
    """The collections that hold anything, by one question: most are empty, and there are eighteen."""
    one_of = {
        name: [{"$limit": 1}, {"$project": {"_id": {"$literal": name}}}] for name in database.list_collection_names()
    }
    first, *others = one_of
    unions = [{"$unionWith": {"coll": name, "pipeline": one_of[name]}} for name in others]
    return [found["_id"] for found in database[first].aggregate([*one_of[first], *unions])]


@pytest.fixture
async def house(servers: Servers, database: str) -> AsyncIterator[House]:
    """One web process with the settings people get."""
    async with house_of(settings_for(servers, database)) as running:
        yield running
