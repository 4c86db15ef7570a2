"""What is said of one route of HTTP."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

Security = Literal[
    "nobody",
    "guest",
    "therapist",
    "anybody_known",
    "ticket",
    "collector",
    "integrator",
    "stripe",
    "standard_webhooks",
    "twilio",
]
Key = tuple[str, str]
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Operation:
    """A route: what it takes, what it gives, and the codes that it may refuse with."""

    name: str
    summary: str
    tag: str
    answer: Any = None
    """The model of the body of a success; None where the body is no JSON."""
    media: str = JSON
    security: Security = "nobody"
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    codes: tuple[str, ...] = ()
    also: Mapping[int, Any] = field(default_factory=dict)
    """Other statuses that are answered with a body of their own."""
    example: Any = None
    """A body that is answered; made from the story where it is a function."""
    request: Mapping[str, Any] | None = None
    """A body that is taken."""
    status: int = 200
    is_api: bool = True
