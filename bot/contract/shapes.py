"""The values that answers and entries are made of, as they stand in JSON."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from bot.errors import STATUS_BY_CODE
from conversations.values import Locale


def _a_code_of_ours(code: str) -> str:
    if code not in STATUS_BY_CODE:
        raise ValueError("is no code of the contract")
    return code


Code = Annotated[str, AfterValidator(_a_code_of_ours), Field(json_schema_extra={"enum": [*STATUS_BY_CODE]})]


class Sent(BaseModel):
    """Anything that goes out: every field is always there, and there are no others."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class Redactable(Sent):
    """What an entry says. It goes on being there when its guest has been forgotten, without what was theirs."""

    redacted: bool = False
    """Whether what was personal is gone from it; left out where it is not."""


class ErrorBody(Sent):
    """Why something was refused; it changed nothing."""

    code: Code
    message: str
    """In the reader's language, ready to show."""
    fields: dict[str, str]
    """For each field that is wrong, by its path (`location.latitude`), why."""
    retry_after_s: float | None
    """When it makes sense to try again, where that is known."""


class SignedInTherapist(Sent):
    id: str
    name: str
    photo: str


Params = dict[str, JsonValue]
Language = Locale
