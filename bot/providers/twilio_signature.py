"""Whether a request is Twilio's own: it signs the address that it was told to call, and the form that it sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twilio.request_validator import SIGNATURE_SETTINGS_HEADER, RequestValidator, get_signature_algorithm


def is_signed_by_twilio(token: str, url: str, form: Any, headers: Mapping[str, str]) -> bool:
    """`url` is the address as Twilio knows it, `form` what stood in the body; False for whatever cannot be read."""
    algorithm = get_signature_algorithm(headers.get(SIGNATURE_SETTINGS_HEADER))
    try:
        return bool(RequestValidator(token).validate(url, form, headers.get("X-Twilio-Signature", ""), algorithm))
    except (ValueError, TypeError):  # text is UTF-8, and no file is among the fields
        return False
