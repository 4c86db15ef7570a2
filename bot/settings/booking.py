"""The settings of a booking: how long each step may take, how far is looked, what it costs, who is shown as there."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import Field, FiniteFloat, field_validator
from pydantic_settings import BaseSettings

from bot.settings.kinds import CommaSeparated, LongSeconds, Seconds


class BookingSettings(BaseSettings):
    default_currency: str = "IDR"
    """Of an amount that another system tells without one."""
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
    reservation_buffer_minutes: Annotated[int, Field(ge=0, le=240)] = 15
    typing_s: Annotated[FiniteFloat, Field(ge=0.1, le=60)] = 6.0
    """How long somebody is shown as typing who does not say so again."""
    presence_grace_s: Annotated[FiniteFloat, Field(ge=0.1, le=600)] = 30.0
    """How long somebody whose connection has gone may take to come back before they are shown as offline."""
    presence_beat_s: Annotated[FiniteFloat, Field(ge=0.1, le=60)] = 10.0
    """How often a process says again who is connected to it."""

    @property
    def max_attempts(self) -> int:
        return len(self.radii_km)

    @property
    def commission_basis_points(self) -> int:
        return int(self.commission_percent * 100)

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
