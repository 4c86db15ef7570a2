"""Numbers, names of ours and phone numbers as fields, and what every payload has in common; texts stand in `texts`.

Models refuse unknown fields and never convert: a number in a string is an error that names its field.
"""

from __future__ import annotations

from typing import Annotated, Literal

import phonenumbers
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from bot.schemas.texts import Cleaned
from conversations.replies import N_

ClientId = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
Id = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
Revision = Annotated[StrictInt, Field(ge=0, le=2**53)]
Cursor = Annotated[StrictInt, Field(ge=0, le=2**53)]
Latitude = Annotated[float, Field(strict=True, ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(strict=True, ge=-180, le=180, allow_inf_nan=False)]
Duration = Literal[60, 90, 120]


# What people write between the digits of a number: spaces, brackets, dots, slashes and dashes of every kind.
_BETWEEN_DIGITS = frozenset(
    "+-().,/ \t\u00a0\u2009\u200a\u202f\u3000"  # and what contacts that are copied bring along, which nobody sees:
    "\u00ad\u200e\u202a\u202c\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0b\uff0d\uff08\uff09\uff0f"
)


def parse_phone(raw: str, region: str) -> str:
    """The number in E.164; numbers without a country are read as the region's. Raises ValueError with the reason."""
    raw = raw.strip().removeprefix("tel:")
    if not all(char.isdecimal() or char in _BETWEEN_DIGITS for char in raw):
        raise ValueError(N_("is not a phone number"))  # the library drops letters, and calls somebody else
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
    phone: Annotated[str, StringConstraints(strict=True, min_length=4, max_length=32), Cleaned]

    @field_validator("phone")
    @classmethod
    def _phone_in_e164(cls, value: str, info: ValidationInfo) -> str:
        region = (info.context or {}).get("region", "ID")
        return parse_phone(value, region)


class CommandPayload(Payload):
    """Every command carries an id of the client's own: the same id again gets the first answer again."""

    client_id: ClientId
