"""What can be set from outside: every setting of the program, checked once, at start."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from phonenumbers import SUPPORTED_REGIONS
from pydantic import Field, FiniteFloat, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from bot.settings.booking import BookingSettings
from bot.settings.channels import ChannelSettings
from bot.settings.kinds import CommaSeparated, is_on_this_machine, key_of_standard
from bot.settings.limits import LimitSettings
from bot.settings.notices import NoticeSettings
from bot.settings.servers import ServerSettings
from bot.settings.variables import Variables

MIN_WEBHOOK_SECRET_LENGTH = 16

JAKARTA = (-6.2088, 106.8456)
# Whose data the demonstration brings: the one therapist who is no simulation, and the address beside the map.
DEMO_PHONE = "+6281200000000"
DEMO_ADDRESS = "Jl. Sultan Agung, Jakarta Selatan"


def _address_of_a_demonstration(validated: Mapping[str, Any]) -> str:
    return DEMO_ADDRESS if validated.get("demo") else ""


class Settings(ChannelSettings, NoticeSettings, BookingSettings, LimitSettings, ServerSettings):
    """Every setting, with its default: those of a subject stand in its own module, what is about people here.

    Names ending in `_s` are seconds; arguments win over the environment.
    """

    model_config = SettingsConfigDict(frozen=True, extra="forbid")

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
    show_sign_in_codes: bool = False
    demo: bool = False
    map_center: Annotated[tuple[FiniteFloat, ...], CommaSeparated] = JAKARTA
    """Where a map begins for a guest whose device does not tell where it is: latitude, longitude, degrees (WGS 84)."""
    map_address: str = Field(default_factory=_address_of_a_demonstration)
    """Filled in with it, where nobody can be sent there by mistake."""
    app_store_url: str | None = None
    """Our app for iOS, https; where there is none, the pages offer to install themselves."""
    play_store_url: str | None = None

    @field_validator("demo", "show_sign_in_codes")
    @classmethod
    def _codes_stay_on_this_machine(cls, value: bool, info: ValidationInfo) -> bool:
        """Both show codes to people whom they do not belong to: nothing for a database that others reach as well."""
        if value and not is_on_this_machine(info.data.get("mongodb_uri") or "mongodb://localhost"):
            raise ValueError("must not be true beside a MONGODB_URI of another machine")
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

    @field_validator("map_center")
    @classmethod
    def _map_center_is_a_place(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(value) != 2 or abs(value[0]) > 90 or abs(value[1]) > 180:
            raise ValueError("must be a latitude and a longitude, like -6.2088,106.8456")
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

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_library_sources: PydanticBaseSettingsSource,
        **_named_library_sources: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, Variables(settings_cls)
