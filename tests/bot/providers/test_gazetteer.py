"""Places are found by what guests write of them, the likeliest first."""

from __future__ import annotations

import pytest

from bot.providers.gazetteer import gazetteer


def first(text: str) -> tuple[str, str]:
    place = gazetteer().find(text)[0]
    return place.name, place.region


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Jl. Legian 88, Kuta, Bali", ("Kuta", "Bali")),
        ("kuta", ("Kuta", "Bali")),
        ("Kut", ("Kuta", "Bali")),
        ("Villa Seminyak 4", ("Seminyak", "Bali")),
        ("Jl. Batu Bolong, Canggu", ("Canggu", "Bali")),
        ("Kemang Raya 12, Jakarta", ("Kemang", "Jakarta")),
        ("Menteng", ("Menteng", "Jakarta")),
        ("Setiabudi One, Kuningan", ("Setiabudi", "Jakarta")),
        ("Dago, Bandung", ("Bandung", "Jawa Barat")),
        ("Bandung", ("Bandung", "Jawa Barat")),
        ("Ubud, Gianyar", ("Ubud", "Bali")),
        ("jakarta selatan", ("Jakarta Selatan", "Jakarta")),
        ("Nusa Dua", ("Nusa Dua", "Bali")),
    ],
)
def test_a_place_is_found_by_what_people_write(text: str, place: tuple[str, str]) -> None:
    assert place in [(each.name, each.region) for each in gazetteer().find(text)][:3], gazetteer().find(text)


@pytest.mark.parametrize("text", ["", "Jl.", "88", "zzzz", "Alexanderplatz 1, Berlin", "🙂"])
def test_what_names_no_place_finds_none(text: str) -> None:
    assert gazetteer().find(text) == []


def test_where_the_region_is_said_that_one_is_meant() -> None:
    assert first("Kuta, Nusa Tenggara Barat")[1] == "Nusa Tenggara Barat"
    assert first("Kuta, Bali") == ("Kuta", "Bali")


def test_a_region_that_is_said_is_no_half_of_another_place() -> None:
    assert {each.name for each in gazetteer().find("Jl. Legian 88, Kuta, Bali")} == {"Kuta", "Legian"}


def test_every_place_is_in_indonesia_and_few_are_shown() -> None:
    found = gazetteer().find("sum")
    assert 0 < len(found) <= 6
    assert all(-11.5 < each.latitude < 6.5 and 94 < each.longitude < 142 for each in found)
