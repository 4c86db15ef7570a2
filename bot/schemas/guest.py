"""What a guest may say: how they connect, and one model per command, which validates it and documents it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictInt, StringConstraints

from bot.schemas.command import Command, Moved, Said, by_name
from bot.schemas.fields import CommandPayload, Duration, Id, Latitude, Longitude, Payload, Revision, WithPhone
from bot.schemas.signals import Delivered, Read, TabPresence, Typing
from bot.schemas.texts import Address, Email, Line, Name, Note, Text


class GuestConnect(Payload):
    """`auth` of the namespace `/guest`; without a token, or with one that is not valid, a new guest begins."""

    token: Annotated[str, StringConstraints(strict=True, max_length=2048)] | None = None
    since: Annotated[StrictInt, Field(ge=0, le=2**53)] | None = None
    epoch: Annotated[str, StringConstraints(strict=True, max_length=64)] | None = None
    locale: Annotated[str, StringConstraints(strict=True, max_length=35)] | None = None
    timezone: Annotated[str, StringConstraints(strict=True, max_length=64)] | None = None


class LocationPayload(Payload):
    address: Address
    latitude: Latitude
    longitude: Longitude


class Book(CommandPayload):
    """Opens the form: from the menu, from a price, or from the profile of one therapist."""

    kind: Literal["now"]
    therapist_id: Id | None = None
    service: Id | None = None
    source: Literal["profile", "menu", "price"]


class ConfirmService(CommandPayload, WithPhone):
    """The filled-in form: the search for a therapist begins."""

    revision: Revision
    duration: Duration
    location: LocationPayload
    name: Name
    email: Email | None = None
    gender_preference: Literal["any", "female", "male"] = "any"
    notes: Note | None = None


class AcceptTherapist(CommandPayload):
    """Yes to the therapist who was found: the visit is booked."""

    revision: Revision
    offer_id: Id


class FindAnother(AcceptTherapist):
    """No to the therapist who was found: they go back, and the search goes on."""


class SearchAgain(CommandPayload):
    """Asks the therapists nearby once more."""

    revision: Revision


class Cancel(CommandPayload):
    """Ends the form, the search or the visit, whichever there is."""

    reason: Line | None = None


class Message(CommandPayload):
    """Something to read for the therapist of the visit."""

    text: Text


class ForgetMe(CommandPayload):
    """Deletes whatever we know about the guest, for good. What goes on is cancelled first, and every token ends."""


class Rate(CommandPayload):
    """A rating of the visit that was completed last; with a revision, of the one whose card says so."""

    stars: Annotated[StrictInt, Field(ge=1, le=5)]
    comment: Note | None = None
    revision: Revision | None = None


_OF_A_CARD = ("stale", "not_now")

GUEST_COMMANDS = by_name(
    Command("book", Book, Moved, ("already_live", "not_now")),
    Command("confirm_service", ConfirmService, Moved, (*_OF_A_CARD, "already_live")),
    Command("accept_therapist", AcceptTherapist, Moved, (*_OF_A_CARD, "not_found", "offer_expired", "slot_taken")),
    Command("find_another", FindAnother, Moved, (*_OF_A_CARD, "not_found", "offer_expired")),
    Command("search_again", SearchAgain, Moved, (*_OF_A_CARD, "already_live")),
    Command("cancel", Cancel, Moved, ("not_now",)),
    Command("message", Message, Said, ("not_now",), counts_as="messages"),
    Command("rate", Rate, Moved, (*_OF_A_CARD, "not_found")),
    Command("forget_me", ForgetMe, Moved, ("not_now",)),
    Command("typing", Typing, counts_as="signals"),
    Command("delivered", Delivered, counts_as="signals"),
    Command("read", Read, counts_as="signals"),
    Command("presence", TabPresence, counts_as="signals"),
)
