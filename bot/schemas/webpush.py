"""What a browser's subscription to Web Push must look like, and whose addresses may be written to."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

AUTH_BYTES = 16
# Nothing but a host of letters may stand there: no user, no port of another service, no address in numbers.
_ENDPOINT = re.compile(r"https://([a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z][a-z0-9-]*)(?::443)?/[!-~]+")


def is_known_service(endpoint: str, services: Collection[str]) -> bool:
    """Whether the endpoint belongs to one of these push services; in a name `*` stands for any subdomains.

    A service that is named as an origin, like one on a development machine, is known by it.
    """
    if any("://" in each and endpoint.startswith(f"{each}/") for each in services):
        return True
    parts = _ENDPOINT.fullmatch(endpoint)
    return parts is not None and any(fnmatchcase(parts[1], host) for host in services)


def has_keys(subscription: Mapping[str, Any]) -> bool:
    """Whether a browser can have made the keys of this subscription (RFC 8291): a point, and 16 bytes."""
    keys = subscription.get("keys")
    if not isinstance(keys, Mapping):
        return False
    point, secret = keys.get("p256dh"), keys.get("auth")
    return isinstance(point, str) and isinstance(secret, str) and is_point(point) and _is_secret(secret)


def is_point(encoded: str) -> bool:
    """Whether this is a public key of P-256, uncompressed, in base64url: what a browser gives as `p256dh`."""
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _decode(encoded))
    except (ValueError, binascii.Error):
        return False
    return True


def _is_secret(encoded: str) -> bool:
    try:
        return len(_decode(encoded)) == AUTH_BYTES
    except (ValueError, binascii.Error):
        return False


def _decode(text: str) -> bytes:
    bare = text.rstrip("=")
    return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
