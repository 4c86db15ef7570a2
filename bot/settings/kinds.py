"""Kinds of values, for settings of every subject: how they are written, and what is refused."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, FiniteFloat

from bot.settings.rates import Rate

DEFAULT_PORTS: Mapping[str, str] = {"http": ":80", "https": ":443"}
_OF_THIS_MACHINE = r"(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d{1,5})?|%2F.+\.sock"
SECRET_OF_STANDARD_WEBHOOKS = "whsec_"  # noqa: S105 - how such a secret begins


def _split_at_commas(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _as_rate(value: Any) -> Any:
    return Rate.parse(value) if isinstance(value, str) else value


def lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def as_origin(address: str) -> str:
    """The origin as a browser sends it: lower case, no path, no default port."""
    parts = re.fullmatch(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?/?", address.strip().lower())
    if parts is None:
        raise ValueError("must be an address like https://example.com without a path")
    scheme, host, port = parts.groups()
    return f"{scheme}://{host}" if port in {None, DEFAULT_PORTS[scheme]} else f"{scheme}://{host}{port}"


def is_on_this_machine(mongodb_uri: str) -> bool:
    """Whether all servers of this address are reached without a network: by the loopback, or by a socket file."""
    scheme, _, rest = mongodb_uri.partition("://")
    hosts = re.split(r"[/?]", rest, maxsplit=1)[0].rpartition("@")[2].split(",")
    return scheme == "mongodb" and all(re.fullmatch(_OF_THIS_MACHINE, host, re.IGNORECASE) for host in hosts)


def with_scheme(address: str, *schemes: str) -> str:
    if address.partition("://")[0] not in schemes:
        raise ValueError(f"must start with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    return address


def key_of_standard(secret: str) -> bytes:
    """The bytes of a secret that is written `whsec_<base64>`. Raises ValueError."""
    try:
        return base64.b64decode(secret.removeprefix(SECRET_OF_STANDARD_WEBHOOKS), validate=True)
    except binascii.Error as error:
        raise ValueError("must be whsec_ and base64") from error


Seconds = Annotated[FiniteFloat, Field(ge=0.1, le=3600)]
LongSeconds = Annotated[FiniteFloat, Field(ge=0.1, le=86_400)]
CommaSeparated = BeforeValidator(_split_at_commas)
RateSetting = Annotated[Rate, BeforeValidator(_as_rate)]
Transport = Annotated[Literal["websocket", "polling"], BeforeValidator(lower)]
