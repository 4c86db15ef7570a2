"""The situations a person can be refused in: each has a code of the public contract and an HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

STATUS_BY_CODE: Mapping[str, int] = {
    "invalid": 422,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "stale": 409,
    "offer_taken": 409,
    "offer_expired": 409,
    "not_now": 409,
    "already_live": 409,
    "slot_taken": 409,
    "too_many_requests": 429,
    "too_large": 413,
    "payment_declined": 402,
    "unavailable": 503,
}


class Refusal(Exception):
    """A command that is answered with an error of the contract; `message` is an English msgid for the catalog."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        fields: Mapping[str, str] | None = None,
        retry_after_s: float | None = None,
        status: int | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.fields = dict(fields or {})
        self.retry_after_s = retry_after_s
        self.status = status or STATUS_BY_CODE[code]

    def as_error(self, message: str | None = None) -> dict[str, Any]:
        """The error object of the contract, with the message already translated by the caller where it can."""
        return {
            "code": self.code,
            "message": message or self.message,
            "fields": self.fields,
            "retry_after_s": self.retry_after_s,
        }


class Outage(Exception):
    """A dependency did not answer within its time: nothing was decided, and the same command may come again."""
