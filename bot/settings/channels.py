"""The settings of the channels: by whom mail, short messages and pushes leave, and whom our webhooks may reach."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import BeforeValidator, Field, FiniteFloat, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

from bot.settings.kinds import CommaSeparated

ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?=.{4,253}$)([A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,63}")
WEBSITE = re.compile(r"https://[A-Za-z0-9-]+\.[A-Za-z0-9.-]+")
# Where the browsers of today have their pushes delivered: Chrome and its kin, Firefox, Safari, Edge.
PUSH_SERVICES = (
    "fcm.googleapis.com",
    "*.push.services.mozilla.com",
    "*.push.apple.com",
    "*.notify.windows.com",
)
SMTP_PORTS: Mapping[str, int] = {"smtp": 587, "smtps": 465}
SERVICE_ACCOUNT_FIELDS = ("project_id", "private_key", "client_email", "token_uri")


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail is handed in. Every connection is encrypted: from its first byte, or before anything is said."""

    host: str
    port: int
    is_encrypted_at_once: bool
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> SmtpServer:
        """`smtp://` begins in the clear and goes on after STARTTLS, `smtps://` begins encrypted. Raises ValueError."""
        try:
            url = urlsplit(text)
            port = url.port or SMTP_PORTS[url.scheme]
            is_server = bool(url.hostname) and url.path in {"", "/"} and not (url.query or url.fragment)
        except (KeyError, ValueError):
            is_server = False
        if not is_server or not url.hostname:
            raise ValueError("must be an address like smtp://user:password@host:587 or smtps://user:password@host:465")
        if bool(url.username) != bool(url.password):
            raise ValueError("must have a user and a password, or neither")
        user, password = unquote(url.username or "") or None, unquote(url.password or "") or None
        return cls(url.hostname, port, url.scheme == "smtps", user, password)


def _as_smtp_server(value: Any) -> Any:
    return SmtpServer.parse(value) if isinstance(value, str) else value


def _as_service_account(value: Any) -> Any:
    """The JSON that Google hands out, as text or in a file. Raises ValueError without a word of what it says."""
    if not isinstance(value, str):
        return value
    try:
        text = value if value.lstrip().startswith("{") else Path(value).read_text(encoding="utf-8")
        account = json.loads(text)
    except (OSError, ValueError):
        raise ValueError("must be the JSON of a service account, or the path of a file with it") from None
    if not isinstance(account, dict) or account.get("type") != "service_account":
        raise ValueError('must be the JSON of a service account, with "type": "service_account"')
    if missing := [name for name in SERVICE_ACCOUNT_FIELDS if not isinstance(account.get(name), str)]:
        raise ValueError(f"must be the JSON of a service account: {', '.join(missing)} is missing in it")
    return account


def without_path(address: str) -> str:
    """Where a service of others is asked; only our own machine may be spoken to in the clear. Raises ValueError."""
    try:
        url = urlsplit(address)
        _ = url.port  # raises where it is no port
        is_whole = bool(url.hostname) and url.path in {"", "/"} and not (url.query or url.fragment or url.username)
        is_private = url.scheme == "https" or (url.scheme == "http" and _is_our_own_machine(url.hostname or ""))
        if is_whole and is_private:
            return f"{url.scheme}://{url.netloc}"
    except ValueError:
        pass
    raise ValueError("must be an address like https://api.example.com without a path")


