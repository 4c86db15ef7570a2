"""What a conversation wants done; `bot/turns/perform.py` does it, at least once and in this order."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from conversations.booking import Event as BookingEvent
from conversations.notices import Notify
from conversations.values import Button, Countdown, GenderPreference, Location


@dataclass(frozen=True, slots=True)
class Say:
    """A line of the bot on the conversation's feed: a key of `replies.LINES` and its parameters."""

    key: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShowCard:
    """A card on the conversation's feed; `data` is what the card shows besides its words and buttons."""

    card: str
    revision: int
    buttons: tuple[Button, ...]
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ShowState:
    """Where the guest stands, for every screen that shows this conversation.

    From the entry that says `active` with a therapist until the next that says anything else, that therapist may read.
    """

    state: str
    revision: int
    header: dict[str, Any]
    booking_id: str | None
    therapist_id: str | None
    countdown: Countdown | None
    buttons: tuple[Button, ...]


@dataclass(frozen=True, slots=True)
class TellBooking:
    booking_id: str
    event: BookingEvent


@dataclass(frozen=True, slots=True)
class StartSearch:
    search_id: str
    booking_id: str
    location: Location
    duration: int
    gender_preference: GenderPreference
    deadline_at: datetime
    direct_therapist_id: str | None = None


@dataclass(frozen=True, slots=True)
class AskSearch:
    """Ask the search where it stands, when nothing has been heard of it for too long."""

    search_id: str


@dataclass(frozen=True, slots=True)
class GiveTherapistBack:
    search_id: str
    offer_id: str
    deadline_at: datetime


@dataclass(frozen=True, slots=True)
class CloseSearchWon:
    search_id: str
    offer_id: str


@dataclass(frozen=True, slots=True)
class CancelSearch:
    search_id: str
    why: str
    is_unanswered: bool = False
    """Whether the guest only let their time run out."""


@dataclass(frozen=True, slots=True)
class ReserveSlot:
    """Write the one row that books the therapist's time, and say whether it could be written."""

    reservation_id: str
    booking_id: str
    therapist_id: str
    offer_id: str
    starts_at: datetime
    ends_at: datetime
    buffer_minutes: int


@dataclass(frozen=True, slots=True)
class ReleaseSlot:
    reservation_id: str


@dataclass(frozen=True, slots=True)
class ShowTherapistBooking:
    """The booking as it stands now, on the therapist's feed."""

    therapist_id: str
    booking_id: str


@dataclass(frozen=True, slots=True)
class NotifyTherapist:
    """A notification on the therapist's feed: a key of `replies.NOTIFICATIONS`."""

    therapist_id: str
    booking_id: str
    kind: str
    params: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CountVisit:
    """Bring the therapist's visits and rating up to date with the bookings in the database; a job does it."""

    therapist_id: str
    booking_id: str


@dataclass(frozen=True, slots=True)
class EndTokens:
    """No token of this guest opens anything any more, and their connections are closed."""


@dataclass(frozen=True, slots=True)
class EraseGuest:
    """Take the guest's personal data out of everything that this conversation led to; see `bot/turns/erasure.py`."""


Effect = (
    Say
    | ShowCard
    | ShowState
    | TellBooking
    | StartSearch
    | AskSearch
    | GiveTherapistBack
    | CloseSearchWon
    | CancelSearch
    | ReserveSlot
    | ReleaseSlot
    | ShowTherapistBooking
    | NotifyTherapist
    | CountVisit
    | Notify
    | EndTokens
    | EraseGuest
)
