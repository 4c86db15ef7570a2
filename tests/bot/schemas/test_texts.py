"""What people write is cleaned and judged in one place, whichever way it comes in."""

from __future__ import annotations

import time
import typing
import unicodedata
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import StringConstraints, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

import bot.contract.openapi  # noqa: F401 - it knows every model, so that all of them are there
from bot.schemas.fields import Payload, parse_phone
from bot.schemas.texts import (
    MOST_MARKS_IN_A_ROW,
    Cleaned,
    Email,
    Line,
    Name,
    Note,
    Text,
    Trimmed,
    clean,
    is_noncharacter,
)

# What programs say to each other: it is compared, looked up or checked by its own signature, and shown to nobody.
OF_PROGRAMS = {
    "token",
    "epoch",
    "locale",
    "timezone",
    "feed",
    "signals",
    "event",
    "since",
    "userId",
    "type",
    "id_token",
}
BLANK = {
    "spaces": " \t\n",
    "a filler of Hangul": "\u3164",
    "fillers of syllables": "\u115f\u1160",
    "a filler of half width": "\uffa0",
    "Braille without a dot": "\u2800",
    "marks": "\u0301\u0302",
    "a joiner and marks": "\u200d\u0301\ufe0f",
    "a right-to-left mark": "\u200f",
    "noncharacters": "\ufffe\uffff\ufdd0",
    "control characters": "\x00\x07\x1b",
}


def read(kind: Any, text: Any) -> Any:
    return TypeAdapter(kind).validate_python(text)


def models(of: type[Payload] = Payload) -> Iterator[type[Payload]]:
    for model in of.__subclasses__():
        yield model
        yield from models(model)


def texts_of(annotation: Any, metadata: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """What stands at each text within a type."""
    arguments = typing.get_args(annotation)
    if hasattr(annotation, "__metadata__"):
        yield from texts_of(arguments[0], (*metadata, *annotation.__metadata__))
    elif typing.get_origin(annotation) is typing.Literal:
        return
    elif typing.get_origin(annotation) is dict:  # the names in it are the model's or a program's own
        yield from texts_of(arguments[1], metadata)
    elif arguments:
        for each in arguments:
            yield from texts_of(each, metadata)
    elif annotation is str:
        yield metadata


def is_judged(metadata: tuple[Any, ...]) -> bool:
    flat = [each for item in metadata for each in (item.metadata if isinstance(item, FieldInfo) else (item,))]
    patterns = [each for each in flat if isinstance(each, StringConstraints) and each.pattern]
    patterns += [each for each in flat if getattr(each, "pattern", None)]
    return bool(patterns) or any(each in (Cleaned, Trimmed) for each in flat)


def test_every_text_that_comes_in_is_cleaned_or_has_a_pattern() -> None:
    known = set(models())
    assert len(known) > 30
    unjudged = {
        f"{model.__name__}.{name}"
        for model in known
        for name, field in model.model_fields.items()
        for metadata in texts_of(field.annotation, tuple(field.metadata))
        if name not in OF_PROGRAMS and not is_judged(metadata)
    }
    assert not unjudged


def test_a_text_that_nobody_judges_is_seen() -> None:
    assert [is_judged(each) for each in texts_of(str | None, ())] == [False]
    assert [is_judged(each) for each in texts_of(Name | None, ())] == [True]


@pytest.mark.parametrize("kind", [Name, Text])
@pytest.mark.parametrize("what", BLANK)
def test_what_looks_blank_is_empty(kind: Any, what: str) -> None:
    with pytest.raises(ValidationError, match="must not be empty"):
        read(kind, BLANK[what])


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("  Budi  ", "Budi"),
        ("Bu\ufffedi\uffff", "Budi"),
        ("Budi\U0001fffe", "Budi"),
        ("\u3164Budi\u3164 ", "Budi"),
        ("e\u0301", "é"),
        ("👩\u200d🦰", "👩\u200d🦰"),
        ("नमस्ते", "नमस्ते"),
        ("한국 사람", "한국 사람"),
        ("❤️", "❤️"),
    ],
)
def test_a_name_is_kept_as_it_can_be_shown_and_sent(written: str, kept: str) -> None:
    assert read(Name, written) == kept


def test_lengths_are_those_of_what_is_kept() -> None:
    assert read(Name, " " * 500 + "x" * 80 + " " * 500) == "x" * 80
    with pytest.raises(ValidationError, match="at most 80"):
        read(Name, "x" * 81)


@pytest.mark.parametrize("kind", [Name, Text, Line, Note])
def test_more_marks_than_any_language_writes_are_refused_before_they_are_sorted(kind: Any) -> None:
    marks = "\u0301\u0323" * MOST_MARKS_IN_A_ROW
    with pytest.raises(ValidationError, match="contains characters that are not text"):
        read(kind, f"a{marks}")
    assert read(kind, "a" + "\u0323" * MOST_MARKS_IN_A_ROW)


def test_a_long_text_of_bad_marks_costs_no_more_than_a_look_at_each() -> None:
    """Sorting grows with the square: ten times the marks would take a hundred times as long, and not ten."""

    def took(text: str) -> float:
        started = time.perf_counter()
        for _ in range(3):
            with pytest.raises(ValueError, match="not text"):
                clean(text)
        return time.perf_counter() - started

    bad = "a" + "\u0301\u0323" * 1_000
    took(bad)
    assert took("a" + "\u0301\u0323" * 10_000) < 40 * took(bad)


@given(st.text())
def test_what_is_kept_stays_as_it_is_and_is_fit_for_xml(text: str) -> None:
    try:
        kept = clean(text)
    except ValueError:
        return
    assert clean(kept) == kept == unicodedata.normalize("NFC", kept)
    assert not any(is_noncharacter(char) for char in kept)
    assert not any(unicodedata.category(char) == "Cc" and char not in "\n\t" for char in kept)


# --- addresses and numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("budi@example.com", "budi@example.com"),
        ("budi@example.com ", "budi@example.com"),
        ("\tBudi.Santoso+pijat@Example.com\n", "Budi.Santoso+pijat@example.com"),
        ("budi@münchen.example", "budi@xn--mnchen-3ya.example"),
    ],
)
def test_an_address_is_kept_as_it_is_sent_to(written: str, kept: str) -> None:
    assert read(Email, written) == kept


@pytest.mark.parametrize(
    "written",
    [
        *("budi", "budi@", "@example.com", "budi@example", "budi@example.com.", "mailto:budi@example.com"),
        *("Budi <budi@example.com>", "a..b@example.com", ".a@example.com", "bü@example.com", "budi@exa mple.com"),
        *("budi@-example.com", "budi@example..com", "budi@[127.0.0.1]", "budi@example.com\x00", "a@b@example.com"),
    ],
)
def test_an_address_that_could_not_be_sent_to_is_refused(written: str) -> None:
    with pytest.raises(ValidationError, match="is not an e-mail address"):
        read(Email, written)


@pytest.mark.parametrize(
    "written", ["0812-34S6-7890", "0812 3456 789O", "1-800-FLOWERS", "0812²3456789", "+62x81234567890"]
)
def test_a_number_with_letters_is_no_number_of_somebody_else(written: str) -> None:
    with pytest.raises(ValueError, match="is not a phone number"):
        parse_phone(written, "ID")


@pytest.mark.parametrize(
    "written", ["0812-3456-7890", "(0812) 3456 7890", "+62 812.3456.7890", "\u202a+62 812\u20113456\u20117890\u202c"]
)
def test_a_number_is_read_however_people_write_it(written: str) -> None:
    assert parse_phone(written, "ID") == "+6281234567890"
