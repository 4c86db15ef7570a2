"""Tokens and codes: who somebody is, signed by us and opened with one fixed algorithm.

A guest's token opens one conversation, a therapist's token one therapist, and neither passes for the other.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import jwt

from bot.clock import Now
from bot.identity import Audience

ALGORITHM = "HS256"
LIVES: Mapping[Audience, timedelta] = {"guest": timedelta(days=90), "therapist": timedelta(days=30)}


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says: whose it is, the how many-eth in a row, and under which version it was signed."""

    audience: Audience
    subject: str
    generation: int
    version: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """Signs and opens tokens with the secret of this installation; whether one was ended, `admission` knows."""

    secret: str
    now: Now

    def sign(self, audience: Audience, subject: str, *, generation: int = 0, version: int = 0) -> str:
        """A token for a conversation id (`guest`) or a therapist id (`therapist`)."""
        issued_at = self.now()
        claims = {
            "aud": audience,
            "sub": subject,
            "gen": generation,
            "ver": version,
            "iat": issued_at,
            "exp": issued_at + LIVES[audience],
        }
        return jwt.encode(claims, self.secret, algorithm=ALGORITHM)

    def read(self, audience: Audience, token: str | None) -> Claims | None:
        """What the token says; None where it is missing, forged, expired or meant for somebody else."""
        if not token:
            return None
        try:
            claims: dict[str, Any] = jwt.decode(
                token,
                self.secret,
                algorithms=[ALGORITHM],
                audience=audience,
                # The moments are checked below by the database's clock, not by this machine's.
                options={"require": ["aud", "sub", "exp"], "verify_exp": False, "verify_iat": False},
            )
        except (jwt.InvalidTokenError, UnicodeEncodeError):
            return None
        expires_at, subject = claims["exp"], claims["sub"]
        is_alive = isinstance(expires_at, int | float) and expires_at > self.now().timestamp()
        # Tokens of the days before they had these claims are the first of their family.
        generation, version = claims.get("gen", 0), claims.get("ver", 0)
        is_ours = isinstance(subject, str) and isinstance(generation, int) and isinstance(version, int)
        return Claims(audience, subject, generation, version) if is_alive and is_ours else None

    def sign_in_code(self, phone: str, nonce: str) -> str:
        """Six digits, each code as likely as any other; who knows the nonce but not the secret learns nothing."""
        made = hmac.new(self.secret.encode(), f"sign-in:{phone}:{nonce}".encode(), hashlib.sha256).digest()
        return f"{int.from_bytes(made) % 1_000_000:06d}"

    def pseudonym(self, audience: Audience, subject: str) -> str:
        """What logs call this person: always the same, and only who has the secret can tell whose it is.

        A therapist's id is known to every guest who was shown one, so it would be a name.
        """
        key = self.secret.encode()[: hashlib.blake2b.MAX_KEY_SIZE]
        made = hashlib.blake2b(f"{audience}:{subject}".encode(), key=key, digest_size=8, person=b"log")
        return f"{audience}:{made.hexdigest()}"
