"""What goes out, ready to be sent, and what comes of it: the words between the ledger and the channels.

A channel is a coroutine that takes one of the messages below, and returns a `Receipt` or raises `NotSent`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Invitation:
    """A calendar file; `method` is REQUEST or CANCEL (RFC 5546)."""

    content: bytes
    method: Literal["REQUEST", "CANCEL"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """A mail to one recipient. `message_id` is the same whenever the same notice is sent again."""

    message_id: str
    to: str
    to_name: str
    from_name: str
    subject: str
    text: str
    html: str
    invitation: Invitation | None = None
    unsubscribe_url: str | None = None
    """Where one POST ends mail of this kind (RFC 8058); None for what cannot be switched off."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sms:
    """A short message; `to` is E.164. `status_url` is where the provider tells what became of it."""

    to: str
    text: str
    status_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """What a phone or browser shows. Of several with the same `collapse_key` a device shows the last."""

    title: str
    body: str
    url: str
    collapse_key: str
    ttl_s: int
    urgency: Literal["low", "normal", "high", "urgent"]
    sound: str | None = None
    data: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The provider has taken it; `provider_id` is what it calls the message, where it calls it anything."""

    provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a failure means.

    `retry`: later, `after_s` seconds from now where the provider said so. `permanent`: never, this message or this
    address is wrong. `config`: the channel itself is, and every other message would fail as well.
    """

    kind: Literal["retry", "permanent", "config"]
    code: str
    """The provider's own, for people who look into it; never what a person wrote or where they live."""
    after_s: float | None = None
    is_ambiguous: bool = False
    """Whether it may have been done all the same."""
    is_address_dead: bool = False
    """Whether nothing should be sent to this address or device again."""
    is_stopped: bool = False
    """Whether the person has told the provider that they want nothing more."""


class NotSent(Exception):
    """A channel could not send a message; the verdict says what that means."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.code)
        self.verdict = verdict