def _is_our_own_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class ChannelSettings(BaseSettings):
    """A channel that is not set is not there: what would have gone through it is skipped with that reason."""

    smtp_url: Annotated[SmtpServer | None, BeforeValidator(_as_smtp_server)] = Field(default=None, repr=False)
    """Who takes our mail: `smtp://…` (STARTTLS) or `smtps://…`, with the user and the password in it."""
    smtp_ca_file: Path | None = None
    """Certificates (PEM) that count besides those the world knows, for a mail server with one of its own."""
    mail_from: str | None = Field(default=None, validate_default=True)
    """The address our mail comes from."""

    twilio_account_sid: str | None = None
    twilio_auth_token: str | None = Field(default=None, repr=False, validate_default=True)
    twilio_from: str | None = Field(default=None, validate_default=True)
    """Whom short messages come from: a number in E.164, or the id of a messaging service, `MG…`."""
    twilio_api_url: str = "https://api.twilio.com"

    fcm_service_account: Annotated[Mapping[str, Any] | None, BeforeValidator(_as_service_account)] = Field(
        default=None, repr=False
    )
    """What Firebase knows us by: the JSON of a service account, or the path of a file with it."""
    fcm_url: str = "https://fcm.googleapis.com"

    vapid_private_key: str | None = Field(default=None, repr=False)
    """What push services know us by; `python -m bot vapid-keys` makes one. Another one ends every subscription."""
    vapid_subject: str | None = Field(default=None, validate_default=True)
    """Whom a push service writes to about us, as a `mailto:` or `https:` address."""
    push_services: Annotated[tuple[str, ...], CommaSeparated] = PUSH_SERVICES
    """Where a browser's subscription may lead: host names, `*.` before one for all below it, or whole origins."""

    provider_timeout_s: Annotated[FiniteFloat, Field(ge=0.05, le=12)] = 10.0
    """How long each step with a provider may take; no message takes more than four, and a claim outlives them."""
    webhooks_to_private_addresses: bool = False
    """Whether our webhooks may also reach this machine and private networks, and without TLS."""

    @field_validator("smtp_ca_file")
    @classmethod
    def _certificates_can_be_read(cls, value: Path | None) -> Path | None:
        import ssl

        try:
            if value is not None:
                ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(value)
        except OSError:  # an SSLError is one
            raise ValueError("must be a file with certificates in PEM") from None
        return value

    @field_validator("mail_from")
    @classmethod
    def _mail_comes_from_an_address(cls, value: str | None, info: ValidationInfo) -> str | None:
        _must_stand_beside("smtp_url", value, info)
        if value is not None and not ADDRESS.fullmatch(value):
            raise ValueError("must be an address like no-reply@example.com, without a name")
        return value

    @property
    def sends_codes(self) -> bool:
        """Whether therapists can be sent the codes that they sign in with."""
        return self.twilio_account_sid is not None

    @field_validator("twilio_account_sid")
    @classmethod
    def _account_is_a_sid(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"AC[0-9a-fA-F]{32}", value):
            raise ValueError("must be AC and 32 hexadecimal digits")
        return value

    @field_validator("twilio_auth_token")
    @classmethod
    def _token_belongs_to_an_account(cls, value: str | None, info: ValidationInfo) -> str | None:
        _must_stand_beside("twilio_account_sid", value, info)
        return value

    @field_validator("twilio_from")
    @classmethod
    def _sender_is_a_number_or_a_service(cls, value: str | None, info: ValidationInfo) -> str | None:
        _must_stand_beside("twilio_account_sid", value, info)
        if value is not None and not re.fullmatch(r"\+[1-9]\d{6,14}|MG[0-9a-fA-F]{32}", value):
            raise ValueError("must be a number like +6281234567890, or MG and 32 hexadecimal digits")
        return value

    @field_validator("twilio_api_url", "fcm_url")
    @classmethod
    def _provider_has_an_address(cls, value: str) -> str:
        return without_path(value)

    @field_validator("fcm_service_account")
    @classmethod
    def _service_account_can_sign(cls, value: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        if value is not None:
            from cryptography.hazmat.primitives.serialization import load_pem_private_key

            try:
                load_pem_private_key(value["private_key"].encode(), None)
            except (ValueError, TypeError):
                raise ValueError("must be the JSON of a service account: private_key in it is no key") from None
        return value

    @field_validator("vapid_private_key")
    @classmethod
    def _vapid_key_is_one(cls, value: str | None) -> str | None:
        if value is not None:
            from bot.settings.vapid import read_private_key

            read_private_key(value)
        return value

    @field_validator("vapid_subject")
    @classmethod
    def _push_services_can_write_to_us(cls, value: str | None, info: ValidationInfo) -> str | None:
        _must_stand_beside("vapid_private_key", value, info)
        if value is None:
            return None
        if not (WEBSITE.fullmatch(value) or ADDRESS.fullmatch(value.removeprefix("mailto:"))):
            raise ValueError("must be an address like mailto:operator@example.com or https://example.com")
        return value if ":" in value else f"mailto:{value}"

    @field_validator("push_services")
    @classmethod
    def _push_services_are_hosts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(without_path(each) if "://" in each else _host(each.lower()) for each in value)


def _must_stand_beside(other: str, value: str | None, info: ValidationInfo) -> None:
    """A setting may be missing as long as the other one, which it belongs to, is missing, too."""
    if value is None and info.data.get(other) is not None:
        raise ValueError(f"must be set beside JANJI_{other.upper()}")


def _host(text: str) -> str:
    if not re.fullmatch(r"(\*\.)?([a-z0-9-]{1,63}\.)+[a-z]{2,63}", text):
        raise ValueError("must be host names like fcm.googleapis.com,*.push.apple.com")
    return text
