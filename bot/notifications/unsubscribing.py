"""Links with which whoever gets a mail ends such mails without signing in: by RFC 8058's one click, or on a page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jwt

from bot.access.tokens import ALGORITHM
from bot.store.preferences import email_id

PATH = "/unsubscribe"
AUDIENCE = "unsubscribe"


@dataclass(frozen=True, slots=True)
class Unsubscribing:
    """Signs and opens what stands in the links. It never expires: a mail may be opened years later."""

    secret: str
    public_url: str | None

    def link(self, email: str) -> str | None:
        """For mails to this address, which does not stand in it; None where nobody told us our own address."""
        return f"{self.public_url}{PATH}?t={self.token(email)}" if self.public_url else None

    def token(self, email: str) -> str:
        return jwt.encode({"aud": AUDIENCE, "sub": email_id(email)}, self.secret, algorithm=ALGORITHM)

    def read(self, token: str) -> str | None:
        """The id of the address in `preferences`; None where we have not signed this."""
        try:
            claims: dict[str, Any] = jwt.decode(
                token, self.secret, algorithms=[ALGORITHM], audience=AUDIENCE, options={"require": ["aud", "sub"]}
            )
        except (jwt.InvalidTokenError, UnicodeEncodeError):
            return None
        subject = claims["sub"]
        return subject if isinstance(subject, str) and subject.startswith("email:") else None
