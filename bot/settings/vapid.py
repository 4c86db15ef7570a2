"""The key pair by which push services know us (VAPID, RFC 8292): who has the private key has both."""

from __future__ import annotations

import base64
import binascii

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SCALAR_BYTES = 32


def new_private_key() -> str:
    """43 characters: the scalar of a key on P-256, in base64url without padding."""
    scalar = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return _text(scalar.to_bytes(SCALAR_BYTES))


def read_private_key(text: str) -> ec.EllipticCurvePrivateKey:
    """Raises ValueError for what is no such key."""
    try:
        raw = base64.b64decode(f"{text}{'=' * (-len(text) % 4)}", altchars=b"-_", validate=True)
        if len(raw) == SCALAR_BYTES:
            return ec.derive_private_key(int.from_bytes(raw), ec.SECP256R1())
    except (binascii.Error, ValueError):
        pass
    raise ValueError("must be a key that `python -m bot vapid-keys` has made")


def public_key_of(private_key: str) -> str:
    """What a page hands to its browser as `applicationServerKey`: 87 characters, the uncompressed point."""
    public_key = read_private_key(private_key).public_key()
    return _text(public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
