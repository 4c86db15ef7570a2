"""A short message costs what the standard says, and never more than two of its segments."""

from __future__ import annotations

import pytest

from workers.short_messages import GSM_BASIC, GSM_EXTENSION, fitted, is_gsm, plain, segments

SMILE = "\N{SMILING FACE WITH OPEN MOUTH}"


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 1),
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("a" * 459, 3),
        ("a" * 460, 4),
        # Of the extension each takes two places, and is not cut in two.
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("€" * 152, 2),
        ("€" * 153, 3),
        ("a" * 158 + "[", 1),
        ("a" * 159 + "[", 2),
        ("a" * 152 + "[" + "a" * 152, 3),
        ("a" * 153 + "[" + "a" * 151, 2),
        # One character outside of the alphabet, and all are UTF-16.
        ("ж" * 70, 1),
        ("ж" * 71, 2),
        ("ж" * 134, 2),
        ("ж" * 135, 3),
        ("a" * 69 + "’", 1),
        ("a" * 70 + "’", 2),
        ("`", 1),
        ("a" * 70 + "ç", 2),
        ("a" * 159 + "Ç", 1),
        # A character beyond the basic plane takes two, and is not cut in two.
        (SMILE * 35, 1),
        (SMILE * 36, 2),
        (SMILE * 66, 2),
        (SMILE * 67, 3),
        ("ж" * 66 + SMILE + "ж" * 66, 3),
    ],
)
def test_segments_are_counted_as_the_network_does(text: str, count: int) -> None:
    assert segments(text) == count


def test_the_alphabet_is_that_of_the_standard() -> None:
    """127 of the basic table, without its escape, and 10 of the extension."""
    assert (len(GSM_BASIC), len(GSM_EXTENSION)) == (127, 10)
    assert not GSM_BASIC & GSM_EXTENSION
    assert is_gsm("Hello £5 @ Ñandù? {€3}")
    assert not [char for char in "çáíóúŠł`’–…" if is_gsm(char)]


def test_typographic_characters_cost_nothing() -> None:
    assert plain("“Rp\u00a0250” – it’s…\n now") == '"Rp 250" - it\'s... now'


def test_names_give_way_until_the_text_fits_and_what_counts_stays() -> None:
    def text(room: int) -> str:
        return f"{('Ayu ' * 100)[:room]} {('Жаннат ' * 100)[:room]} at 10:00 WIB. Ref JNJ-1 https://janji.example/chat"

    fitting = fitted(text)

    assert segments(fitting) == 2
    assert fitting.endswith("at 10:00 WIB. Ref JNJ-1 https://janji.example/chat")
    assert len(fitting) > 110


def test_a_short_text_is_left_as_it_is() -> None:
    assert fitted(lambda room: f"Ayu, 10:00 WIB. {room}") == "Ayu, 10:00 WIB. 40"
