"""The values that records, events and effects of a conversation are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from conversations.money.amounts import Money

Gender = Literal["female", "male"]
GenderPreference = Literal["any", "female", "male"]
Locale = Literal["en", "id"]
Party = Literal["guest", "therapist", "operator"]
Source = Literal["profile", "menu", "price"]
Step = Literal["on_the_way", "delayed", "arrived", "completed", "no_show"]


@dataclass(frozen=True, slots=True)
class Terms:
    """The rules a booking was opened under, copied into its conversation: a new setting never bends a running one."""

    answer_s: float = 60.0
    choose_s: float = 120.0
    direct_s: float = 300.0
    form_s: float = 1800.0
    no_therapist_s: float = 1800.0
    arrival_s: float = 3600.0
    max_attempts: int = 5
    commission_basis_points: int = 3000
    buffer_minutes: int = 15


@dataclass(frozen=True, slots=True)
class Location:
    """Where the visit takes place; degrees are WGS 84."""

    address: str
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class Price:
    """What a visit of so many minutes costs."""

    minutes: int
    price: Money


@dataclass(frozen=True, slots=True)
class Service:
    """A service of the catalogue as it stood when the card was shown; names and descriptions by locale."""

    id: str
    names: dict[str, str]
    descriptions: dict[str, str]
    prices: tuple[Price, ...]

    def price_of(self, minutes: int) -> Money | None:
        return next((each.price for each in self.prices if each.minutes == minutes), None)


@dataclass(frozen=True, slots=True)
class Therapist:
    """A therapist as a guest sees one."""

    id: str
    name: str
    photo: str
    rating: float
    rating_count: int
    gender: Gender
    specialties: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Contact:
    """Who the guest said they are; `phone` is E.164."""

    name: str
    phone: str
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Draft:
    """What the service card on the screen offers: chosen before anything is known of the guest."""

    service: Service
    source: Source
    therapist: Therapist | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """What was confirmed on the service card; of a guest who was erased the place and the contact are None."""

    service_id: str
    service_names: dict[str, str]
    duration: int
    price: Money
    location: Location | None
    contact: Contact | None
    gender_preference: GenderPreference = "any"
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class Rating:
    """What a guest thought of a visit: 1 to 5 stars, and in their own words."""

    stars: int
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Countdown:
    """A search attempt as the guest sees it; attempt 0 is the one therapist that the guest picked."""

    attempt: int
    max_attempts: int
    deadline_at: datetime


@dataclass(frozen=True, slots=True)
class Button:
    """Something the guest may press: a command of the contract, its label's key, how it looks and what it sends."""

    command: str
    label: str
    style: Literal["primary", "secondary", "quiet", "danger"]
    payload: dict[str, str | int] = field(default_factory=dict)
