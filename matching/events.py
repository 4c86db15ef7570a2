"""What can happen to a search."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from matching.policy import Needs, Policy


@dataclass(frozen=True, slots=True)
class Held:
    """A therapist whose hold this search has just taken; the offer made of it inherits `fence` and `until`."""

    offer_id: str
    therapist_id: str
    fence: int
    until: datetime
    distance_km: float
    why: dict[str, float]


@dataclass(frozen=True, slots=True)
class SearchStarted:
    """`direct_therapist_id` is the one the guest picked on a profile card; `deadline_at` ends the first attempt."""

    conversation_id: str
    booking_id: str
    needs: Needs
    policy: Policy
    deadline_at: datetime
    direct_therapist_id: str | None = None


@dataclass(frozen=True, slots=True)
class CandidatesHeld:
    """The answer to `FindCandidates`: the holds that could be taken, best first; empty when there was nobody."""

    attempt: int
    holds: tuple[Held, ...]


@dataclass(frozen=True, slots=True)
class OfferAccepted:
    offer_id: str
    therapist_id: str


@dataclass(frozen=True, slots=True)
class OfferDeclined:
    offer_id: str
    therapist_id: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class HoldKept:
    """The hold of the accepted offer was still ours and now lasts until the guest must have chosen."""

    offer_id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class HoldLost:
    """The hold of the accepted offer had lapsed and belongs to another search by now."""

    offer_id: str


@dataclass(frozen=True, slots=True)
class TherapistGivenBack:
    """The guest wants another therapist, or this one's time was taken: the search goes on until `deadline_at`."""

    offer_id: str
    deadline_at: datetime


@dataclass(frozen=True, slots=True)
class TherapistTaken:
    """The guest has chosen the therapist, and the visit is reserved."""

    offer_id: str


@dataclass(frozen=True, slots=True)
class SearchCancelled:
    why: str
    is_unanswered: bool = False
    """Whether the guest only let their time run out."""


@dataclass(frozen=True, slots=True)
class StatusAsked:
    """The conversation has not heard of its search for too long and asks where it stands."""


@dataclass(frozen=True, slots=True)
class GuestErased:
    """The guest wants to be forgotten: who was asked and what they answered stays, where it was for does not."""


@dataclass(frozen=True, slots=True)
class DeadlinePassed:
    """A ring: whether anything is due is decided by the moments in the record."""


Event = (
    SearchStarted
    | CandidatesHeld
    | OfferAccepted
    | OfferDeclined
    | HoldKept
    | HoldLost
    | TherapistGivenBack
    | TherapistTaken
    | SearchCancelled
    | StatusAsked
    | GuestErased
    | DeadlinePassed
)
