"""Whether a webhook was really sent by whom it says, just now: each sender's way to sign the very bytes of a body."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime

from bot.settings.kinds import key_of_standard

# Who records a webhook and sends it again later is too late. Both senders advise this time.
TOLERANCE_S = 300

_TIMESTAMP = re.compile(r"[0-9]{1,12}")


def is_signed_by_stripe(header: str, body: bytes, secret: str, now: datetime) -> bool:
    """`Stripe-Signature: t=<seconds>,v1=<hex>`, with several `v1` while a secret is replaced.

    The scheme: https://docs.stripe.com/webhooks#verify-manually. When payments come to this program, the function of
    Stripe's own SDK takes over.
    """
    parts = [part.strip().partition("=") for part in header.split(",")]
    timestamp = next((value for name, _, value in parts if name == "t"), "")
    signatures = [value for name, _, value in parts if name == "v1"]
    expected = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return _is_fresh(timestamp, now) and _is_among(expected, signatures)


def is_signed_by_standard(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> bool:
    """Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp` and `webhook-signature: v1,<base64> v1,<base64>`.

    The scheme: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
    """
    message_id, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    versions = [each.partition(",") for each in headers.get("webhook-signature", "").split()]
    signed = f"{message_id}.{timestamp}.".encode(errors="surrogateescape") + body
    expected = base64.b64encode(hmac.new(key_of_standard(secret), signed, hashlib.sha256).digest()).decode()
    signatures = [value for version, _, value in versions if version == "v1"]
    return bool(message_id) and _is_fresh(timestamp, now) and _is_among(expected, signatures)


def _is_fresh(timestamp: str, now: datetime) -> bool:
    is_number = _TIMESTAMP.fullmatch(timestamp) is not None
    return is_number and abs(now.timestamp() - int(timestamp)) <= TOLERANCE_S


def _is_among(expected: str, signatures: list[str]) -> bool:
    """Each is compared in the same time wherever it differs."""
    given = [each.encode(errors="surrogateescape") for each in signatures]
    return any(hmac.compare_digest(expected.encode(), each) for each in given)
