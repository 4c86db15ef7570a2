"""The one place where what people write is cleaned and judged, before it is kept, shown or sent.

What comes out is trimmed, in NFC, and fit for every format further on: mails are made of XML 1.0, which takes neither
control characters nor U+FFFE (https://www.w3.org/TR/xml/#charsets).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Annotated, Any

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BeforeValidator, StringConstraints, WithJsonSchema

from conversations.replies import N_

MESSAGE_LENGTH = 4000
# As Unicode's stream-safe text format (UAX #15, section 13): no language writes so many, and sorting them is quadratic.
MOST_MARKS_IN_A_ROW = 30
_LINE_BREAKS = frozenset("\n\t")
# Categories of characters that show nothing by themselves; what this Python does not know yet may be an emoji.
_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs", "Mn", "Mc", "Me"})
# Letters and symbols that are blank: the fillers of Hangul and the empty pattern of Braille.
_BLANK = frozenset("\u115f\u1160\u3164\uffa0\u2800")
_AT_THE_EDGES = "".join(_BLANK) + "\u200b\u2060\ufeff"


def is_noncharacter(char: str) -> bool:
    """One of the 66 code points that Unicode keeps for nobody (https://www.unicode.org/faq/private_use.html)."""
    code = ord(char)
    return code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF


def clean(text: str) -> str:
    """The text as it is kept: NFC, trimmed, without what is no character of a text.

    Raises ValueError for more marks in a row than any language writes, before they are sorted.
    """
    if text.isascii():  # as most texts are; the rest looks at each character
        if text.isprintable():
            return text.strip()
    elif _longest_run_of_marks(text) > MOST_MARKS_IN_A_ROW:
        raise ValueError(N_("contains characters that are not text"))
    kept = "".join(char for char in text if char in _LINE_BREAKS or not _is_no_text(char))
    return _trimmed(unicodedata.normalize("NFC", kept))


def _is_no_text(char: str) -> bool:
    """Half a surrogate pair stays: no text is made of it, and the field refuses it."""
    return unicodedata.category(char) == "Cc" or is_noncharacter(char)


def _trimmed(text: str) -> str:
    while (shorter := text.strip().strip(_AT_THE_EDGES)) != text:
        text = shorter
    return text


def _longest_run_of_marks(text: str) -> int:
    longest = run = 0
    for char in text:
        run = run + 1 if unicodedata.category(char)[0] == "M" else 0
        longest = max(longest, run)
    return longest


def is_blank(characters: Iterable[str]) -> bool:
    """Spaces, marks without a letter and invisible characters alone are nothing that anybody could read."""
    return all(char in _BLANK or unicodedata.category(char) in _INVISIBLE for char in characters)


def not_empty(text: str) -> str:
    begins_with_a_letter = text[:1].isalnum() and text[0] not in _BLANK  # as nearly every text does
    if not begins_with_a_letter and is_blank(text):
        raise ValueError(N_("must not be empty"))
    return text


def one_line(text: str) -> str:
    return " ".join(text.split())


def _cleaned(value: Any) -> Any:
    """Before anything else is asked of it; what is no text is for the field to refuse."""
    return clean(value) if isinstance(value, str) else value


Cleaned = BeforeValidator(_cleaned)
"""Marks a field of what people write: a test walks the models and finds no text without it, or without a pattern."""
Trimmed = BeforeValidator(lambda value: value.strip() if isinstance(value, str) else value)
"""For what has rules of its own, and must not become right by leaving something out."""


def read_email(text: str) -> str:
    """The address as it is sent to, its domain in ASCII. Raises ValueError: what is accepted can be sent.

    The rules are those of https://github.com/JoshData/python-email-validator; whether the domain exists is not asked.
    """
    try:
        address = validate_email(
            text, check_deliverability=False, allow_smtputf8=False, test_environment=True
        ).ascii_email
    except EmailNotValidError:
        raise ValueError(N_("is not an e-mail address")) from None
    assert address is not None, "without SMTPUTF8 there is always one"
    return address


_LINE = StringConstraints(strict=True, max_length=200)
Line = Annotated[str, _LINE, AfterValidator(one_line), Cleaned]
Reason = Annotated[str, _LINE, AfterValidator(one_line), AfterValidator(not_empty), Cleaned]
Name = Annotated[
    str, StringConstraints(strict=True, max_length=80), AfterValidator(one_line), AfterValidator(not_empty), Cleaned
]
Address = Annotated[
    str, StringConstraints(strict=True, max_length=300), AfterValidator(one_line), AfterValidator(not_empty), Cleaned
]
Email = Annotated[
    str,
    StringConstraints(strict=True, max_length=254),
    AfterValidator(read_email),
    Trimmed,
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
]
Text = Annotated[str, StringConstraints(strict=True, max_length=MESSAGE_LENGTH), AfterValidator(not_empty), Cleaned]
Note = Annotated[str, StringConstraints(strict=True, max_length=1000), Cleaned]
Written = Annotated[str, StringConstraints(strict=True, max_length=254), Cleaned]
"""What is judged later, and stops nothing."""
