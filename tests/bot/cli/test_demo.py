"""The demonstration's data is believable and valid, and putting it in place again changes nothing."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from pathlib import Path

import pytest

from bot.cli import demo, demonstration
from bot.cli.demo_data import BALI, CATALOGUE, HELLOS, REPLIES, THERAPISTS
from bot.runtime.embedded import Servers
from bot.schemas.fields import parse_phone
from bot.schemas.texts import MESSAGE_LENGTH
from bot.schemas.views import THERAPIST_WORDS
from bot.services import connected
from bot.settings.servers import MIN_SECRET_LENGTH
from bot.settings.settings import DEMO_PHONE, JAKARTA, Settings
from bot.store.driver import Database, Document
from bot.store.therapists import TherapistRecord, Therapists
from bot.words import LOCALES
from conversations.money.amounts import minor_digits
from conversations.values import Service
from matching.geography import distance_km
from tests.house import settings_for

PAGES = Path(demo.__file__).parents[1] / "pages"

COLLECTIONS = ("services", "therapists")

each_therapist = pytest.mark.parametrize("therapist", THERAPISTS, ids=lambda each: each.name)
each_service = pytest.mark.parametrize("service", CATALOGUE, ids=lambda each: each.id)


def distance_from(centre: tuple[float, float], therapist: TherapistRecord) -> float:
    return distance_km(*centre, therapist.latitude, therapist.longitude)


def test_there_are_forty_people_in_two_places() -> None:
    around_jakarta = [each for each in THERAPISTS if distance_from(JAKARTA, each) <= 25]
    around_bali = [each for each in THERAPISTS if distance_from(BALI, each) <= 25]

    assert (len(around_jakarta), len(around_bali)) == (26, 14)
    assert len(THERAPISTS) == 40


def test_nobody_is_there_twice() -> None:
    for identity in ("id", "phone", "name"):
        assert len({getattr(each, identity) for each in THERAPISTS}) == len(THERAPISTS), identity
    assert len({(each.latitude, each.longitude) for each in THERAPISTS}) == len(THERAPISTS)


@each_therapist
def test_a_therapist_is_valid(therapist: TherapistRecord) -> None:
    assert parse_phone(therapist.phone, "ID") == therapist.phone
    assert therapist.id.startswith("t_")
    assert 4.3 <= therapist.rating <= 5.0
    assert therapist.rating_count > 0
    assert therapist.specialties
    assert {*therapist.specialties, *therapist.languages} <= set(THERAPIST_WORDS)
    assert "Bahasa Indonesia" in therapist.languages
    assert {60, 90} <= set(therapist.durations) <= {60, 90, 120}
    assert (PAGES / therapist.photo.lstrip("/")).is_file()


def test_a_portrait_is_of_one_gender() -> None:
    genders = {(each.photo, each.gender) for each in THERAPISTS}

    assert max(Counter(photo for photo, _ in genders).values()) == 1
    assert {gender for _, gender in genders} == {"female", "male"}


def test_one_of_them_is_a_person_and_is_nearest_to_where_the_map_begins() -> None:
    people = [each for each in THERAPISTS if not each.is_simulated]

    assert [each.phone for each in people] == [DEMO_PHONE]
    assert min(THERAPISTS, key=lambda each: distance_from(JAKARTA, each)) == people[0]


def test_enough_of_them_are_near_that_a_first_search_asks_several() -> None:
    for centre in (JAKARTA, BALI):
        assert sum(distance_from(centre, each) <= 5 for each in THERAPISTS if each.is_simulated) >= 4


@each_service
def test_a_service_has_words_in_every_language_and_plausible_prices(service: Service) -> None:
    assert set(service.names) == set(service.descriptions) == set(LOCALES)
    assert [each.minutes for each in service.prices] == [60, 90, 120]
    rupiah = [each.price.amount / 10 ** minor_digits(each.price.currency) for each in service.prices]
    assert {each.price.currency for each in service.prices} == {"IDR"}
    assert rupiah == sorted(set(rupiah))
    assert all(150_000 <= price <= 600_000 and price % 10_000 == 0 for price in rupiah)
    assert rupiah[2] < 2 * rupiah[0], "the second hour is cheaper than the first"


def test_what_simulated_therapists_say_can_be_sent() -> None:
    assert set(REPLIES) == {(locale, is_question) for locale in LOCALES for is_question in (False, True)}
    longest_name = "n" * 80
    said = [hello.format(guest=longest_name) for hello in HELLOS] + [
        text for texts in REPLIES.values() for text in texts
    ]

    assert all(0 < len(text) <= MESSAGE_LENGTH for text in said)


async def test_seeding_again_changes_nothing(servers: Servers, database: str) -> None:
    async with connected(settings_for(servers, database)) as mongo:
        await demo.seed_catalogue(mongo)
        await demo.seed(mongo)
        first = await documents_of(mongo)

        await demo.seed_catalogue(mongo)
        await demo.seed(mongo)

        assert await documents_of(mongo) == first
    assert [len(documents) for documents in first] == [len(CATALOGUE), len(THERAPISTS)]


async def documents_of(mongo: Database) -> list[list[Document]]:
    return [[document async for document in mongo[name].find({}).sort("_id", 1)] for name in COLLECTIONS]


async def test_whoever_has_a_number_already_keeps_it(servers: Servers, database: str) -> None:
    async with connected(settings_for(servers, database)) as mongo:
        await demo.seed(mongo)
        therapists = Therapists(mongo["therapists"])
        moved = THERAPISTS[3]
        await therapists.set_available(moved.id, True, BALI)
        await mongo["therapists"].update_one({"_id": moved.id}, {"$set": {"name": "Somebody else"}})

        await demo.seed(mongo)

        stands = await therapists.with_phone(moved.phone)
        assert stands is not None
        assert (stands.name, stands.is_available, stands.latitude) == ("Somebody else", True, BALI[0])
        assert len(await therapists.simulated()) == len(THERAPISTS) - 1


def test_a_demonstration_starts_beside_no_database_of_another_machine(capsys: pytest.CaptureFixture[str]) -> None:
    settings = Settings(mongodb_uri="mongodb://db.example.com/shop", secret="s" * MIN_SECRET_LENGTH)
    assert demonstration.run(settings, Namespace()) == 2
    assert capsys.readouterr().err.startswith("MONGODB_URI names another machine")


@pytest.mark.parametrize(
    ("host", "address"),
    [("0.0.0.0", "http://127.0.0.1:8000"), ("::", "http://[::1]:8000"), ("::1", "http://[::1]:8000")],
)
def test_the_printed_address_opens_the_shop(host: str, address: str) -> None:
    assert demonstration.address_of(Settings(host=host, port=8000)) == address


def test_a_port_alone_makes_no_demonstration_public(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "8000")
    assert Settings().host == "0.0.0.0"
    assert demonstration.host_of(Settings()) == "127.0.0.1"
    assert demonstration.host_of(Settings(host="0.0.0.0")) == "0.0.0.0"
