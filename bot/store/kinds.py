"""The kinds of records that turns change: one row says of each what it is called, where it stands and who decides.

Everything else of the house reads these rows: the store that keeps a record, the turn that changes it, the clock that
rings it and the gauges that count it. A kind is added here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, Protocol, TypeVar

from conversations import booking, external_booking, machine
from conversations import events as on_conversation
from conversations.conversation import Conversation
from conversations.effects import Effect
from matching import events as on_search
from matching import search
from matching.effects import Effect as SearchEffect
from matching.records import Search

RecordName = Literal["conversation", "search", "booking", "external_booking"]


class Record(Protocol):
    """What every record has: the dataclasses of `conversations` and `matching`."""

    @property
    def id(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def expires_at(self) -> datetime | None: ...


R = TypeVar("R", bound=Record)
R_co = TypeVar("R_co", covariant=True)
E = TypeVar("E")
AnyEffect = Effect | SearchEffect


class Decision(Protocol[R_co]):
    """What the pure packages answer: the record as it becomes, what is to be done, and a code if it was refused."""

    @property
    def record(self) -> R_co: ...
    @property
    def effects(self) -> tuple[AnyEffect, ...]: ...
    @property
    def refusal(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class RecordKind(Generic[R, E]):
    """One kind of record. `R` is the record and `E` what may happen to it: another kind's event does not type-check."""

    name: RecordName
    """What logs, outboxes, alarms and gauges call it."""
    collection: str
    record: type[R]
    effects: Any
    """The union of its effects, by which they are tagged in the outbox; to the type checker a union is no type."""
    decide: Callable[[R, E, datetime], Decision[R]]
    ring: E | None = None
    """What the clock says to one that is overdue; None where another record keeps its clock."""


CONVERSATION: RecordKind[Conversation, on_conversation.Event] = RecordKind(
    "conversation", "conversations", Conversation, Effect, machine.decide, ring=on_conversation.DeadlinePassed()
)
SEARCH: RecordKind[Search, on_search.Event] = RecordKind(
    "search", "searches", Search, SearchEffect, search.decide, ring=on_search.DeadlinePassed()
)
BOOKING: RecordKind[booking.Booking, booking.Event] = RecordKind(
    "booking", "bookings", booking.Booking, Effect, booking.decide
)
EXTERNAL_BOOKING: RecordKind[external_booking.ExternalBooking, external_booking.Event] = RecordKind(
    "external_booking",
    "external_bookings",
    external_booking.ExternalBooking,
    Effect,
    external_booking.decide,
    ring=external_booking.DeadlinePassed(),
)

KINDS: tuple[RecordKind[Any, Any], ...] = (CONVERSATION, SEARCH, BOOKING, EXTERNAL_BOOKING)
