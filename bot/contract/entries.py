"""Entries of the feeds, by type, as guests and as therapists read them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from bot.contract.shapes import Code, Params, Redactable, Sent
from bot.schemas.shapes import (
    ActionButton,
    BookingOfGuest,
    BookingOfTherapist,
    ChatHeader,
    ConversationState,
    Countdown,
    DescribedService,
    DurationPrice,
    Feed,
    Moment,
    OpenOffer,
    Seq,
    TherapistProfile,
)
from conversations import replies
from conversations.notice_texts import TEXTS
from conversations.notices import Urgency

KINDS_SHOWN = sorted({*replies.NOTIFICATIONS, *(kind for kind, _ in TEXTS)})


class _Entry(Sent):
    feed: Feed
    seq: Seq
    id: str
    """The same entry has the same id on every transport."""
    at: Moment


# --- what is said -----------------------------------------------------------------------------------------------------


class SaidMessage(Redactable):
    from_: Annotated[Literal["guest", "therapist"], Field(alias="from")]
    text: str
    client_id: str | None
    """The one that its sender chose: it tells a message of one's own from all others. None when it was deleted."""


class MessageEntry(_Entry):
    """A message between the two people of a visit."""

    type: Literal["message"]
    data: SaidMessage


class ReadUpTo(Redactable):
    by: Literal["guest", "therapist"]
    seq: Seq


class ReadEntry(_Entry):
    """Somebody has seen everything up to `seq`; each of these goes on from the one before it."""

    type: Literal["read"]
    data: ReadUpTo


class SystemLine(Redactable):
    key: Annotated[str, Field(examples=list(replies.LINES))]
    """For clients that bring words of their own."""
    text: str
    """In the reader's language."""
    params: Params


class SystemEntry(_Entry):
    """A line of the bot."""

    type: Literal["system"]
    data: SystemLine


# --- cards ------------------------------------------------------------------------------------------------------------


class _Card(Redactable):
    revision: int
    """A card of an older revision than the state's is over: its buttons are answered `stale`."""
    title: str
    text: str
    actions: list[ActionButton]
    """The guest's; for a therapist always empty."""


class PickedTherapist(Sent):
    id: str
    name: str
    photo: str


class FormDefaults(Sent):
    """What the same guest said for their last booking; without one, nothing."""

    duration: int = 60
    name: str = ""
    phone: str = ""
    address: str = ""
    latitude: float | None = None
    """Where that address is: the point belongs to this text and to no other."""
    longitude: float | None = None


class ServiceCard(_Card):
    """A form: how long, where, and who asks."""

    card: Literal["service"]
    service: DescribedService
    therapist: PickedTherapist | None
    durations: list[DurationPrice]
    defaults: FormDefaults
    expires_at: Moment | None


class TherapistCard(_Card):
    """A therapist has accepted, and the guest chooses."""

    card: Literal["therapist"]
    offer_id: str
    therapist: TherapistProfile
    distance_km: float | None
    distance_text: str | None
    arrival_text: str
    expires_at: Moment | None


class NoTherapistCard(_Card):
    """Nobody was found; the guest may search again."""

    card: Literal["no_therapist"]


class AppDownloadCard(_Card):
    """Janji as an app, offered with a reminder: a page knows which way of having it works on its device."""

    card: Literal["app_download"]


class RatingCard(_Card):
    """The visit is completed, and the guest says how it was; `stars` are those that were given already."""

    card: Literal["rating"]
    therapist: PickedTherapist
    stars: Annotated[int, Field(ge=1, le=5)] | None


class ProblemCard(_Card):
    """Something could not be done, and why."""

    card: Literal["problem"]
    code: Code


class CardEntry(_Entry):
    """Something to look at and to press."""

    type: Literal["card"]
    data: Annotated[
        ServiceCard | TherapistCard | NoTherapistCard | AppDownloadCard | RatingCard | ProblemCard,
        Field(discriminator="card"),
    ]


# --- where somebody stands --------------------------------------------------------------------------------------------


class _Standing(Redactable):
    state: ConversationState
    revision: int
    header: ChatHeader


class StandingOfGuest(_Standing):
    """Where the guest stands; it replaces what was said of it before."""

    booking: BookingOfGuest | None
    countdown: Countdown | None
    actions: list[ActionButton]


class StateEntry(_Entry):
    """Where the conversation stands; it replaces what was said of it before."""

    type: Literal["state"]
    data: StandingOfGuest


class StandingOfRoom(_Standing):
    """Where the visit stands, as its therapist sees it."""

    booking: BookingOfTherapist | None
    countdown: None
    actions: Annotated[list[ActionButton], Field(max_length=0)]


class OwnAvailability(Sent):
    available: bool


class TherapistStateEntry(_Entry):
    """On the feed of a conversation the visit moved; on a therapist's own one their availability changed."""

    type: Literal["state"]
    data: StandingOfRoom | OwnAvailability


# --- the therapist's own feed -----------------------------------------------------------------------------------------


class OfferEntry(_Entry):
    """The therapist is asked, until `respond_by`."""

    type: Literal["offer"]
    data: OpenOffer


class ClosedOffer(Redactable):
    offer_id: str
    why: Literal["taken", "cancelled", "expired", "declined", "accepted", "not_chosen", "unanswered"]
    """The last three are what the guest did, or did not do, of an offer that waited for them."""


class OfferClosedEntry(_Entry):
    """An offer is over."""

    type: Literal["offer_closed"]
    data: ClosedOffer


class WaitingOffer(Redactable):
    offer_id: str
    until: Moment


class OfferWaitingEntry(_Entry):
    """The therapist has said yes, and until `until` it is the guest's turn."""

    type: Literal["offer_waiting"]
    data: WaitingOffer


class ChangedBooking(Redactable):
    booking: BookingOfTherapist


class BookingEntry(_Entry):
    """A booking of the therapist's changed. One that is `active` has a room: the feed that stands in it."""

    type: Literal["booking"]
    data: ChangedBooking


class ShownNotification(Redactable):
    kind: Annotated[str, Field(examples=KINDS_SHOWN)]
    """For clients that bring words of their own."""
    title: str
    """In the reader's language."""
    body: str
    sound: str | None
    """Which sound a page plays, None for silence, as for the side that only reads along."""
    urgency: Urgency


class NotificationEntry(_Entry):
    """Something to be noticed at once, also where the page is not looked at."""

    type: Literal["notification"]
    data: ShownNotification


GuestEntry = Annotated[
    MessageEntry | ReadEntry | SystemEntry | CardEntry | StateEntry | NotificationEntry, Field(discriminator="type")
]
TherapistEntry = Annotated[
    MessageEntry
    | ReadEntry
    | SystemEntry
    | CardEntry
    | TherapistStateEntry
    | OfferEntry
    | OfferClosedEntry
    | OfferWaitingEntry
    | BookingEntry
    | NotificationEntry,
    Field(discriminator="type"),
]
