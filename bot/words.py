"""The words of the program in the reader's language: sentences from the catalogs, money, distances and moments."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import structlog
from babel.dates import format_datetime, format_timedelta
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal

from conversations.money.amounts import Money, minor_digits
from conversations.replies import N_
from conversations.values import Locale

log = structlog.get_logger()

LOCALES: tuple[Locale, ...] = ("en", "id")
CATALOGS = Path(__file__).parent / "locales"

# Different gaps that are remembered; what is missing beyond that is a broken deployment, and known by then.
MOST_GAPS = 1000
# `in` is what Indonesian was called until 1989, and what old Android devices still send.
_LOCALE_BY_LANGUAGE: Mapping[str, Locale] = {"en": "en", "id": "id", "in": "id"}
_LONGEST_HEADER = 1000

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
BIDI_CONTROLS = re.compile("[\u202a-\u202e\u2066-\u2069]")
_FIRST_STRONG_ISOLATE, _POP_ISOLATE = "\u2068", "\u2069"

# Indonesians write the time with a point and say "pukul" before it.
_MOMENT_PATTERNS: Mapping[Locale, str] = {"en": "EEEE, d MMMM y, HH:mm", "id": "EEEE, d MMMM y, 'pukul' HH.mm"}
_BRIEF_PATTERNS: Mapping[Locale, str] = {"en": "EEE d MMM HH:mm", "id": "EEE d MMM HH.mm"}
_CLOCK_PATTERNS: Mapping[Locale, str] = {"en": "HH:mm", "id": "HH.mm"}
_DAY_PATTERN = "EEEE, d MMMM y"
# The day a moment falls on, counted from the day on which it is read.
_NEAR_DAYS: Mapping[int, str] = {0: N_("today at {time}"), 1: N_("tomorrow at {time}")}


class Words:
    """The catalogs of all locales, read once; English is the msgid itself unless its catalog says otherwise.

    `gaps` counts what could not be said as it should: ("translation", msgid), ("parameter", msgid), or whatever else
    a caller reports.
    """

    def __init__(self, directory: Path = CATALOGS, *, most_gaps: int = MOST_GAPS) -> None:
        self._most_gaps = most_gaps
        self._texts = {locale: _read(directory / locale / "LC_MESSAGES" / "janji.po", locale) for locale in LOCALES}
        self.gaps: Counter[tuple[str, str]] = Counter()

    def say(self, locale: Locale, msgid: str, params: Mapping[str, Any] | None = None) -> str:
        """The sentence with each `{name}` replaced by its parameter, which is only ever text: nothing in it is read.

        Without a translation the sentence is English, and a placeholder without a parameter stays as it is.
        """
        text = self._texts[locale].get(msgid)
        if text is None:
            self.report_gap("translation", msgid)
            text = self._texts["en"].get(msgid, msgid)
        values = params or {}
        if not values.keys() >= set(_PLACEHOLDER.findall(text)):
            self.report_gap("parameter", msgid)
        return _PLACEHOLDER.sub(lambda found: _plain(values[found[1]]) if found[1] in values else found[0], text)

    def say_if_known(self, locale: Locale, text: str) -> str:
        """The translation of a text that need not be in the catalogs, or the text itself."""
        return self._texts[locale].get(text, text)

    def knows(self, msgid: str) -> bool:
        return all(msgid in texts for texts in self._texts.values())

    def catalog(self, locale: Locale) -> dict[str, str]:
        """Every msgid with its text in the language."""
        return {**self._texts["en"], **self._texts[locale]}

    def money(self, locale: Locale, money: Money) -> str:
        """`Rp250.000`: rupiahs are written the Indonesian way and without cents in every language; others by CLDR."""
        amount = Decimal(money.amount).scaleb(-minor_digits(money.currency))
        if money.currency != "IDR":
            return format_currency(amount, money.currency, locale=locale)
        rupiahs = amount.quantize(Decimal(1), ROUND_HALF_UP)
        return format_currency(rupiahs, "IDR", "¤#,##0", locale="id", currency_digits=False)

    def distance(self, locale: Locale, km: float) -> str:
        """`850 m`, in steps of 50 m, below a kilometre; `2.3 km` or `2,3 km` from there."""
        metres = max(round(km * 20) * 50, 50)
        return f"{metres} m" if metres < 1000 else f"{format_decimal(km, '#,##0.#', locale=locale)} km"

    def age(self, locale: Locale, seconds: float) -> str:
        """`3 seconds`, `5 minutes`, `2 jam`: whole ones of the largest unit, and at least a second."""
        return format_timedelta(timedelta(seconds=max(1.0, seconds)), threshold=1.0, locale=locale)

    def when(self, locale: Locale, moment: datetime, timezone: str) -> str:
        """The day and time on the clocks of a time zone, and which: `Tuesday, 1 December 2026, 10:00 WIB`.

        An unknown zone is answered in UTC, which says so and is right everywhere.
        """
        return self._on_the_clocks(_MOMENT_PATTERNS[locale], locale, moment, timezone)

    def when_briefly(self, locale: Locale, moment: datetime, timezone: str) -> str:
        """The same where every character counts: `Tue 1 Dec 10:00 WIB`."""
        return self._on_the_clocks(_BRIEF_PATTERNS[locale], locale, moment, timezone)

    def when_from(self, locale: Locale, moment: datetime, timezone: str, now: datetime) -> str:
        """`today at 10:00 WIB` and `tomorrow at …` by the calendar of the zone; any other day with its date."""
        zone = zone_of(timezone)
        days = (moment.astimezone(zone).date() - now.astimezone(zone).date()).days
        if days not in _NEAR_DAYS:
            return self.when(locale, moment, timezone)
        return self.say(locale, _NEAR_DAYS[days], {"time": self.clock(locale, moment, timezone)})

    def clock(self, locale: Locale, moment: datetime, timezone: str) -> str:
        """`10:00 WIB`."""
        return self._on_the_clocks(_CLOCK_PATTERNS[locale], locale, moment, timezone)

    def day(self, locale: Locale, moment: datetime, timezone: str) -> str:
        """`Tuesday, 1 December 2026`."""
        return format_datetime(moment, _DAY_PATTERN, tzinfo=zone_of(timezone), locale=locale)

    def report_gap(self, what: str, key: str) -> None:
        """Count something that has no words; the first of each is logged."""
        gap = (what, key)
        if gap not in self.gaps and len(self.gaps) >= self._most_gaps:
            return
        self.gaps[gap] += 1
        if self.gaps[gap] == 1:
            log.warning("words are missing", what=what, key=key)

    def _on_the_clocks(self, pattern: str, locale: Locale, moment: datetime, timezone: str) -> str:
        zone = zone_of(timezone)
        label = moment.astimezone(zone).tzname() or ""
        text = format_datetime(moment, pattern, tzinfo=zone, locale=locale)
        return f"{text} {'GMT' if label.startswith(('+', '-')) else ''}{label}"


def negotiate(wanted: str | None, accept_language: str | None, default: Locale) -> Locale:
    """The language to speak: the wanted one, else the best of `Accept-Language` (RFC 9110, 12.5.4), else `default`."""
    for tag in (wanted or "", *_by_preference(accept_language or "")):
        language = re.split("[-_]", tag.strip().lower(), maxsplit=1)[0]
        if language in _LOCALE_BY_LANGUAGE:
            return _LOCALE_BY_LANGUAGE[language]
    return default


def _by_preference(accept_language: str) -> list[str]:
    ranges = list(_ranges(accept_language[:_LONGEST_HEADER]))
    return [tag for quality, tag in sorted(ranges, key=lambda each: -each[0]) if quality > 0]


def _ranges(accept_language: str) -> Iterator[tuple[float, str]]:
    for each in accept_language.split(","):
        tag, _, parameters = each.partition(";")
        quality = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*", parameters)
        if quality or not parameters.strip():
            yield float(quality[1]) if quality else 1.0, tag


@cache
def _read(path: Path, locale: Locale) -> Mapping[str, str]:
    """What a catalog says; messages that are not translated are left out, except in English.

    Read once in a process, and in those that it forks not at all.
    """
    with path.open("rb") as file:
        messages = read_po(file, locale=locale, abort_invalid=True)
    texts: dict[str, str] = {}
    for message in messages:
        text = str(message.string or "") if not message.fuzzy else ""
        if message.id and (text or locale == "en"):
            texts[str(message.id)] = text or str(message.id)
    return texts


def _plain(value: Any) -> str:
    """A parameter as it stands in a sentence: its writing direction cannot reach the words around it."""
    if value is None:
        return "…"
    text = BIDI_CONTROLS.sub("", str(value))
    is_right_to_left = any(unicodedata.bidirectional(char) in ("R", "AL", "AN") for char in text)
    return f"{_FIRST_STRONG_ISOLATE}{text}{_POP_ISOLATE}" if is_right_to_left else text


def zone_of(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC
