"""What a command is: one row says its name, what it takes, what it is answered, and what it counts as."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import with_config
from typing_extensions import TypedDict

from bot.schemas.fields import Payload
from bot.schemas.shapes import EXACT, ConversationState, Seq

# Which buckets it takes from, see `bot.access.limits`.
CountsAs = Literal["commands", "messages", "signals"]
# In every answer: what is wrong with what was sent, or with who sent it.
CODES_OF_ALL = ("invalid", "unauthorized")


@with_config(EXACT)
class Done(TypedDict):
    """It is done."""

    ok: Literal[True]


@with_config(EXACT)
class Moved(TypedDict):
    """The conversation stands here now; what it shows comes on the feed."""

    ok: Literal[True]
    state: ConversationState
    revision: int
    booking_id: str | None


@with_config(EXACT)
class Said(TypedDict):
    """The message is durable, under this number of the conversation's feed."""

    ok: Literal[True]
    seq: Seq
    id: str


@with_config(EXACT)
class AvailabilitySet(TypedDict):
    """It is known whether the therapist is asked."""

    ok: Literal[True]
    available: bool


@dataclass(frozen=True, slots=True)
class Command:
    """A command of one audience. Its handler is the method `_<name>` of that audience's session.

    `codes` are what it may be refused with besides those of every command.
    """

    name: str
    payload: type[Payload]
    ack: type = Done
    codes: tuple[str, ...] = ()
    counts_as: CountsAs = "commands"


def by_name(*rows: Command) -> Mapping[str, Command]:
    return {row.name: row for row in rows}
