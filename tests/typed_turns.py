"""Held by the type checker alone: a record is told only of what can happen to it.

mypy reads this module with the program, and complains of an exception that is not needed: were `take` to let an event
of another kind through, `make check` would fail here.
"""

from __future__ import annotations

from bot.store.kinds import BOOKING, CONVERSATION, SEARCH
from bot.turns.turns import Turns
from conversations import booking
from conversations import events as on
from conversations.booking import Booking
from conversations.conversation import Conversation
from matching import events as found


async def what_fits(turns: Turns) -> tuple[Conversation, Booking]:
    conversation = await turns.take(CONVERSATION, "c_1", on.ScreenWanted(), by="clock")
    await turns.take(SEARCH, "s_1", found.StatusAsked(), by="conversation")
    kept = await turns.take(BOOKING, "b_1", booking.GuestErased(), by="conversation")
    return conversation.record, kept.record


async def what_belongs_to_another_kind(turns: Turns) -> None:
    await turns.take(CONVERSATION, "c_1", found.StatusAsked(), by="clock")  # type: ignore[misc]
    await turns.take(SEARCH, "s_1", on.ScreenWanted(), by="clock")  # type: ignore[misc]
    await turns.take(BOOKING, "b_1", on.DeadlinePassed(), by="clock")  # type: ignore[misc]
