"""What a browser's subscription to Web Push must look like, and whose addresses may be written to."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

from cryptography.hazmat.primitives.asymmetric import ec

# Nothing but a host of letters may stand there: no user, no port of another service, no address in numbers.
_ENDPOINT = re.compile(r"https://([a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z][a-z0-9-]*)(?::443)?/[!-~]+")


def is_known_service(endpoint: str, hosts: Iterable[str]) -> bool:
    """Whether the endpoint belongs to one of these push services; in a name `*` stands for any subdomains."""
    parts = _ENDPOINT.fullmatch(endpoint)
    return parts is not None and any(fnmatchcase(parts[1], host) for host in hosts)


def is_point(encoded: str) -> bool:
    """Whether this is a public key of P-256, uncompressed, in base64url: what a browser gives as `p256dh`."""
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _decode(encoded))
    except (ValueError, binascii.Error):
        return False
    return True


def _decode(text: str) -> bytes:
    bare = text.rstrip("=")
    return base64.urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
