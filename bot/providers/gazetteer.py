"""Where places of Indonesia are, by their names: a list that ships with the program, and needs neither key nor network.

The list is made of GeoNames' data (https://www.geonames.org, CC BY 4.0) by `scripts/gazetteer`.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PLACES = Path(__file__).parent / "places.tsv"
MOST_FOUND = 6
SHORTEST_BEGINNING = 3


@dataclass(frozen=True, slots=True)
class Place:
    """A town, a village or a district; degrees are WGS 84. `people` is 0 where nobody has counted them."""

    name: str
    region: str
    latitude: float
    longitude: float
    people: int


class Gazetteer:
    """Finds the places that a text names, the likeliest first."""

    def __init__(self, places: list[Place]) -> None:
        self._by_first: dict[str, list[tuple[tuple[str, ...], Place]]] = defaultdict(list)
        for place in places:
            words = _words(place.name)
            if words:
                self._by_first[words[0]].append((words, place))
        self._firsts = sorted(self._by_first)
        # Who ends with one has said all: Bali is no half of Balikpapan.
        self._of_regions = {word for place in places for word in _words(place.region)}

    def find(self, text: str, limit: int = MOST_FOUND) -> list[Place]:
        """Those whose whole name stands in the text, and those that begin as it ends: it may be half written.

        Where the text names the region, too, that one is meant: there is a Bandung in three of them.
        """
        words = _words(text)
        said = " ".join(words)
        found: dict[Place, tuple[bool, bool, int]] = {}
        for place, is_whole, length in self._candidates(words):
            is_of_the_region = bool(place.region) and " ".join(_words(place.region)) in said
            score = (is_of_the_region and is_whole, is_whole, length * 10_000_000 + place.people)
            found[place] = max(score, found.get(place, score))
        return sorted(found, key=lambda place: found[place], reverse=True)[:limit]

    def _candidates(self, words: tuple[str, ...]) -> Iterator[tuple[Place, bool, int]]:
        """With how many of its words stand there."""
        for start, word in enumerate(words):
            for name, place in self._by_first.get(word, ()):
                if words[start : start + len(name)] == name:
                    yield place, True, len(name)
        if words and len(words[-1]) >= SHORTEST_BEGINNING and words[-1] not in self._of_regions:
            for name, place in self._beginning_with(words[-1]):
                yield place, False, len(name) - 1

    def _beginning_with(self, beginning: str) -> Iterator[tuple[tuple[str, ...], Place]]:
        for first in self._firsts[bisect_left(self._firsts, beginning) :]:
            if not first.startswith(beginning):
                return
            yield from self._by_first[first]


def _words(text: str) -> tuple[str, ...]:
    plain = "".join(char for char in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(char))
    return tuple(re.findall(r"[a-z0-9]+", plain))


@cache
def gazetteer() -> Gazetteer:
    """The one that ships with the program, read when somebody first looks for a place."""
    rows = (line.split("\t") for line in PLACES.read_text(encoding="utf-8").splitlines())
    return Gazetteer(
        [Place(name, region, float(north), float(east), int(people)) for name, region, north, east, people in rows]
    )
