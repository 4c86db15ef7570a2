"""What can be said of the pages by reading them: nothing inline, nothing inserted as HTML, all there, all readable."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import pytest

from bot.web.http.pages import AT_THE_ROOT, PAGES

SCRIPTS = sorted(PAGES.rglob("*.js"))
MARKUP = sorted(PAGES.rglob("*.html"))
PICTURES = sorted(PAGES.glob("**/*.svg"))

# Ways to turn text into markup or into a program.
FORBIDDEN = re.compile(
    r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment|srcdoc)\b"
    r"|\beval\(|\bnew Function\b|\bset(?:Timeout|Interval)\(\s*[\"'`]|setAttribute\(\s*[\"']style"
)
IMPORT = re.compile(r'^(?:import|export)\s[^;]*?from "(/[^"]+)"', re.MULTILINE)

SMALL_TEXT = 4.5
BORDERS_OF_CONTROLS = 3.0
PAPERS = ("paper", "surface", "sunk", "accent-soft")
# Which colour is written on which, and how much contrast WCAG 2 asks for there.
PAIRS = [
    *((ink, paper, SMALL_TEXT) for ink, paper in product(("ink", "quiet", "accent-ink"), PAPERS)),
    *(("danger", paper, SMALL_TEXT) for paper in ("paper", "surface", "danger-soft")),
    ("ink", "danger-soft", SMALL_TEXT),
    ("quiet", "danger-soft", SMALL_TEXT),
    ("on-accent", "accent", SMALL_TEXT),
    ("on-danger", "danger", SMALL_TEXT),
    *(("edge", paper, BORDERS_OF_CONTROLS) for paper in ("paper", "surface")),
    ("gold", "surface", BORDERS_OF_CONTROLS),
]

Colour = tuple[float, float, float]


class Reading(HTMLParser):
    """A page's scripts and links, and whatever a strict content security policy would refuse in it."""

    def __init__(self) -> None:
        super().__init__()
        self.inline: list[str] = []
        self.modules: list[str] = []
        self.preloaded: list[str] = []
        self.files: list[str] = []
        self._open_tag = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open_tag = tag
        known = dict(attrs)
        self.inline += [f"<{tag} {name}>" for name in known if name == "style" or name.startswith("on")]
        address = known.get("src") or (known.get("href") if tag == "link" else None)
        if address:
            self.files.append(address)
        if tag == "script" and known.get("type") == "module":
            self.modules.append(known["src"] or "")
        if known.get("rel") == "modulepreload":
            self.preloaded.append(known["href"] or "")

    def handle_data(self, data: str) -> None:
        if self._open_tag in ("script", "style") and data.strip():
            self.inline.append(f"<{self._open_tag}>")


def read(page: Path) -> Reading:
    reading = Reading()
    reading.feed(page.read_text(encoding="utf-8"))
    return reading


def file_at(address: str) -> Path:
    name = address.lstrip("/")
    return PAGES / AT_THE_ROOT.get(name, name)


def imports_of(address: str) -> set[str]:
    """The modules that a module needs, and those that they need."""
    needed: set[str] = set()
    waiting = [address]
    while waiting:
        text = file_at(waiting.pop()).read_text(encoding="utf-8")
        new = set(IMPORT.findall(text)) - needed
        needed |= new
        waiting += new
    return needed


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_nothing_is_ever_inserted_as_html(script: Path) -> None:
    assert FORBIDDEN.findall(script.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("page", MARKUP, ids=lambda path: path.name)
def test_a_page_has_no_inline_script_and_no_inline_style(page: Path) -> None:
    assert read(page).inline == []


@pytest.mark.parametrize("page", MARKUP, ids=lambda path: path.name)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    assert [address for address in read(page).files if not file_at(address).is_file()] == []


@pytest.mark.parametrize("page", MARKUP, ids=lambda path: path.name)
def test_a_page_announces_all_its_modules_so_that_they_load_at_once(page: Path) -> None:
    reading = read(page)
    assert sorted(reading.preloaded) == sorted(set().union(*map(imports_of, reading.modules)))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_module_begins_by_saying_what_it_is_for(script: Path) -> None:
    assert re.match(r"/\*\*?\s+\S.*[.:]", script.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda path: path.name)
def test_a_picture_is_only_a_picture(picture: Path) -> None:
    assert re.findall(r"<(?:script|style|foreignObject|image|use)\b|\bon\w+=|style=|href=", picture.read_text()) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("ink", "paper", "least"), PAIRS, ids=lambda value: str(value))
def test_what_is_written_can_be_read(scheme: str, ink: str, paper: str, least: float) -> None:
    colours = tokens(scheme)
    assert contrast(colours[ink], colours[paper]) >= least


def tokens(scheme: str) -> dict[str, Colour]:
    """The colours of the style sheet; in the dark those it redefines win."""
    light, dark, *_ = re.findall(r":root \{(.*?)\}", (PAGES / "parts/style.css").read_text(encoding="utf-8"), re.DOTALL)
    declared = dict(re.findall(r"--([\w-]+): ([^;]+);", light))
    if scheme == "dark":
        declared |= dict(re.findall(r"--([\w-]+): ([^;]+);", dark))
    colours = {name: rgb(value) for name, value in declared.items() if value.startswith("#")}
    share = int(re.findall(r"var\(--accent\) (\d+)%", declared["accent-soft"])[0]) / 100
    both = zip(colours["accent"], colours["surface"], strict=True)
    mixed = [share * one + (1 - share) * other for one, other in both]
    return {**colours, "accent-soft": (mixed[0], mixed[1], mixed[2])}


def rgb(hexadecimal: str) -> Colour:
    red, green, blue = (int(hexadecimal[start : start + 2], 16) / 255 for start in (1, 3, 5))
    return red, green, blue


def contrast(one: Colour, other: Colour) -> float:
    """The contrast ratio of WCAG 2."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: Colour) -> float:
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
