"""The values that answers and entries are made of, as they stand in JSON."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints

from bot.errors import STATUS_BY_CODE
from conversations.booking import Status
from conversations.conversation import State
from conversations.values import Gender, Locale, Step

_EXAMPLE_OF_A_MOMENT = "2026-12-01T03:00:00.000Z"

Moment = Annotated[
    str,
    StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"),
    Field(
        description="RFC 3339 in UTC, with milliseconds.",
        json_schema_extra={"format": "date-time", "examples": [_EXAMPLE_OF_A_MOMENT]},
    ),
]


def _a_code_of_ours(code: str) -> str:
    if code not in STATUS_BY_CODE:
        raise ValueError("is no code of the contract")
    return code


Code = Annotated[str, AfterValidator(_a_code_of_ours), Field(json_schema_extra={"enum": [*STATUS_BY_CODE]})]
Seq = Annotated[int, Field(ge=0, description="A place in a feed; numbers of a feed have no gaps and only grow.")]
Feed = Annotated[
    str,
    Field(
        pattern=r"^(conversation|therapist):[A-Za-z0-9_-]+$",
        description="`conversation:<id>` or `therapist:<id>`: one ordered log.",
    ),
]
# Texts in JSON, and members of our own enumerations in the documents.
ConversationState = Annotated[State, Field(strict=False)]
BookingStatus = Annotated[Status, Field(strict=False)]


class Sent(BaseModel):
    """Anything that goes out: every field is always there, and there are no others."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, use_attribute_docstrings=True)


class Redactable(Sent):
    """What an entry says. It goes on being there when its guest has been forgotten, without what was theirs."""

    redacted: bool = False
    """Whether what was personal is gone from it; left out where it is not."""


class MoneyAmount(Sent):
    """Never a fraction: 25,000,000 of IDR are Rp250.000."""

    amount: int
    """In minor units of the currency, as the payment provider counts them: IDR has two digits of them."""
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    """ISO 4217."""


class ErrorBody(Sent):
    """Why something was refused; it changed nothing."""

    code: Code
    message: str
    """In the reader's language, ready to show."""
    fields: dict[str, str]
    """For each field that is wrong, by its path (`location.latitude`), why."""
    retry_after_s: float | None
    """When it makes sense to try again, where that is known."""


class GivenLocation(Sent):
    """Where the visit takes place; degrees are WGS 84."""

    address: str
    latitude: float
    longitude: float


class NamedService(Sent):
    id: str
    name: str


class PersonInBooking(Sent):
    """The therapist of a booking."""

    id: str
    name: str
    photo: str
    rating: float


class TherapistProfile(Sent):
    """A therapist as guests see one."""

    id: str
    name: str
    photo: str
    rating: float
    rating_count: int
    specialties: list[str]
    languages: list[str]
    gender: Gender


class DurationPrice(Sent):
    """What a visit of so many minutes costs."""

    minutes: int
    price: MoneyAmount
    price_text: str


class Countdown(Sent):
    """A search attempt that runs; attempt 0 is the one therapist whom the guest picked."""

    attempt: int
    max_attempts: int
    deadline_at: Moment


class ActionButton(Sent):
    """A button: pressing it sends `command` with `payload` and a `client_id`, and what a form adds."""

    command: str
    label: str
    style: Literal["primary", "secondary", "quiet", "danger"]
    payload: dict[str, str | int]


class ChatHeader(Sent):
    """Who stands at the head of the chat; `locked` while a visit is on."""

    title: str
    subtitle: str
    photo: str | None
    locked: bool


class BookingOfGuest(Sent):
    """A booking as its guest sees it; of one who was forgotten, without name, number and place."""

    id: str
    status: BookingStatus
    service: NamedService
    duration: int
    """In minutes."""
    price: MoneyAmount
    price_text: str
    location: GivenLocation | None
    name: str | None
    phone: str | None
    """E.164."""
    therapist: PersonInBooking | None
    progress: Step | None
    created_at: Moment | None
    starts_at: Moment | None
    arrives_by: Moment | None


class GuestInBooking(Sent):
    name: str | None
    phone: str | None


class BookingOfTherapist(BookingOfGuest):
    """A booking as its therapist sees it, with whom they visit and what it earns."""

    guest: GuestInBooking
    notes: str | None
    earnings: MoneyAmount
    earnings_text: str
    feed: Feed
    """The conversation of the visit, to be read while the visit is on."""


class OfferedVisit(Sent):
    service_name: str
    duration: int
    address: str | None


class OfferedGuest(Sent):
    name: str | None


class OpenOffer(Redactable):
    """A visit that a therapist is asked to make; no phone number before they are booked."""

    offer_id: str
    booking: OfferedVisit
    guest: OfferedGuest
    distance_km: float | None
    distance_text: str | None
    respond_by: Moment
    earnings: MoneyAmount
    earnings_text: str
    attempt: int


class SignedInTherapist(Sent):
    id: str
    name: str
    photo: str


Params = dict[str, JsonValue]
Language = Locale
