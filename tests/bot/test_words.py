"""What people read is in their language, and what they wrote stays text."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from bot.words import LOCALES, Words, negotiate
from conversations.money.amounts import Money
from conversations.values import Locale
from tests.project import ROOT

MOMENT = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
ON_THE_WAY = "{therapist} is on the way."
RIGHT_TO_LEFT_OVERRIDE, FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u202e", "\u2068", "\u2069"


@pytest.fixture(scope="module")
def words() -> Words:
    return Words()


@pytest.fixture
def fresh(words: Words) -> Words:
    """Words that have reported nothing yet."""
    words.gaps.clear()
    return words


def write_catalogs(directory: Path, **messages: str) -> Path:
    for locale in LOCALES:
        path = directory / locale / "LC_MESSAGES/janji.po"
        path.parent.mkdir(parents=True)
        path.write_text('msgid ""\nmsgstr "Content-Type: text/plain; charset=UTF-8\\n"\n\n' + messages[locale])
    return directory


# --- sentences --------------------------------------------------------------------------------------------------------


def test_a_sentence_is_said_in_the_readers_language(words: Words) -> None:
    assert words.say("en", ON_THE_WAY, {"therapist": "Ayu"}) == "Ayu is on the way."
    assert words.say("id", ON_THE_WAY, {"therapist": "Ayu"}) == "Ayu sedang dalam perjalanan."


def test_a_missing_translation_is_english_counted_and_logged_once(fresh: Words) -> None:
    with capture_logs() as logs:
        said = [fresh.say("id", "Nobody has translated {this}.", {"this": "one"}) for _ in range(3)]

    assert said == ["Nobody has translated one."] * 3
    assert fresh.gaps == {("translation", "Nobody has translated {this}."): 3}
    assert [log["key"] for log in logs] == ["Nobody has translated {this}."]


def test_gaps_are_remembered_up_to_a_bound() -> None:
    fresh = Words(most_gaps=2)
    with capture_logs() as logs:
        for text in ("one", "two", "three", "three", "two"):
            fresh.say("id", text)

    assert fresh.gaps == {("translation", "one"): 1, ("translation", "two"): 2}
    assert len(logs) == 2


def test_a_placeholder_without_its_parameter_stays_visible(fresh: Words) -> None:
    assert fresh.say("en", ON_THE_WAY) == ON_THE_WAY
    assert fresh.gaps == {("parameter", ON_THE_WAY): 1}


def test_an_english_wording_can_be_changed_in_its_catalog(tmp_path: Path) -> None:
    message = 'msgid "Hello"\nmsgstr "{}"\n'
    words = Words(write_catalogs(tmp_path, en=message.format("Welcome"), id=message.format("")))

    assert words.say("en", "Hello") == "Welcome"
    assert words.say("id", "Hello") == "Welcome"
    assert words.catalog("id") == {"Hello": "Welcome"}


def test_a_translation_that_is_marked_as_fuzzy_does_not_count(tmp_path: Path) -> None:
    english, fuzzy = 'msgid "Hello"\nmsgstr ""\n', '#, fuzzy\nmsgid "Hello"\nmsgstr "Selamat tinggal"\n'
    words = Words(write_catalogs(tmp_path, en=english, id=fuzzy))

    assert words.say("id", "Hello") == "Hello"
    assert not words.knows("Hello")


def test_a_word_that_need_not_be_translated_is_no_gap(fresh: Words) -> None:
    assert fresh.say_if_known("id", "Reflexology") == "Refleksi"
    assert fresh.say_if_known("id", "Four-handed") == "Four-handed"
    assert not fresh.gaps


def test_the_catalog_for_the_pages_has_every_sentence(words: Words) -> None:
    english, indonesian = words.catalog("en"), words.catalog("id")

    assert english.keys() == indonesian.keys()
    assert "" not in english
    assert (english["Cancel"], indonesian["Cancel"]) == ("Cancel", "Batalkan")


@pytest.mark.parametrize(
    "hostile",
    [
        "{0.__class__}",
        "{therapist.__class__.__mro__}",
        "{therapist!r:>99999}",
        "{therapist}",
        "{{therapist}}",
        "{",
        "}",
        "%s %(therapist)s %n",
        "$therapist ${therapist}",
        "\\g<0> \\1",
        "<b>Ayu</b>",
        "",
    ],
)
@pytest.mark.parametrize("locale", LOCALES)
def test_what_a_person_wrote_is_never_read_as_a_template(fresh: Words, locale: Locale, hostile: str) -> None:
    said = fresh.say(locale, ON_THE_WAY, {"therapist": hostile})

    assert said == fresh.say(locale, ON_THE_WAY, {"therapist": "\0"}).replace("\0", hostile)


def test_only_plain_names_are_placeholders(words: Words) -> None:
    sentence = "{ name } {name.__class__} {name!r} {0} {name}"

    assert words.say("en", sentence, {"name": "Ayu"}) == "{ name } {name.__class__} {name!r} {0} Ayu"


def test_a_name_cannot_turn_the_words_around_it(words: Words) -> None:
    assert words.say("en", ON_THE_WAY, {"therapist": f"Ayu{RIGHT_TO_LEFT_OVERRIDE}"}) == "Ayu is on the way."
    assert words.say("en", ON_THE_WAY, {"therapist": f"Ayu{POP_ISOLATE}"}) == "Ayu is on the way."


@pytest.mark.parametrize("name", ["עדי", "ليلى", "Ayu\u200f"])
def test_a_right_to_left_name_is_isolated_from_the_sentence(words: Words, name: str) -> None:
    expected = f"{FIRST_STRONG_ISOLATE}{name}{POP_ISOLATE} is on the way."

    assert words.say("en", ON_THE_WAY, {"therapist": name}) == expected


def test_numbers_stand_in_sentences_and_nothing_is_said_of_what_is_unknown(words: Words) -> None:
    late = "{therapist} is delayed by about {minutes} minutes."

    assert words.say("id", late, {"therapist": "Ayu", "minutes": 10}) == "Ayu akan terlambat sekitar 10 menit."
    assert "None" not in words.say("id", late, {"therapist": "Ayu", "minutes": None})


# --- money, distances, moments ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amount", "currency", "english", "indonesian"),
    [
        (25_000_000, "IDR", "Rp250.000", "Rp250.000"),
        (0, "IDR", "Rp0", "Rp0"),
        (-25_000_000, "IDR", "-Rp250.000", "-Rp250.000"),
        (17_500_049, "IDR", "Rp175.000", "Rp175.000"),
        (17_500_050, "IDR", "Rp175.001", "Rp175.001"),
        (123_456_789_000, "IDR", "Rp1.234.567.890", "Rp1.234.567.890"),
        (1_250, "USD", "$12.50", "US$12,50"),
        (120_000, "EUR", "€1,200.00", "€1.200,00"),
        (1_200, "JPY", "¥1,200", "JP¥1.200"),
        (1_234, "KWD", "KWD1.234", "KWD1,234"),
    ],
)
def test_money_is_written_with_the_digits_of_its_currency(
    words: Words, amount: int, currency: str, english: str, indonesian: str
) -> None:
    money = Money(amount, currency)

    # CLDR puts no-break spaces between some currencies and their amounts.
    assert words.money("en", money).replace("\xa0", "") == english
    assert words.money("id", money).replace("\xa0", "") == indonesian


@pytest.mark.parametrize(
    ("km", "english", "indonesian"),
    [
        (0.0, "50 m", "50 m"),
        (0.85, "850 m", "850 m"),
        (0.86, "850 m", "850 m"),
        (0.96, "950 m", "950 m"),
        (0.98, "1 km", "1 km"),
        (1.0, "1 km", "1 km"),
        (2.34, "2.3 km", "2,3 km"),
        (12.0, "12 km", "12 km"),
        (1234.5, "1,234.5 km", "1.234,5 km"),
    ],
)
def test_distances_are_in_metres_below_a_kilometre(words: Words, km: float, english: str, indonesian: str) -> None:
    assert (words.distance("en", km), words.distance("id", km)) == (english, indonesian)


@pytest.mark.parametrize(
    ("timezone", "english", "indonesian"),
    [
        ("Asia/Jakarta", "Tuesday, 1 December 2026, 10:00 WIB", "Selasa, 1 Desember 2026, pukul 10.00 WIB"),
        ("Asia/Jayapura", "Tuesday, 1 December 2026, 12:00 WIT", "Selasa, 1 Desember 2026, pukul 12.00 WIT"),
        ("America/New_York", "Monday, 30 November 2026, 22:00 EST", "Senin, 30 November 2026, pukul 22.00 EST"),
        ("Asia/Dubai", "Tuesday, 1 December 2026, 07:00 GMT+04", "Selasa, 1 Desember 2026, pukul 07.00 GMT+04"),
        ("Mars/Olympus", "Tuesday, 1 December 2026, 03:00 UTC", "Selasa, 1 Desember 2026, pukul 03.00 UTC"),
        ("../etc/passwd", "Tuesday, 1 December 2026, 03:00 UTC", "Selasa, 1 Desember 2026, pukul 03.00 UTC"),
        ("", "Tuesday, 1 December 2026, 03:00 UTC", "Selasa, 1 Desember 2026, pukul 03.00 UTC"),
    ],
)
def test_moments_are_on_the_clocks_of_a_zone(words: Words, timezone: str, english: str, indonesian: str) -> None:
    assert words.when("en", MOMENT, timezone) == english
    assert words.when("id", MOMENT, timezone) == indonesian


BEFORE_AND_AFTER_THE_CHANGE = [
    (datetime(2027, 3, 28, 0, 30, tzinfo=UTC), "01:30 CET"),
    (datetime(2027, 3, 28, 1, 30, tzinfo=UTC), "03:30 CEST"),
    (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), "02:30 CEST"),
    (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), "02:30 CET"),
]


@pytest.mark.parametrize(("moment", "clock"), BEFORE_AND_AFTER_THE_CHANGE)
def test_an_hour_that_comes_twice_or_never_says_which_it_is(words: Words, moment: datetime, clock: str) -> None:
    assert words.clock("en", moment, "Europe/Berlin") == clock
    assert words.when("en", moment, "Europe/Berlin").endswith(clock)


@pytest.mark.parametrize(
    ("timezone", "english", "indonesian"),
    [
        ("Asia/Jakarta", "Tue 1 Dec 10:00 WIB", "Sel 1 Des 10.00 WIB"),
        ("Asia/Makassar", "Tue 1 Dec 11:00 WITA", "Sel 1 Des 11.00 WITA"),
        ("America/New_York", "Mon 30 Nov 22:00 EST", "Sen 30 Nov 22.00 EST"),
    ],
)
def test_moments_are_brief_where_characters_are_dear(
    words: Words, timezone: str, english: str, indonesian: str
) -> None:
    assert words.when_briefly("en", MOMENT, timezone) == english
    assert words.when_briefly("id", MOMENT, timezone) == indonesian


@pytest.mark.parametrize(
    ("timezone", "now", "english"),
    [
        ("Asia/Jakarta", MOMENT, "today at 10:00 WIB"),
        ("Asia/Jakarta", datetime(2026, 11, 30, 17, 0, tzinfo=UTC), "today at 10:00 WIB"),
        ("Asia/Jakarta", datetime(2026, 11, 30, 16, 59, tzinfo=UTC), "tomorrow at 10:00 WIB"),
        ("America/New_York", datetime(2026, 11, 30, 16, 59, tzinfo=UTC), "today at 22:00 EST"),
        ("Asia/Jakarta", datetime(2026, 11, 29, 16, 59, tzinfo=UTC), "Tuesday, 1 December 2026, 10:00 WIB"),
        ("Asia/Jakarta", datetime(2026, 12, 1, 17, 0, tzinfo=UTC), "Tuesday, 1 December 2026, 10:00 WIB"),
    ],
)
def test_today_is_the_readers_own_day(words: Words, timezone: str, now: datetime, english: str) -> None:
    assert words.when_from("en", MOMENT, timezone, now) == english


# --- which language ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "accept_language", "spoken"),
    [
        ("en", "id", "en"),
        ("ID-id", None, "id"),
        ("in_ID", "en", "id"),
        ("fr", "en;q=0.5", "en"),
        (None, "en-GB,en;q=0.9,id;q=0.8", "en"),
        (None, "fr, id;q=0.4, en;q=0.6", "en"),
        (None, "en;q=0", "id"),
        (None, "en;q=0.1, id;q=0.2", "id"),
        (None, "en; q=0.7 , id ; q=0.70", "en"),
        (None, "en;q=much, fr;q=nan, en;q=1e9", "id"),
        (None, "*", "id"),
        (None, "", "id"),
        (None, None, "id"),
        ("", ";;;,,,=\0", "id"),
        ("english", "idiot", "id"),
    ],
)
def test_the_language_is_the_wanted_one_then_the_browsers_then_the_default(
    wanted: str | None, accept_language: str | None, spoken: Locale
) -> None:
    assert negotiate(wanted, accept_language, "id") == spoken


def test_an_endless_list_of_languages_is_read_at_its_beginning_only() -> None:
    assert negotiate(None, "fr," * 400 + "en", "id") == "id"


def test_the_rules_of_zones_are_those_of_the_pinned_package_whatever_the_system_has(tmp_path: Path) -> None:
    """A system whose rules are older put a reminder an hour off: British Columbia stays on summer time since 2026."""
    zone = tmp_path / "America" / "Vancouver"
    zone.parent.mkdir()
    zone.write_bytes(resources.files("tzdata").joinpath("zoneinfo", "America", "Los_Angeles").read_bytes())
    asks = (
        "import bot, datetime, zoneinfo;"
        "print(datetime.datetime(2026, 12, 15, 10, tzinfo=zoneinfo.ZoneInfo('America/Vancouver')).utcoffset())"
    )
    environment = {**os.environ, "PYTHONTZPATH": str(tmp_path)}
    command = [sys.executable, "-c", asks]
    told = subprocess.run(command, check=False, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert told.stdout.strip() == "-1 day, 17:00:00", told.stderr
