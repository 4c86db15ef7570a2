"""Short messages: how many segments a text takes, and how a text is made to fit into a few.

A segment holds 140 bytes: 160 characters of the GSM alphabet (3GPP TS 23.038, 6.2.1), or 70 of UTF-16 where one of them
is not in it; of several segments each gives 6 bytes away to say which it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENSION = frozenset("\f^{}\\[~]|€")
"""Sent behind an escape, so that each counts twice."""

MOST_SEGMENTS = 2
# What names and addresses may take, the longest that fits is used; nothing is left of them at the end.
_ROOM_FOR_NAMES = (40, 30, 24, 20, 16, 12, 8, 4, 0)
# Typographic characters would cost half of the room and say nothing more.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("‘’‚′ʼ`´", "'"),
        **dict.fromkeys("“”„″«»", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys("\u00a0\u2007\u2009\u202f", " "),
        **dict.fromkeys("\u200b\u200e\u200f\u2060\u2066\u2067\u2068\u2069\ufeff\u00ad", ""),
        "…": "...",
        "•": "-",
        "·": "-",
    }
)


def is_gsm(text: str) -> bool:
    return all(char in GSM_BASIC or char in GSM_EXTENSION for char in text)


def segments(text: str) -> int:
    """How many segments a text is sent and charged as; neither an escape nor half of a pair ends one."""
    if is_gsm(text):
        return _count((2 if char in GSM_EXTENSION else 1 for char in text), alone=160, of_several=153)
    return _count((2 if ord(char) > 0xFFFF else 1 for char in text), alone=70, of_several=67)


def fitted(write: Callable[[int], str], most_segments: int = MOST_SEGMENTS) -> str:
    """The text with as much room for names as fits; `write` gets how many characters each of them may have."""
    texts = (plain(write(room)) for room in _ROOM_FOR_NAMES)
    shortest = ""
    for text in texts:
        if segments(text) <= most_segments:
            return text
        shortest = text
    return shortest


def plain(text: str) -> str:
    """The text on one line and without typographic characters; what was cut needs no full stop."""
    return re.sub(r"\s+", " ", text.replace("….", "…").translate(_PLAIN)).strip()


def _count(sizes: Iterable[int], alone: int, of_several: int) -> int:
    used = list(sizes)
    if sum(used) <= alone:
        return 1
    count, room = 1, of_several
    for size in used:
        if size > room:
            count, room = count + 1, of_several
        room -= size
    return count
