"""From what came in to a payload, or to a refusal that names every field which is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from bot.errors import Refusal
from bot.schemas.fields import Payload
from conversations.replies import N_

# A refusal names at most this many fields, and of a name that the sender made up no more than this.
MOST_FIELDS_NAMED = 20
LONGEST_FIELD_NAMED = 64
P = TypeVar("P", bound=Payload)
REASONS: Mapping[str, str] = {
    "missing": N_("is required"),
    "extra_forbidden": N_("is not known"),
    "literal_error": N_("is not one of the choices"),
    "string_type": N_("must be text"),
    "string_unicode": N_("contains characters that are not text"),
    "string_too_long": N_("is too long"),
    "string_too_short": N_("is too short"),
    "bool_type": N_("must be yes or no"),
    "int_type": N_("must be a whole number"),
    "float_type": N_("must be a number"),
    "float_parsing": N_("must be a number"),
    "finite_number": N_("must be a number"),
    "greater_than_equal": N_("is out of range"),
    "less_than_equal": N_("is out of range"),
    "model_type": N_("must be an object"),
    "dict_type": N_("must be an object"),
    "other": N_("is not valid"),
}


def parse(model: type[P], data: Any, *, region: str = "ID") -> P:
    """The payload, or `Refusal` that names every field which is wrong (`too_large` where a text is too long)."""
    if not isinstance(data, dict):
        raise Refusal("invalid", "Please check what you entered.", fields={"": N_("must be an object")})
    try:
        return model.model_validate(data, context={"region": region})
    except ValidationError as error:
        raise refusal_of(error) from None


def refusal_of(error: ValidationError) -> Refusal:
    """The refusal that names every field which is wrong; `too_large` where a text is too long."""
    faults = error.errors(include_url=False, include_input=False)
    fields: dict[str, str] = {}
    for fault in faults[:MOST_FIELDS_NAMED]:
        name = ".".join(str(part) for part in fault["loc"])
        fields.setdefault(name[:LONGEST_FIELD_NAMED], _reason(fault))
    if any(fault["type"] == "string_too_long" for fault in faults):
        return Refusal("too_large", "This is too long.", fields=fields)
    return Refusal("invalid", "Please check what you entered.", fields=fields)


def _reason(fault: Any) -> str:
    """Why the field is wrong, as a msgid: our own checks say it themselves, the library's are named by their type."""
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    return REASONS.get(fault["type"], REASONS["other"])
