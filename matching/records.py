"""The record of a search and of the offers in it, and what a decision about one consists of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from matching import effects as do
from matching.policy import Needs, Policy


class State(StrEnum):
    NEW = "new"
    ASKING = "asking"
    KEEPING = "keeping"
    FOUND = "found"
    WON = "won"
    EXHAUSTED = "exhausted"
    CANCELLED = "cancelled"


class Answer(StrEnum):
    """What became of an offer."""

    ASKED = "asked"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    EXPIRED = "expired"
    TAKEN = "taken"
    WITHDRAWN = "withdrawn"
    GIVEN_BACK = "given_back"


LIVE_STATES = (State.ASKING, State.KEEPING, State.FOUND)


@dataclass(frozen=True, slots=True)
class Offer:
    """One therapist asked once: when, why this one (kilometres, see `policy.rank`), until when, and the answer."""

    offer_id: str
    therapist_id: str
    fence: int
    until: datetime
    distance_km: float
    why: dict[str, float]
    attempt: int
    asked_at: datetime
    answer: Answer = Answer.ASKED
    answered_at: datetime | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """The record of one search. `expires_at` is the next moment at which something is due, None once it has ended."""

    id: str
    version: int = 0
    state: State = State.NEW
    expires_at: datetime | None = None
    conversation_id: str = ""
    booking_id: str = ""
    needs: Needs | None = None
    policy: Policy | None = None
    direct_therapist_id: str | None = None
    attempt: int = 0
    attempt_ends_at: datetime | None = None
    chosen_offer_id: str | None = None
    offers: tuple[Offer, ...] = ()
    refused: tuple[str, ...] = ()
    let_go: tuple[str, ...] = ()
    """The offer ids of holds that were let go unused: the news of them may come twice, their letting go only once."""
    ended_because: str | None = None

    @property
    def is_live(self) -> bool:
        return self.state in LIVE_STATES

    def offer(self, offer_id: str) -> Offer | None:
        return next((offer for offer in self.offers if offer.offer_id == offer_id), None)

    def open_offers(self) -> tuple[Offer, ...]:
        return tuple(offer for offer in self.offers if offer.answer is Answer.ASKED)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the search becomes and what is to be done; `refusal` is a code of the public contract for who asked."""

    record: Search
    effects: tuple[do.Effect, ...] = ()
    refusal: str | None = None
