"""Answers: acks of commands, snapshots, and what the routes of HTTP give."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, with_config
from typing_extensions import TypedDict

from bot.contract.entries import GuestEntry, StandingOfGuest, TherapistEntry
from bot.contract.shapes import ErrorBody, Language, Sent, SignedInTherapist
from bot.contract.streams import GuestPresent, IsTyping, SignalFrame, TherapistPresent
from bot.schemas.shapes import (
    EXACT,
    BookingOfTherapist,
    Feed,
    MenuService,
    Moment,
    OpenOffer,
    PersonInBooking,
    Seq,
    ShownTherapist,
)


class Refused(Sent):
    """The body of every answer of HTTP that is no success."""

    error: ErrorBody


# --- acks -------------------------------------------------------------------------------------------------------------


class Ok(Sent):
    ok: Literal[True]


@with_config(EXACT)
class RefusedAck(TypedDict):
    """A command that was refused changed nothing."""

    ok: Literal[False]
    error: ErrorBody


class QuietHours(Sent):
    """On the person's own clock, `22:00`; over midnight where they end before they begin."""

    begins: str
    ends: str


class ChosenPreferences(Ok):
    """What somebody does not want to be told; what is urgent, or needed for a visit, they are told all the same."""

    off: list[str]
    """Channels and kinds of notifications."""
    quiet_hours: QuietHours | None


# --- snapshots --------------------------------------------------------------------------------------------------------


class Receipt(Sent):
    """How far one side has got; 0 for nothing."""

    delivered: Seq
    read: Seq


class BothReceipts(Sent):
    guest: Receipt
    therapist: Receipt


_Unread = Annotated[int, Field(ge=0, description="How many messages of the other side came after one's own `read`.")]
_TypingNow = Annotated[IsTyping | None, Field(description="None where no visit is on.")]


class _Live(Sent):
    receipts: BothReceipts
    unread: _Unread
    typing: _TypingNow


class _LiveRoom(TypedDict):
    receipts: BothReceipts
    unread: _Unread
    typing: _TypingNow


@with_config(EXACT)
class BookingWithGuest(_LiveRoom, BookingOfTherapist):
    """A visit that is on, with what is known of its guest at this moment."""

    presence: GuestPresent | None
    """None where nobody can say."""


class GuestSession(StandingOfGuest, _Live):
    """Where a guest stands, and what they have missed; `token` opens the same conversation the next time."""

    token: str
    conversation_id: str
    feed: Feed
    epoch: str
    """A cursor is good only with the epoch it came with."""
    locale: Language
    presence: TherapistPresent | None
    """None where no visit is on, or nobody can say."""
    entries: list[GuestEntry]
    last_seq: Seq
    """The cursor after these entries; what follows comes on the stream."""
    resync: bool
    """The cursor made no sense: forget what is shown and begin with these entries."""
    server_time: Moment


class TherapistSession(Sent):
    """Where a therapist stands: the offers that can be answered, the visits that are on, and what was missed."""

    therapist: PersonInBooking
    available: bool
    offers: list[OpenOffer]
    bookings: list[BookingWithGuest]
    feeds: dict[Feed, Seq]
    """The cursor of each feed after these entries."""
    entries: list[TherapistEntry]
    epoch: str
    resync: bool
    locale: Language
    server_time: Moment


class GuestSessionAnswer(GuestSession):
    ok: Literal[True]


class TherapistSessionAnswer(TherapistSession):
    ok: Literal[True]


# --- routes -----------------------------------------------------------------------------------------------------------


class Menu(Sent):
    services: list[MenuService]
    server_time: Moment


class NearbyTherapists(Sent):
    therapists: list[ShownTherapist]
    server_time: Moment


class CodeSent(Ok):
    """Sent to the phone, if it is a therapist's; a number that nobody has is answered alike."""

    expires_at: Moment
    demo_code: str | None
    """The code itself, in the demonstration only."""


class SignedIn(Ok):
    token: str
    therapist: SignedInTherapist


class Ticket(Ok):
    ticket: str
    expires_at: Moment


class WebPushKey(Ok):
    key: str
    """The `applicationServerKey` that a browser subscribes with, in base64url."""


class Tried(Ok):
    devices: int
    """How many devices hear of notifications while no page is open; the one that was asked for stands on the feed."""


class _Page(Sent):
    """What a long poll brings; ask again with `last_seq`."""

    last_seq: Seq
    signals: list[SignalFrame]
    """All that is to be seen of the other side at this moment, and whether to come back later or elsewhere."""
    signals_cursor: str
    """Given back as `signals`, it has the next poll tell at once what has changed in between."""
    epoch: str
    resync: bool
    over: bool
    """Nothing will ever follow: the visit whose room this is has ended."""
    server_time: Moment


class PageOfGuest(_Page):
    __doc__ = _Page.__doc__
    entries: list[GuestEntry]


class PageOfTherapist(_Page):
    __doc__ = _Page.__doc__
    entries: list[TherapistEntry]


class MapCentre(Sent):
    latitude: float
    longitude: float
    address: str


class FoundPlace(Sent):
    """A town, a village or a district; GeoNames' data, CC BY 4.0. Degrees are WGS 84."""

    name: str
    region: str
    latitude: float
    longitude: float


class FoundPlaces(Sent):
    """The likeliest first, and none where the text names no place that is known."""

    places: list[FoundPlace]


class Patience(Sent):
    """How long a page waits for what, in seconds."""

    command_s: float
    signal_s: float
    session_s: float
    offline_after_s: float
    stream_starts_s: float
    stream_silent_s: float
    probe_every_s: float


class ClientSettings(Sent):
    """What pages must know before they can begin."""

    locale_default: Language
    locales: list[Language]
    demo: bool
    demo_therapist_phone: str | None
    map_default: MapCentre
    app_store_url: str | None
    play_store_url: str | None
    fallback_after_s: float
    """How long a page waits for Socket.IO before it reads a stream instead."""
    patience: Patience


class Alive(Sent):
    status: Literal["ok"]


class Checks(Sent):
    mongodb: Literal["ok", "away"]
    redis: Literal["ok", "delayed", "away"]
    """Without it bookings and messages go on, a little slower."""


class Readiness(Sent):
    status: Literal["ok", "unavailable", "stopping"]
    checks: Checks
    away_since: dict[Literal["mongodb", "redis"], Moment]


class PartOfStatus(Sent):
    name: Literal["mongodb", "redis", "workers", "outbox", "alarms", "notifications", "sign_in", "process"]
    state: Literal["ok", "delayed", "away", "unknown"]
    label: str
    state_text: str
    text: str
    age_s: float | None
    """How long a server has been away, a way to send notifications has failed, an effect has waited, an alarm or a
    notification is overdue; since when a worker is silent."""


class Status(Sent):
    """Whether bookings and messages are going on, and which part of the program is why where they are not."""

    state: Literal["operational", "degraded", "down"]
    """While it is degraded they are going on; while it is down they are not."""
    title: str
    text: str
    parts: list[PartOfStatus]
    version: str
    commit: str | None
    uptime_s: int
    """Of the process that answered."""
    as_of_text: str
    server_time: Moment


Words = Annotated[dict[str, str], Field(description="English sentence to its translation.")]
Document = Annotated[dict[str, JsonValue], Field(description="A document about this interface.")]
