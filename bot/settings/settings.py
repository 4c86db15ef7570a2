"""What can be set from outside: read from the environment and `.env`, checked once, at start."""

from __future__ import annotations

import difflib
import fcntl
import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values
from phonenumbers import SUPPORTED_REGIONS
from pydantic import BeforeValidator, Field, FiniteFloat, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.access.buckets import Rate
from bot.integrations.signatures import key_of_standard
from bot.settings.channels import ChannelSettings
from bot.settings.ladders import as_rungs
from conversations.notices import DEFAULT_LADDER, Rung

PREFIX = "JANJI_"
ENV_FILE = Path(".env")
# What platforms call these; of several names the first that is set counts.
PLATFORM_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "port": ("PORT",),
    "web_concurrency": ("WEB_CONCURRENCY",),
    "mongodb_uri": ("MONGODB_URI", "MONGO_URL"),
    "redis_url": ("REDIS_TLS_URL", "REDIS_URL"),
    "commit": ("JANJI_COMMIT", "HEROKU_BUILD_COMMIT"),
}
# Read by scripts/chromium and the browser tests: not a setting of the program, and no typo either.
TOOL_VARIABLES = frozenset({"JANJI_CHROMIUM"})
CONFIDENTIAL = frozenset(
    {
        *("secret", "mongodb_uri", "redis_url", "metrics_token"),
        *("smtp_url", "twilio_auth_token", "fcm_service_account", "vapid_private_key"),
        *("stripe_webhook_secret", "booking_wizard_secret"),
    }
)
MIN_SECRET_LENGTH = 32
MIN_METRICS_TOKEN_LENGTH = 16
MIN_WEBHOOK_SECRET_LENGTH = 16
DEFAULT_PORTS: Mapping[str, str] = {"http": ":80", "https": ":443"}


class SettingsError(Exception):
    """A setting is wrong: the text is one line that names the variable."""


def _host_of_this_place() -> str:
    """A platform that gives us a PORT reaches us from outside; a person's own machine stays private."""
    return "0.0.0.0" if os.environ.get("PORT") else "127.0.0.1"


def _database_of_the_uri(validated: Mapping[str, Any]) -> str:
    return urlsplit(validated.get("mongodb_uri") or "").path.strip("/") or "janji"


def _log_format_of_this_place() -> Literal["json", "console"]:
    return "console" if sys.stdout.isatty() else "json"


def _split_at_commas(value: Any) -> Any:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _as_rate(value: Any) -> Any:
    return Rate.parse(value) if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _as_origin(address: str) -> str:
    """The origin as a browser sends it: lower case, no path, no default port."""
    parts = re.fullmatch(r"(https?)://([a-z0-9.-]+|\[[0-9a-f:]+\])(:\d{1,5})?/?", address.strip().lower())
    if parts is None:
        raise ValueError("must be an address like https://example.com without a path")
    scheme, host, port = parts.groups()
    return f"{scheme}://{host}" if port in {None, DEFAULT_PORTS[scheme]} else f"{scheme}://{host}{port}"


Seconds = Annotated[FiniteFloat, Field(ge=0.1, le=3600)]
LongSeconds = Annotated[FiniteFloat, Field(ge=0.1, le=86_400)]
CommaSeparated = BeforeValidator(_split_at_commas)
RateSetting = Annotated[Rate, BeforeValidator(_as_rate)]
Transport = Annotated[Literal["websocket", "polling"], BeforeValidator(_lower)]


