"""The values that answers and entries are made of: each shape is what its builder fills and what the documents say."""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import ConfigDict, Field, StringConstraints, with_config
from typing_extensions import TypedDict

from conversations.booking import Status
from conversations.conversation import State
from conversations.values import Gender, Step

_EXAMPLE_OF_A_MOMENT = "2026-12-01T03:00:00.000Z"

Moment = Annotated[
    str,
    StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"),
    Field(
        description="RFC 3339 in UTC, with milliseconds.",
        json_schema_extra={"format": "date-time", "examples": [_EXAMPLE_OF_A_MOMENT]},
    ),
]
Feed = Annotated[
    str,
    Field(
        pattern=r"^(conversation|therapist):[A-Za-z0-9_-]+$",
        description="`conversation:<id>` or `therapist:<id>`: one ordered log.",
    ),
]
Seq = Annotated[int, Field(ge=0, description="A place in a feed; numbers of a feed have no gaps and only grow.")]
# Texts in JSON, and members of our own enumerations in the documents.
ConversationState = Annotated[State, Field(strict=False)]
BookingStatus = Annotated[Status, Field(strict=False)]

# Every field is always there, unless it says otherwise, and there are no others. A shape that others are made from
# describes its fields in their types: docstrings of fields are not inherited.
EXACT = ConfigDict(extra="forbid", strict=True, use_attribute_docstrings=True)


@with_config(EXACT)
class MoneyAmount(TypedDict):
    """Never a fraction: 25,000,000 of IDR are Rp250.000."""

    amount: int
    """In minor units of the currency, as the payment provider counts them: IDR has two digits of them."""
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    """ISO 4217."""


@with_config(EXACT)
class GivenLocation(TypedDict):
    """Where the visit takes place; degrees are WGS 84."""

    address: str
    latitude: float
    longitude: float


@with_config(EXACT)
class NamedService(TypedDict):
    id: str
    name: str


@with_config(EXACT)
class PersonInBooking(TypedDict):
    """The therapist of a booking."""

    id: str
    name: str
    photo: str
    rating: float


@with_config(EXACT)
class TherapistProfile(TypedDict):
    """A therapist as guests see one."""

    id: str
    name: str
    photo: str
    rating: float
    rating_count: int
    specialties: list[str]
    languages: list[str]
    gender: Gender


class Priced(TypedDict):
    price: MoneyAmount
    price_text: str


class Earning(TypedDict):
    earnings: MoneyAmount
    earnings_text: str


class KnownDistance(TypedDict):
    distance_km: float
    distance_text: str


class Distance(TypedDict):
    distance_km: float | None
    distance_text: str | None


@with_config(EXACT)
class DurationPrice(TypedDict):
    """What a visit of so many minutes costs."""

    minutes: int
    price: MoneyAmount
    price_text: str


@with_config(EXACT)
class DescribedService(TypedDict):
    id: str
    name: str
    description: str


@with_config(EXACT)
class MenuService(DescribedService):
    durations: list[DurationPrice]


@with_config(EXACT)
class ShownTherapist(TherapistProfile):
    available: bool
    distance_km: float
    distance_text: str
    durations: list[int]


@with_config(EXACT)
class BookingOfGuest(TypedDict):
    """A booking as its guest sees it; of one who was forgotten, without name, number and place."""

    id: str
    status: BookingStatus
    service: NamedService
    duration: Annotated[int, Field(description="In minutes.")]
    price: MoneyAmount
    price_text: str
    location: GivenLocation | None
    name: str | None
    phone: Annotated[str | None, Field(description="E.164.")]
    therapist: PersonInBooking | None
    progress: Step | None
    created_at: Moment | None
    starts_at: Moment | None
    arrives_by: Moment | None


@with_config(EXACT)
class GuestInBooking(TypedDict):
    name: str | None
    phone: str | None


@with_config(EXACT)
class BookingOfTherapist(BookingOfGuest):
    """A booking as its therapist sees it, with whom they visit and what it earns."""

    guest: GuestInBooking
    notes: str | None
    earnings: MoneyAmount
    earnings_text: str
    feed: Feed
    """The conversation of the visit, to be read while the visit is on."""


@with_config(EXACT)
class OfferedVisit(TypedDict):
    service_name: str
    duration: int
    address: str | None


@with_config(EXACT)
class OfferedGuest(TypedDict):
    name: str | None


class Offer(TypedDict):
    offer_id: str
    booking: OfferedVisit
    guest: OfferedGuest
    distance_km: float | None
    distance_text: str | None
    respond_by: Moment
    earnings: MoneyAmount
    earnings_text: str
    attempt: int
    waiting_until: Annotated[
        Moment | None, Field(description="Until when it is the guest's turn, None while it is the therapist's.")
    ]


class MayBeRedacted(TypedDict):
    redacted: NotRequired[
        Annotated[
            bool,
            Field(
                description="Whether what was personal is gone from it; left out where it is not.",
                json_schema_extra={"default": False},
            ),
        ]
    ]


@with_config(EXACT)
class OpenOffer(MayBeRedacted, Offer):
    """A visit that a therapist is asked to make; no phone number before they are booked."""


@with_config(EXACT)
class Countdown(TypedDict):
    """A search attempt that runs; attempt 0 is the one therapist whom the guest picked."""

    attempt: int
    max_attempts: int
    deadline_at: Moment


@with_config(EXACT)
class ActionButton(TypedDict):
    """A button: pressing it sends `command` with `payload` and a `client_id`, and what a form adds."""

    command: str
    label: str
    style: Literal["primary", "secondary", "quiet", "danger"]
    payload: dict[str, str | int]


@with_config(EXACT)
class ChatHeader(TypedDict):
    """Who stands at the head of the chat; `locked` while a visit is on."""

    title: str
    subtitle: str
    photo: str | None
    locked: bool
