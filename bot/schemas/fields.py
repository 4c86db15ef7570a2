"""The kinds of field that people fill in: how each is cleaned and judged, and what every payload has in common.

Models refuse unknown fields and never convert: a number in a string is an error that names its field.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Literal

import phonenumbers
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from conversations.replies import N_

MESSAGE_LENGTH = 4000
_LINE_BREAKS = frozenset("\n\t")
# Categories of characters that show nothing; what this Python's Unicode does not know yet may be a new emoji.
_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})


def clean(text: str) -> str:
    """The text as it is kept: NFC, without control characters."""
    if text.isprintable() and unicodedata.is_normalized("NFC", text):
        return text.strip()  # as nearly every text is; the rest looks at each character
    visible = (char for char in text if char in _LINE_BREAKS or unicodedata.category(char) != "Cc")
    return unicodedata.normalize("NFC", "".join(visible)).strip()


def not_empty(text: str) -> str:
    """Spaces and invisible marks alone are nothing that anybody could read."""
    is_plain = text[:1].isalnum()  # as nearly every text begins
    if not is_plain and all(unicodedata.category(char) in _INVISIBLE for char in text):
        raise ValueError(N_("must not be empty"))
    return text


def one_line(text: str) -> str:
    return " ".join(text.split())


ClientId = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
Id = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
Line = Annotated[str, StringConstraints(strict=True, max_length=200), AfterValidator(clean), AfterValidator(one_line)]
Reason = Annotated[Line, AfterValidator(not_empty)]
Name = Annotated[
    str,
    StringConstraints(strict=True, max_length=80),
    AfterValidator(clean),
    AfterValidator(one_line),
    AfterValidator(not_empty),
]
Email = Annotated[
    str,
    StringConstraints(strict=True, max_length=254, pattern=r"^[^@\s\p{C}]+@[^@\s\p{C}]+\.[^@\s\p{C}]+$"),
    # Not every reader of a JSON Schema knows `\p`.
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
]
Text = Annotated[
    str,
    StringConstraints(strict=True, max_length=MESSAGE_LENGTH),
    AfterValidator(clean),
    AfterValidator(not_empty),
]
Note = Annotated[str, StringConstraints(strict=True, max_length=1000), AfterValidator(clean)]
Revision = Annotated[StrictInt, Field(ge=0, le=2**53)]
Cursor = Annotated[StrictInt, Field(ge=0, le=2**53)]
Latitude = Annotated[float, Field(strict=True, ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(strict=True, ge=-180, le=180, allow_inf_nan=False)]
Duration = Literal[60, 90, 120]


def parse_phone(raw: str, region: str) -> str:
    """The number in E.164; numbers without a country are read as the region's. Raises ValueError with the reason."""
    spelled = "+" + raw[2:] if raw.startswith("00") else raw
    try:
        number = phonenumbers.parse(spelled, region)
    except phonenumbers.NumberParseException as error:
        raise ValueError(N_("is not a phone number")) from error
    if not phonenumbers.is_valid_number(number):
        raise ValueError(N_("is not a complete phone number"))
    kind = phonenumbers.number_type(number)
    if kind not in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE):
        raise ValueError(N_("must be a mobile number"))
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


class Payload(BaseModel):
    """Anything that comes in. Validation gets the default region for phone numbers as its context."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class WithPhone(Payload):
    phone: Annotated[str, StringConstraints(strict=True, min_length=4, max_length=32)]

    @field_validator("phone")
    @classmethod
    def _phone_in_e164(cls, value: str, info: ValidationInfo) -> str:
        region = (info.context or {}).get("region", "ID")
        return parse_phone(clean(value), region)


class CommandPayload(Payload):
    """Every command carries an id of the client's own: the same id again gets the first answer again."""

    client_id: ClientId
