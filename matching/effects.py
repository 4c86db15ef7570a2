"""What a search wants done; `bot/turns/perform.py` does it, at least once and in this order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from matching.policy import Needs


@dataclass(frozen=True, slots=True)
class FindCandidates:
    """Take up to `count` holds until `until` on the best therapists within the radius, and say who was held."""

    attempt: int
    needs: Needs
    radius_km: float | None
    count: int
    until: datetime
    refused: tuple[str, ...] = ()
    asked_before: tuple[str, ...] = ()
    only_therapist_id: str | None = None


@dataclass(frozen=True, slots=True)
class SendOffer:
    offer_id: str
    therapist_id: str
    booking_id: str
    distance_km: float
    respond_by: datetime
    attempt: int


@dataclass(frozen=True, slots=True)
class CloseOffer:
    """`why`, as the therapist sees it.

    `taken`, `cancelled`, `expired` or `declined`; and of one that waited for its guest `accepted`, `not_chosen`,
    `unanswered` or `cancelled`.
    """

    offer_id: str
    therapist_id: str
    why: str


@dataclass(frozen=True, slots=True)
class WaitForGuest:
    """The therapist has said yes in time, and now it is the guest's turn, until this moment."""

    offer_id: str
    therapist_id: str
    until: datetime


@dataclass(frozen=True, slots=True)
class KeepHold:
    """Prolong the hold for as long as the guest may choose, and say whether it was still ours."""

    offer_id: str
    therapist_id: str
    fence: int
    until: datetime


@dataclass(frozen=True, slots=True)
class ReleaseHold:
    offer_id: str
    therapist_id: str
    fence: int


@dataclass(frozen=True, slots=True)
class ReportAttempt:
    conversation_id: str
    attempt: int
    deadline_at: datetime


@dataclass(frozen=True, slots=True)
class ReportFound:
    conversation_id: str
    offer_id: str
    therapist_id: str
    distance_km: float


@dataclass(frozen=True, slots=True)
class ReportLost:
    """The therapist of a found offer is no longer held for the guest."""

    conversation_id: str
    offer_id: str


@dataclass(frozen=True, slots=True)
class ReportExhausted:
    conversation_id: str


Effect = (
    FindCandidates
    | SendOffer
    | CloseOffer
    | WaitForGuest
    | KeepHold
    | ReleaseHold
    | ReportAttempt
    | ReportFound
    | ReportLost
    | ReportExhausted
)
