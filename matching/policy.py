"""Who may be asked for a visit, who is asked first, and the reasons for both."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Gender = Literal["female", "male"]
GenderPreference = Literal["any", "female", "male"]

# What a quality is worth against distance, in kilometres: a therapist two stars better may live four kilometres away.
RATING_KM_PER_STAR = 2.0
WAITING_KM_AT_MOST = 3.0
WAITING_FULL_S = 3600.0
# Whose console is connected nowhere sees no offer: whoever sits at theirs may live this much farther away.
OFFLINE_KM = 5.0
# Who was asked in this search before and did not answer comes after everyone who was not.
ASKED_BEFORE_KM = 1000.0


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one search, copied into its record at the start: a new setting never bends a running search."""

    answer_s: float = 60.0
    choose_s: float = 120.0
    direct_s: float = 300.0
    radii_km: tuple[float, ...] = (5.0, 10.0, 20.0, 35.0, 50.0)
    wave_size: int = 3
    look_again_s: float = 5.0
    shortest_answer_s: float = 5.0

    @property
    def max_attempts(self) -> int:
        return len(self.radii_km)

    def radius_km(self, attempt: int) -> float:
        """The radius of an attempt, counted from 1; attempt 0 asks one chosen therapist, however far away."""
        return self.radii_km[min(max(attempt, 1), self.max_attempts) - 1]


@dataclass(frozen=True, slots=True)
class Needs:
    """What a guest asks for. Degrees are WGS 84, `duration` is in minutes."""

    latitude: float
    longitude: float
    duration: int
    gender_preference: GenderPreference = "any"


@dataclass(frozen=True, slots=True)
class Candidate:
    """What is known of a therapist at the moment of asking; `distance_km` is the great-circle distance to the guest.

    `is_offline` is said only of somebody whose console is known to be connected nowhere.
    """

    therapist_id: str
    distance_km: float
    rating: float
    gender: Gender
    durations: tuple[int, ...]
    is_available: bool = True
    is_held: bool = False
    is_busy: bool = False
    is_offline: bool = False
    last_offer_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate with its cost in kilometres and what made it up: the lowest cost is asked first."""

    candidate: Candidate
    cost_km: float
    why: dict[str, float]


def ineligibility(
    candidate: Candidate, needs: Needs, radius_km: float | None, refused: Collection[str] = ()
) -> str | None:
    """The first reason why this therapist is not asked, or None; without a radius, distance does not matter."""
    if candidate.therapist_id in refused:
        return "refused"
    if not candidate.is_available:
        return "unavailable"
    if candidate.is_held:
        return "held"
    if candidate.is_busy:
        return "busy"
    if needs.duration not in candidate.durations:
        return "duration"
    if needs.gender_preference not in ("any", candidate.gender):
        return "gender"
    if radius_km is not None and candidate.distance_km > radius_km:
        return "distance"
    return None


def is_eligible(candidate: Candidate, needs: Needs, radius_km: float | None, refused: Collection[str] = ()) -> bool:
    return ineligibility(candidate, needs, radius_km, refused) is None


def rank(candidates: Iterable[Candidate], now: datetime, asked_before: Collection[str] = ()) -> list[Ranked]:
    """Nearest and best first, fair to those who waited longest for an offer, and rather somebody who is there.

    Equal costs are ordered by id.
    """
    ranked = [_priced(candidate, now, candidate.therapist_id in asked_before) for candidate in candidates]
    return sorted(ranked, key=lambda each: (each.cost_km, each.candidate.therapist_id))


def _priced(candidate: Candidate, now: datetime, was_asked: bool) -> Ranked:
    why = {
        "distance_km": round(candidate.distance_km, 3),
        "rating_km": round((5.0 - candidate.rating) * RATING_KM_PER_STAR, 3),
        "waiting_km": round(-WAITING_KM_AT_MOST * _waiting_share(candidate.last_offer_at, now), 3),
    }
    if candidate.is_offline:
        why["offline_km"] = OFFLINE_KM
    if was_asked:
        why["asked_before_km"] = ASKED_BEFORE_KM
    return Ranked(candidate, round(sum(why.values()), 3), why)


def _waiting_share(last_offer_at: datetime | None, now: datetime) -> float:
    """How much of the longest wait that counts has passed since the last offer, 0 to 1; all of it if never asked."""
    if last_offer_at is None:
        return 1.0
    return min(max((now - last_offer_at).total_seconds() / WAITING_FULL_S, 0.0), 1.0)
