"""The settings of the servers: where we listen and are reached, what we store in, and what signs and what is logged."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import BeforeValidator, Field, FiniteFloat, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

from bot.settings.kinds import CommaSeparated, as_origin, lower, with_scheme
from bot.settings.rhythms import PEOPLE, Rhythms, rhythms_of

MIN_SECRET_LENGTH = 32
MIN_METRICS_TOKEN_LENGTH = 16


def _host_of_this_place() -> str:
    """A platform that gives us a PORT reaches us from outside; a person's own machine stays private."""
    return "0.0.0.0" if os.environ.get("PORT") else "127.0.0.1"  # noqa: S104 - where a router stands before us


def _database_of_the_uri(validated: Mapping[str, Any]) -> str:
    return urlsplit(validated.get("mongodb_uri") or "").path.strip("/") or "janji"


def _log_format_of_this_place() -> Literal["json", "console"]:
    return "console" if sys.stdout.isatty() else "json"


class ServerSettings(BaseSettings):
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    host: str = Field(default_factory=_host_of_this_place)
    public_url: str | None = None
    """Where guests reach us, without a path; None where nobody told us."""
    web_concurrency: Annotated[int, Field(ge=1, le=32)] = 1
    mongodb_uri: str | None = Field(default=None, repr=False)
    database: str = Field(default_factory=_database_of_the_uri)
    mongo_driver: Literal["motor", "pymongo"] = "motor"
    redis_verify: bool = True
    """Whether the certificate of a `rediss://` server must be one that the world knows."""
    redis_url: str | None = Field(default=None, repr=False)
    data_dir: Path = Path(".janji")
    """Where our own servers keep their data, and the generated secret its file."""
    secret: str = Field(default="", repr=False)
    """Signs the tokens; `load_settings` never leaves it empty."""
    allowed_origins: Annotated[tuple[str, ...], CommaSeparated] = ()
    """Who may connect from a browser besides ourselves."""
    trust_proxy: bool = False
    """Whether a router of ours stands before us: the last address it names is then the client's."""
    frame_ancestors: str = "*"
    """Who may show /chat in a frame, in the words of the Content-Security-Policy."""
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(lower)] = "info"
    log_format: Literal["json", "console"] = Field(default_factory=_log_format_of_this_place)
    metrics_token: str | None = Field(default=None, repr=False)
    """What a collector sends as `Authorization: Bearer …` to read /metrics; there is none where it is not set."""
    commit: str | None = None
    """Which commit this is, for /status; None where the platform does not tell."""
    command_timeout_s: Annotated[FiniteFloat, Field(ge=0.1, le=60)] = 10.0
    rhythms: Annotated[Rhythms, BeforeValidator(rhythms_of)] = PEOPLE
    """Every pause and patience of the program: for tests, in JSON."""
    sweep_s: Annotated[FiniteFloat, Field(ge=0.05, le=60)] = 1.0

    @property
    def welcome_origins(self) -> tuple[str, ...]:
        """The websites whose pages may use us, our own one under its public address included."""
        return (*self.allowed_origins, self.public_url) if self.public_url else self.allowed_origins

    @field_validator("public_url")
    @classmethod
    def _public_url_is_an_origin(cls, value: str | None) -> str | None:
        return None if value is None else as_origin(value)

    @field_validator("allowed_origins")
    @classmethod
    def _allowed_origins_are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(as_origin(origin) for origin in value)

    @field_validator("mongodb_uri")
    @classmethod
    def _mongodb_uri_names_mongodb(cls, value: str | None) -> str | None:
        return value if value is None else with_scheme(value, "mongodb", "mongodb+srv")

    @field_validator("redis_url")
    @classmethod
    def _redis_url_says_how_to_verify(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Heroku's certificates are self-signed, and no client of Redis connects to them unless it is told to.

        It is told where the platform needs it: whoever stands between would read every job and hint.
        """
        if value is None or with_scheme(value, "redis", "rediss", "unix").split(":")[0] != "rediss":
            return value
        query = urlsplit(value).query
        if info.data.get("redis_verify") or "ssl_cert_reqs" in parse_qs(query):
            return value
        return f"{value}{'&' if query else '?'}ssl_cert_reqs=none"

    @field_validator("database")
    @classmethod
    def _database_is_a_name(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,63}", value):
            raise ValueError("must be 1 to 63 letters, digits, - or _")
        return value

    @field_validator("secret")
    @classmethod
    def _secret_is_long(cls, value: str) -> str:
        if value and len(value) < MIN_SECRET_LENGTH:
            raise ValueError(f"must have at least {MIN_SECRET_LENGTH} characters")
        return value

    @field_validator("metrics_token")
    @classmethod
    def _metrics_token_is_long(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(rf"[\x21-\x7e]{{{MIN_METRICS_TOKEN_LENGTH},}}", value):
            raise ValueError(f"must have at least {MIN_METRICS_TOKEN_LENGTH} characters, all of them ASCII, no spaces")
        return value

    @field_validator("frame_ancestors")
    @classmethod
    def _frame_ancestors_are_one_directive(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_*:/.'\[\] -]+", value):
            raise ValueError("must be a list like: 'self' https://example.com")
        return value