class Settings(ChannelSettings):
    """Every setting, with its default; those of the channels stand in their own module.

    Names ending in `_s` are seconds; arguments win over the environment.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    host: str = Field(default_factory=_host_of_this_place)
    public_url: str | None = None
    """Where guests reach us, without a path; None where nobody told us."""
    web_concurrency: Annotated[int, Field(ge=1, le=32)] = 1

    mongodb_uri: str | None = Field(default=None, repr=False)
    database: str = Field(default_factory=_database_of_the_uri)
    mongo_driver: Literal["motor", "pymongo"] = "motor"
    redis_verify: bool = False
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

    transports: Annotated[tuple[Transport, ...], CommaSeparated] = ("websocket",)
    """Of Socket.IO. Polling needs a router that sends each client always to the same process."""
    compression: bool = False
    """Whether Socket.IO offers permessage-deflate: it costs about 100 kB of memory for each idle client."""
    largest_frame_bytes: Annotated[int, Field(ge=8_192, le=1_048_576)] = 32_768
    """Of what a client may send at once, on both kinds of WebSocket."""
    ping_interval_s: Annotated[FiniteFloat, Field(ge=0.1, le=50)] = 20.0
    """Routers cut a line that is silent for a minute or less."""
    ping_timeout_s: Annotated[FiniteFloat, Field(ge=0.1, le=60)] = 10.0
    queued_frames: Annotated[int, Field(ge=16, le=100_000)] = 256
    """How many may wait for one Socket.IO reader before it is cut off; it comes back with its cursor."""
    queued_bytes: Annotated[int, Field(ge=65_536, le=67_108_864)] = 512_000
    connections_per_address: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    """In one process, streams included: a mobile network lets many people share one address."""
    connections_per_token: Annotated[int, Field(ge=1, le=1_000)] = 10
    """In one process, streams included: the oldest gives way to the newest."""

    limit_connects_per_token: RateSetting = Rate(1, "s", 30)
    limit_connects_per_address: RateSetting = Rate(20, "s", 400)
    limit_streams_per_token: RateSetting = Rate(5, "s", 60)
    """Of streams that are opened, long polls that are begun and tickets that are asked for."""
    limit_streams_per_address: RateSetting = Rate(100, "s", 1_000)
    limit_commands_per_connection: RateSetting = Rate(20, "s", 60)
    """Of one Socket.IO client, whatever it sends."""
    limit_commands_per_token: RateSetting = Rate(5, "s", 30)
    limit_commands_per_address: RateSetting = Rate(50, "s", 500)
    limit_messages_per_token: RateSetting = Rate(5, "s", 30)
    limit_messages_per_address: RateSetting = Rate(100, "s", 1_000)
    limit_signals_per_token: RateSetting = Rate(10, "s", 60)
    limit_signals_per_address: RateSetting = Rate(200, "s", 2_000)
    limit_codes_per_phone_and_address: RateSetting = Rate(6, "h", 4)
    limit_codes_per_phone: RateSetting = Rate(20, "h", 12)
    """Above what one address may ask for, so that no stranger keeps a therapist from a code."""
    limit_codes_per_address: RateSetting = Rate(1, "m", 30)
    limit_guesses_per_phone_and_address: RateSetting = Rate(10, "h", 5)
    limit_guesses_per_phone: RateSetting = Rate(30, "h", 15)
    limit_guesses_per_address: RateSetting = Rate(1, "m", 30)
    limit_desk_per_token: RateSetting = Rate(20, "s", 200)
    """Of one API key; a request with a wrong one counts for its address alone."""
    limit_desk_per_address: RateSetting = Rate(50, "s", 500)

    stripe_webhook_secret: str | None = Field(default=None, repr=False)
    """What Stripe signs its webhooks with, `whsec_…`; without it there are none."""
    booking_wizard_secret: str | None = Field(default=None, repr=False)
    """What the booking wizard signs its webhooks with: `whsec_` and base64, as Standard Webhooks say."""

    brand: Annotated[str, Field(min_length=1, max_length=60)] = "Janji"
    """What people know us by: it signs messages and mails."""
    default_locale: Literal["en", "id"] = "id"
    default_timezone: str = "Asia/Jakarta"
    default_region: str = "ID"
    """The country of a phone number that is written without one."""
    templates_dir: Path | None = None
    """Mails of brands: what is in the folder of a brand's name wins over our own, file by file."""
    default_currency: str = "IDR"
    """Of an amount that another system tells without one."""

    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = "info"
    log_format: Literal["json", "console"] = Field(default_factory=_log_format_of_this_place)
    show_sign_in_codes: bool = False
    demo: bool = False

    metrics_token: str | None = Field(default=None, repr=False)
    """What a collector sends as `Authorization: Bearer …` to read /metrics; there is none where it is not set."""
    commit: str | None = None
    """Which commit this is, for /status; None where the platform does not tell."""

    answer_s: Seconds = 60.0
    """One attempt: how long those who are asked may take to answer."""
    choose_s: Seconds = 120.0
    direct_s: Seconds = 300.0
    radii_km: Annotated[tuple[FiniteFloat, ...], CommaSeparated] = (5.0, 10.0, 20.0, 35.0, 50.0)
    """How far each attempt looks: there are as many attempts as radii."""
    wave_size: Annotated[int, Field(ge=1, le=20)] = 3
    form_s: LongSeconds = 1800.0
    idle_no_therapist_s: LongSeconds = 1800.0
    arrival_s: LongSeconds = 3600.0
    commission_percent: Annotated[Decimal, Field(ge=0, le=100, decimal_places=2)] = Decimal(30)
    command_timeout_s: Annotated[FiniteFloat, Field(ge=0.1, le=60)] = 10.0
    sweep_s: Annotated[FiniteFloat, Field(ge=0.05, le=60)] = 1.0
    fallback_after_s: Seconds = 6.0
    """How long a page does without Socket.IO before it takes the next best transport that works."""
    reservation_buffer_minutes: Annotated[int, Field(ge=0, le=240)] = 15

    app_store_url: str | None = None
    """Our app for iOS, https; where there is none, the pages offer to install themselves."""
    play_store_url: str | None = None

    typing_s: Annotated[FiniteFloat, Field(ge=0.1, le=60)] = 6.0
    """How long somebody is shown as typing who does not say so again."""
    presence_grace_s: Annotated[FiniteFloat, Field(ge=0.1, le=600)] = 30.0
    """How long somebody whose connection has gone may take to come back before they are shown as offline."""
    reminders_customer: Annotated[tuple[Rung, ...], BeforeValidator(as_rungs)] = DEFAULT_LADDER.customer
    """Before each visit, as `lead:channels:urgency:sound`; a service of the catalogue may have a ladder of its own."""
    reminders_therapist: Annotated[tuple[Rung, ...], BeforeValidator(as_rungs)] = DEFAULT_LADDER.therapist
    keep_notifications_days: Annotated[int, Field(ge=1, le=3650)] = 90
    """Rows of the ledger that are done; dead letters stay until somebody looks."""
    keep_reminders_days: Annotated[int, Field(ge=1, le=3650)] = 7
    dispatch_s: Annotated[FiniteFloat, Field(ge=0.05, le=30)] = 0.5
    """How often it is looked for what is due in the ledger of notifications."""
    unread_after_s: LongSeconds = 120.0
    """How long a message waits for a reader who is not there before they are told of it elsewhere."""
    unread_look_s: Seconds = 10.0
    cap_sms_per_hour: Annotated[int, Field(ge=1, le=1_000)] = 4
    """Of what is neither urgent nor needed, to one person; what is too much waits."""
    cap_email_per_hour: Annotated[int, Field(ge=1, le=1_000)] = 8
    cap_push_per_hour: Annotated[int, Field(ge=1, le=1_000)] = 20
    presence_beat_s: Annotated[FiniteFloat, Field(ge=0.1, le=60)] = 10.0
    """How often a process says again who is connected to it."""

    @property
    def welcome_origins(self) -> tuple[str, ...]:
        """The websites whose pages may use us, our own one under its public address included."""
        return (*self.allowed_origins, self.public_url) if self.public_url else self.allowed_origins

    @property
    def max_attempts(self) -> int:
        return len(self.radii_km)

    @property
    def commission_basis_points(self) -> int:
        return int(self.commission_percent * 100)

    @field_validator("public_url")
    @classmethod
    def _public_url_is_an_origin(cls, value: str | None) -> str | None:
        return None if value is None else _as_origin(value)

    @field_validator("allowed_origins")
    @classmethod
    def _allowed_origins_are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_as_origin(origin) for origin in value)

    @field_validator("transports")
    @classmethod
    def _some_transport_is_left(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("must be websocket, polling or both, like websocket,polling")
        return value

    @field_validator("mongodb_uri")
    @classmethod
    def _mongodb_uri_names_mongodb(cls, value: str | None) -> str | None:
        return value if value is None else _with_scheme(value, "mongodb", "mongodb+srv")

    @field_validator("redis_url")
    @classmethod
    def _redis_url_says_how_to_verify(cls, value: str | None, info: ValidationInfo) -> str | None:
        """Heroku's certificates are self-signed, and no client of Redis connects to them unless it is told to."""
        if value is None or _with_scheme(value, "redis", "rediss", "unix").split(":")[0] != "rediss":
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

    @field_validator("app_store_url", "play_store_url")
    @classmethod
    def _store_has_an_address(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch(r"https://[^\s/]+\.[^\s/]+/\S*", value):
            raise ValueError("must be an address like https://apps.example.com/app")
        return value

    @field_validator("stripe_webhook_secret")
    @classmethod
    def _stripe_webhook_secret_is_long(cls, value: str | None) -> str | None:
        if value is not None and len(value) < MIN_WEBHOOK_SECRET_LENGTH:
            raise ValueError(f"must have at least {MIN_WEBHOOK_SECRET_LENGTH} characters")
        return value

    @field_validator("booking_wizard_secret")
    @classmethod
    def _booking_wizard_secret_is_standard(cls, value: str | None) -> str | None:
        if value is not None and len(key_of_standard(value)) < MIN_WEBHOOK_SECRET_LENGTH:
            raise ValueError(f"must be whsec_ and the base64 of at least {MIN_WEBHOOK_SECRET_LENGTH} bytes")
        return value

    @field_validator("frame_ancestors")
    @classmethod
    def _frame_ancestors_are_one_directive(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9_*:/.'\[\] -]+", value):
            raise ValueError("must be a list like: 'self' https://example.com")
        return value

    @field_validator("default_timezone")
    @classmethod
    def _timezone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("must be the name of a time zone, like Asia/Jakarta") from None
        return value

    @field_validator("default_region")
    @classmethod
    def _region_exists(cls, value: str) -> str:
        if value not in SUPPORTED_REGIONS:
            raise ValueError("must be the two capital letters of a country, like ID")
        return value

    @field_validator("templates_dir")
    @classmethod
    def _templates_dir_is_there(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError("must be a directory that is there")
        return value

    @field_validator("default_currency")
    @classmethod
    def _currency_is_a_code(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Z]{3}", value):
            raise ValueError("must be the three capital letters of a currency, like IDR")
        return value

    @field_validator("radii_km")
    @classmethod
    def _radii_rise(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        rising = all(near < far for near, far in zip((0.0, *value), value, strict=False))
        if not value or not rising or value[-1] > 500 or len(value) > 20:
            raise ValueError("must be 1 to 20 rising distances of at most 500 km, like 5,10,20")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_library_sources: PydanticBaseSettingsSource,
        **_named_library_sources: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, _Variables(settings_cls)


class _Variables(PydanticBaseSettingsSource):
    """The environment, then `.env`, each under every name of a setting; what is empty is not set.

    The library's own sources would let one name of a setting in `.env` win over another one in the environment.
    """

    def __call__(self) -> dict[str, Any]:
        places = _places()
        found = {name: _find(name, places)[1] for name in self.settings_cls.model_fields}
        return {name: value for name, value in found.items() if value is not None}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str | None, str, bool]:
        return _find(field_name, _places())[1], field_name, False


def load_settings() -> Settings:
    """The settings of this process, complete: a secret is generated and kept where the data is our own.

    Raises SettingsError.
    """
    places = _places()
    _refuse_unknown_variables(places)
    try:
        settings = Settings()
    except ValidationError as error:
        raise SettingsError("; ".join(_explain(error.errors(), places))) from None
    if settings.secret:
        return settings
    if settings.mongodb_uri is not None:
        raise SettingsError(f"JANJI_SECRET must be set, to at least {MIN_SECRET_LENGTH} characters, beside MONGODB_URI")
    return settings.model_copy(update={"secret": _kept_secret(settings.data_dir)})


def variables_of(field_name: str) -> tuple[str, ...]:
    """The environment variables of a setting, the preferred one first."""
    return PLATFORM_VARIABLES.get(field_name, (PREFIX + field_name.upper(),))


Places = tuple[Mapping[str, str | None], ...]


def _places() -> Places:
    return os.environ, dotenv_values(ENV_FILE)


def _find(field_name: str, places: Places) -> tuple[str, str | None]:
    """The variable that gives a setting its value, and the value; the preferred variable and None where none does."""
    for place in places:
        for variable in variables_of(field_name):
            if value := place.get(variable):
                return variable, value
    return variables_of(field_name)[0], None


def _refuse_unknown_variables(places: Places) -> None:
    known = {variable for field_name in Settings.model_fields for variable in variables_of(field_name)}
    ours = {variable for place in places for variable in place if variable.startswith(PREFIX)}
    if unknown := sorted(ours - known - TOOL_VARIABLES):
        raise SettingsError(
            "; ".join(f"{variable} is not a setting{_suggest(variable, known)}" for variable in unknown)
        )


def _suggest(variable: str, known: set[str]) -> str:
    by_short_name = {name.removeprefix(PREFIX): name for name in sorted(known)}
    alike = difflib.get_close_matches(variable.removeprefix(PREFIX), by_short_name, n=1, cutoff=0.7)
    return f": did you mean {by_short_name[alike[0]]}?" if alike else ""


def _explain(problems: list[ErrorDetails], places: Places) -> Iterator[str]:
    for problem in problems:
        if problem["type"] == "default_factory_not_called":
            continue  # it follows from another problem, and that one is named
        field_name = str(problem["loc"][0])
        variable, value = _find(field_name, places)
        shown = f", not {value!r}" if value is not None and field_name not in CONFIDENTIAL else ""
        yield f"{variable} {_requirement(problem)}{shown}"


def _requirement(problem: ErrorDetails) -> str:
    """What the library found, as the end of a sentence that begins with the variable."""
    limits = problem.get("ctx", {})
    match problem["type"]:
        case "value_error":
            return str(limits["error"])
        case "int_parsing" | "int_from_float":
            return "must be a whole number"
        case "float_parsing" | "decimal_parsing" | "finite_number":
            return "must be a number"
        case "bool_parsing":
            return "must be true or false"
        case "literal_error":
            return f"must be {limits['expected']}"
        case "greater_than_equal":
            return f"must be at least {limits['ge']}"
        case "less_than_equal":
            return f"must be at most {limits['le']}"
        case "decimal_max_places":
            return f"must have at most {limits['decimal_places']} decimals"
    return f"is wrong ({problem['msg']})"


def _with_scheme(address: str, *schemes: str) -> str:
    if address.partition("://")[0] not in schemes:
        raise ValueError(f"must start with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    return address


def _kept_secret(data_dir: Path) -> str:
    """The secret in the data directory, made at the first start; two starts at once agree on one."""
    kept = data_dir / "secret"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(kept, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            secret = file.read().strip()
            if not secret:
                secret = secrets.token_urlsafe(48)
                file.write(secret)
    except OSError as error:
        raise SettingsError(f"JANJI_DATA_DIR must be a directory that we can write to: {error}") from None
    if len(secret) < MIN_SECRET_LENGTH:
        raise SettingsError(f"JANJI_SECRET must have at least {MIN_SECRET_LENGTH} characters, and {kept} has fewer")
    return secret
