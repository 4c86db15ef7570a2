"""What another system says of one of its bookings: how it may be said, and what it means here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    Field,
    StrictInt,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from bot.schemas.fields import Payload, parse_phone
from bot.schemas.texts import Cleaned, Email, Line, Name, Reason, Written
from bot.settings.settings import Settings
from bot.words import negotiate
from conversations.external_booking import Customer, Details
from conversations.money.amounts import Money, minor_digits
from conversations.notices import Channel
from conversations.replies import N_

MINOR_DIGITS_OF_MOST = 2
EARLIEST_YEAR, LATEST_YEAR = 2000, 2100


# RFC 3339 (section 5.6), whose letters may be small; the offset and the seconds may be left out.
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def _read_moment(text: str) -> datetime:
    try:
        if not _MOMENT.fullmatch(text.upper()):
            raise ValueError
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        raise ValueError(N_("is not a moment like 2026-12-01T10:00:00Z")) from None
    if not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        raise ValueError(N_("is out of range"))
    return moment


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(N_("is not the name of a time zone")) from None
    return name


_EXAMPLE = "2026-12-01T10:00:00Z"
Moment = Annotated[
    str,
    StringConstraints(strict=True, max_length=40),
    AfterValidator(lambda text: _read_moment(text) and text),
    Cleaned,
    WithJsonSchema({"type": "string", "maxLength": 40, "examples": [_EXAMPLE]}),
]
Reference = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=128, pattern=r"^[!-~]+$")]
Amount = Annotated[float, Field(strict=True, ge=0, le=1e12, allow_inf_nan=False)]


class BookingNews(Payload):
    """A booking of another system as it stands there now. What is not said again still holds."""

    booking_id: Reference
    """The sender's own id of it, or one of ours (`b_…`)."""
    user_id: Reference | None = None
    """The sender's own id of the customer, kept with the booking."""
    customer_name: Name
    customer_phone: Written | None = None
    """Without a country it is read as one of `JANJI_DEFAULT_REGION`. One that cannot be reached stops nothing."""
    customer_email: Written | None = None
    barbershop_name: Name
    """Whose customer it is: signs what is sent."""
    barber_name: Name
    service_name: Name
    appointment_date: Moment
    """RFC 3339; without an offset it is a time on the clocks of `timezone`."""
    appointment_duration: Annotated[StrictInt, Field(ge=1, le=1440)]
    """In minutes."""
    currency: Annotated[str, StringConstraints(strict=True, pattern="^[A-Z]{3}$")] | None = None
    """ISO 4217; without one, `JANJI_DEFAULT_CURRENCY`."""
    total_price: Amount | None = None
    """In whole units of the currency: 25.00 are twenty-five dollars."""
    refund_amount: Amount | None = None
    """What a cancellation gives back."""
    booking_status: Literal["pending", "confirmed", "cancelled", "completed", "no_show"] | None = None
    timezone: Annotated[str, StringConstraints(strict=True, max_length=64), AfterValidator(_known_zone)] | None = None
    """The customer's, by its IANA name; without one, `JANJI_DEFAULT_TIMEZONE`."""
    locale: Annotated[str, StringConstraints(strict=True, max_length=35)] | None = None
    address: Line | None = None
    payment_intent: Reference | None = None
    """What the payment provider calls the payment."""
    reason: Reason | None = None
    """Why it was cancelled, or why the payment failed."""
    revision: Annotated[StrictInt, Field(ge=1, le=2**31 - 1)] | None = None
    """How often it has changed there: what is older than what was said before changes nothing."""
    occurred_at: Moment | None = None
    """When it happened there, which orders news that carry no revision."""

    @field_validator("total_price", "refund_amount")
    @classmethod
    def _whole_in_minor_units(cls, value: float | None, info: ValidationInfo) -> float | None:
        currency = info.data.get("currency")
        digits = minor_digits(currency) if currency else MINOR_DIGITS_OF_MOST
        if value is not None and -Decimal(str(value)).normalize().as_tuple().exponent > digits:  # type: ignore[operator]
            raise ValueError(N_("has too many decimals"))
        return value


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A channel that cannot be used for this customer, and what was wrong with the field it needs."""

    channel: Channel
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Understood:
    """What a booking news says in our own words."""

    details: Details
    said_at: datetime | None
    refund: Money | None
    unreachable: tuple[Unreachable, ...]


def understand(news: BookingNews, settings: Settings) -> Understood:
    """The details of the booking, with what is not said filled in by the settings."""
    timezone = news.timezone or settings.default_timezone
    currency = news.currency or settings.default_currency
    phone, phone_fault = _phone_of(news.customer_phone, settings.default_region)
    email, email_fault = _email_of(news.customer_email)
    customer = Customer(
        news.customer_name, negotiate(news.locale, None, settings.default_locale), timezone, phone, email, news.user_id
    )
    details = Details(
        customer=customer,
        brand=news.barbershop_name,
        provider_name=news.barber_name,
        service_name=news.service_name,
        starts_at=_moment_in(news.appointment_date, timezone),
        duration=news.appointment_duration,
        price=_money(news.total_price, currency),
        address=news.address or None,
    )
    faults = (("email", "customer_email", email_fault), ("sms", "customer_phone", phone_fault))
    return Understood(
        details=details,
        said_at=_moment_in(news.occurred_at, timezone) if news.occurred_at else None,
        refund=_money(news.refund_amount, currency),
        unreachable=tuple(Unreachable(channel, field, why) for channel, field, why in faults if why),  # type: ignore[arg-type]
    )


def _moment_in(text: str, timezone: str) -> datetime:
    """In UTC: two local times of one zone are compared and added to by their wall clocks, which go back once a year."""
    moment = _read_moment(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(timezone))).astimezone(UTC)


def _money(amount: float | None, currency: str) -> Money | None:
    if amount is None:
        return None
    minor = Decimal(str(amount)).scaleb(minor_digits(currency))
    return Money(int(minor.to_integral_value(ROUND_HALF_UP)), currency)


def _phone_of(written: str | None, region: str) -> tuple[str | None, str | None]:
    """The number in E.164, or why there is none."""
    if not written:
        return None, N_("is missing")
    try:
        return parse_phone(written, region), None
    except ValueError as error:
        return None, str(error)


_EMAIL: TypeAdapter[str] = TypeAdapter(Email)


def _email_of(written: str | None) -> tuple[str | None, str | None]:
    if not written:
        return None, N_("is missing")
    try:
        return _EMAIL.validate_python(written), None
    except ValidationError:
        return None, N_("is not an e-mail address")


class WizardEvent(Payload):
    """What the booking wizard sends: the booking as it stands after what happened, under its revision."""

    type: Literal["booking.created", "booking.updated", "booking.cancelled"]
    timestamp: Moment | None = None
    data: BookingNews

    @field_validator("data")
    @classmethod
    def _counted(cls, value: BookingNews) -> BookingNews:
        if value.revision is None:
            raise ValueError(N_("must have a revision"))
        return value


def as_json(news: Payload) -> Mapping[str, Any]:
    """A payload as it is kept until it is worked off."""
    return news.model_dump(exclude_none=True)
