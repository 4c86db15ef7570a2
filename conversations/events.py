"""What can happen to a conversation; `Command`s are asked by a person and are answered, the rest are reports."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from conversations.values import (
    Contact,
    GenderPreference,
    Locale,
    Location,
    Party,
    Rating,
    Service,
    Source,
    Step,
    Terms,
    Therapist,
)


class Command:
    """An event that a person waits to have answered: without a row in the table it is refused, not dropped."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class BookPressed(Command):
    """`locale` and `timezone` are those of the screen on which it was pressed."""

    service: Service
    source: Source
    terms: Terms
    locale: Locale
    timezone: str | None = None
    therapist: Therapist | None = None


@dataclass(frozen=True, slots=True)
class ServiceConfirmed(Command):
    revision: int
    duration: int
    location: Location
    contact: Contact
    gender_preference: GenderPreference = "any"
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class TherapistAccepted(Command):
    """The guest accepts the therapist on the card."""

    revision: int
    offer_id: str


@dataclass(frozen=True, slots=True)
class AnotherWanted(Command):
    revision: int
    offer_id: str


@dataclass(frozen=True, slots=True)
class SearchAgainPressed(Command):
    revision: int


@dataclass(frozen=True, slots=True)
class Cancelled(Command):
    by: Party
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ErasureRequested(Command):
    """The guest wants to be forgotten."""


@dataclass(frozen=True, slots=True)
class VisitRated(Command):
    """Without a revision it is about the visit that was completed last, whatever card it was pressed on."""

    rating: Rating
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class ProgressMade(Command):
    """The therapist's news of the visit; `minutes` goes with `delayed`."""

    booking_id: str
    therapist_id: str
    step: Step
    minutes: int | None = None


@dataclass(frozen=True, slots=True)
class TherapistWithdrew(Command):
    """The therapist cannot come after all."""

    booking_id: str
    therapist_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    search_id: str
    attempt: int
    deadline_at: datetime


@dataclass(frozen=True, slots=True)
class TherapistFound:
    search_id: str
    offer_id: str
    therapist: Therapist
    distance_km: float


@dataclass(frozen=True, slots=True)
class TherapistLost:
    search_id: str
    offer_id: str


@dataclass(frozen=True, slots=True)
class SearchExhausted:
    search_id: str


@dataclass(frozen=True, slots=True)
class SlotReserved:
    """The row that books the therapist's time stands: this is the commit point of the booking."""

    offer_id: str
    reservation_id: str


@dataclass(frozen=True, slots=True)
class SlotTaken:
    """The therapist's time was given to another booking before this one could reserve it."""

    offer_id: str


@dataclass(frozen=True, slots=True)
class LocaleChosen:
    locale: Locale
    timezone: str | None = None


@dataclass(frozen=True, slots=True)
class ScreenWanted:
    """Somebody pressed a card of an older revision, and is to be shown what stands now."""


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """A ring: whether anything is due is decided by `expires_at` in the record."""


Event = (
    BookPressed
    | ServiceConfirmed
    | TherapistAccepted
    | AnotherWanted
    | SearchAgainPressed
    | Cancelled
    | ErasureRequested
    | VisitRated
    | ProgressMade
    | TherapistWithdrew
    | AttemptStarted
    | TherapistFound
    | TherapistLost
    | SearchExhausted
    | SlotReserved
    | SlotTaken
    | LocaleChosen
    | ScreenWanted
    | DeadlinePassed
)
