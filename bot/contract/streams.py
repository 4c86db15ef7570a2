"""What the realtime transports carry besides entries: first words, last words, frames, and what is never stored."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict, get_type_hints

from bot.contract.shapes import ErrorBody, Sent
from bot.schemas.shapes import EXACT, Seq


class ConnectRefused(Sent):
    """Official clients make an Error of it; `data` is the error object of the contract. The socket is closed."""

    message: str
    data: ErrorBody


class GoingAway(Sent):
    """Come back after the time that is said here; when a process closes it is drawn for each client by itself."""

    retry_in_ms: Annotated[int, Field(ge=0)]


class GoingAwaySignal(Sent):
    """The same where it has no name of its own: in a frame of a plain WebSocket, and in the answer of a long poll."""

    signal: Literal["going_away"]
    data: GoingAway


class StreamStart(Sent):
    """Where the stream begins: entries after `since` follow."""

    epoch: str
    since: Seq


class Nothing(Sent):
    """An empty object."""


class SocketStart(StreamStart):
    """The first frame of a plain WebSocket."""

    start: Literal[True]
    resync: bool


@cache
def frame_of(ack: type) -> Any:
    """An ack as it stands in a frame of a plain WebSocket, beside the `client_id` that it answers."""
    client_id: Any = Annotated[str | None, Field(description="The `client_id` of the command, where it had one.")]
    fields = {**get_type_hints(ack, include_extras=True), "ack": client_id}
    frame: Any = TypedDict(f"{ack.__name__}Frame", fields)  # type: ignore[misc]  # its name is found here
    frame.__doc__ = ack.__doc__
    return with_config(EXACT)(frame)


# --- live signals: they expire, are never stored and have no number ---------------------------------------------------

Party = Literal["guest", "therapist"]
Present = Literal["online", "away", "offline"]


class IsTyping(Sent):
    """The other side types, or has stopped, which needs no word of theirs."""

    by: Party
    on: bool


class WasDelivered(Sent):
    """Everything up to `seq` has reached a device of theirs; it only goes forward."""

    by: Party
    seq: Seq


class TherapistPresent(Sent):
    """Whether the therapist of the visit is there; `away` is a phone in the background."""

    therapist: Present


class GuestPresent(Sent):
    """Whether the guest of the visit is there; `away` is a phone in the background."""

    guest: Present


class _InBooking(Sent):
    booking_id: str


class IsTypingInRoom(_InBooking, IsTyping):
    __doc__ = IsTyping.__doc__


class WasDeliveredInRoom(_InBooking, WasDelivered):
    __doc__ = WasDelivered.__doc__


class GuestPresentInRoom(_InBooking, GuestPresent):
    __doc__ = GuestPresent.__doc__


Signals = Mapping[str, type[Sent]]
GUEST_SIGNALS: Signals = {"typing": IsTyping, "delivered": WasDelivered, "presence": TherapistPresent}
THERAPIST_SIGNALS: Signals = {
    "typing": IsTypingInRoom,
    "delivered": WasDeliveredInRoom,
    "presence": GuestPresentInRoom,
}


class TypingFrame(Sent):
    signal: Literal["typing"]
    data: IsTyping | IsTypingInRoom


class DeliveredFrame(Sent):
    signal: Literal["delivered"]
    data: WasDelivered | WasDeliveredInRoom


class PresenceFrame(Sent):
    signal: Literal["presence"]
    data: TherapistPresent | GuestPresentInRoom


SignalFrame = Annotated[TypingFrame | DeliveredFrame | PresenceFrame | GoingAwaySignal, Field(discriminator="signal")]
