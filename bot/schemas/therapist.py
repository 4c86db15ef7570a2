"""What a therapist may say: how they connect, and one model per command, which validates it and documents it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StrictBool, StrictInt, StringConstraints, ValidationInfo, field_validator

from bot.schemas.command import AvailabilitySet, Command, Said, by_name
from bot.schemas.fields import ClientId, CommandPayload, Id, Latitude, Longitude, Payload
from bot.schemas.signals import Delivered, Read, TabPresence, Typing
from bot.schemas.texts import Line, Reason, Text
from conversations.replies import N_


class TherapistConnect(Payload):
    """`auth` of the namespace `/therapist`; `since` has a cursor for each feed that is known already."""

    token: Annotated[str, StringConstraints(strict=True, max_length=2048)]
    since: Annotated[
        dict[Annotated[str, Field(max_length=128)], Annotated[StrictInt, Field(ge=0, le=2**53)]], Field(max_length=200)
    ] = Field(default_factory=dict)
    epoch: Annotated[str, StringConstraints(strict=True, max_length=64)] | None = None
    locale: Annotated[str, StringConstraints(strict=True, max_length=35)] | None = None


class Availability(Payload):
    """Whether a therapist can be asked, and from where; who goes offline gives open offers back."""

    available: StrictBool
    latitude: Latitude | None = None
    longitude: Longitude | None = Field(default=None, validate_default=True)
    client_id: ClientId | None = None

    @field_validator("longitude")
    @classmethod
    def _both_or_neither(cls, value: float | None, info: ValidationInfo) -> float | None:
        is_latitude_right = "latitude" in info.data
        if is_latitude_right and (value is None) != (info.data["latitude"] is None):
            raise ValueError(N_("goes with latitude"))
        return value


class AcceptOffer(CommandPayload):
    """Yes to an offer; the guest has the last word."""

    offer_id: Id


class DeclineOffer(CommandPayload):
    """No to an offer: the next therapist is asked at once."""

    offer_id: Id
    reason: Line | None = None


class Progress(CommandPayload):
    """How the visit goes; `minutes` go with `delayed` and with nothing else."""

    booking_id: Id
    step: Literal["on_the_way", "delayed", "arrived", "completed", "no_show"]
    minutes: Annotated[StrictInt, Field(ge=1, le=240)] | None = Field(default=None, validate_default=True)

    @field_validator("minutes")
    @classmethod
    def _minutes_of_a_delay(cls, value: int | None, info: ValidationInfo) -> int | None:
        step = info.data.get("step")
        if value is None and step == "delayed":
            raise ValueError(N_("is required"))
        if value is not None and step not in ("delayed", None):
            raise ValueError(N_("goes with the step delayed only"))
        return value


class CancelBooking(CommandPayload):
    """The therapist cannot come after all, and says to the guest why."""

    booking_id: Id
    reason: Reason


class RoomMessage(CommandPayload):
    """Something to read for the guest of the visit."""

    booking_id: Id
    text: Text


class RoomTyping(Typing):
    __doc__ = Typing.__doc__
    booking_id: Id


class RoomDelivered(Delivered):
    __doc__ = Delivered.__doc__
    booking_id: Id


class RoomRead(Read):
    __doc__ = Read.__doc__
    booking_id: Id


_OF_A_VISIT = ("not_found", "not_now")

THERAPIST_COMMANDS = by_name(
    Command("availability", Availability, AvailabilitySet),
    Command("accept_offer", AcceptOffer, codes=("not_found", "offer_taken", "offer_expired")),
    Command("decline_offer", DeclineOffer, codes=("not_found", "offer_taken", "offer_expired")),
    Command("progress", Progress, codes=_OF_A_VISIT),
    Command("cancel_booking", CancelBooking, codes=_OF_A_VISIT),
    Command("message", RoomMessage, Said, _OF_A_VISIT, counts_as="messages"),
    Command("typing", RoomTyping, codes=("not_found",), counts_as="signals"),
    Command("delivered", RoomDelivered, codes=("not_found",), counts_as="signals"),
    Command("read", RoomRead, codes=("not_found",), counts_as="signals"),
    Command("presence", TabPresence, counts_as="signals"),
)
