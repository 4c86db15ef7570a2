"""Read receipts: a line on the feed says how far somebody has read, and each says more than the one before it.

The id of a receipt is made of the one it goes on from. So of two that go on from the same one, in whichever processes,
only one is written, and the other goes on from there or has nothing more to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot.errors import Refusal
from bot.feeds.feeds import Feeds
from bot.identity import Audience, conversation_feed, other_side
from bot.store.entries import Entry
from bot.store.read_marks import ReadMarks
from conversations.ids import derived_id
from conversations.replies import N_


@dataclass(frozen=True, slots=True)
class Standing:
    """How far each side has read, and how many messages of the other one has not."""

    read: Mapping[Audience, int]
    unread: int = 0


@dataclass(frozen=True, slots=True)
class Tail:
    """A feed's newest entries without a gap: those after the number `after`."""

    after: int
    entries: Sequence[Entry]


class Receipts:
    """Writes and reads them."""

    def __init__(self, feeds: Feeds, marks: ReadMarks) -> None:
        self._feeds = feeds
        self._marks = marks

    async def read(self, conversation_id: str, by: Audience, seq: int) -> None:
        """They have seen everything up to `seq`; nothing is written unless that passes a message of the other side."""
        feed = conversation_feed(conversation_id)
        await self.check(conversation_id, seq)
        known = await self._marks.last(feed, by)
        while await self._marks.has_message(feed, other_side(by), after=known, up_to=seq):
            receipt_id = derived_id("e", conversation_id, "read", by, known)
            entry = await self._feeds.append(feed, receipt_id, "read", {"by": by, "seq": seq})
            known = entry.data["seq"]

    async def check(self, conversation_id: str, seq: int) -> None:
        """Nobody can have what is not there yet; raises `invalid`."""
        if not await self._feeds.has(conversation_feed(conversation_id), seq):
            raise Refusal("invalid", N_("Please check what you entered."), fields={"seq": N_("is out of range")})

    async def standing(
        self, conversation_id: str, side: Audience, *, first: int = 1, tail: Tail | None = None
    ) -> Standing:
        """Of what this side may read, that is from the entry `first` on; asked only for what the tail does not tell."""
        if tail is not None and (told := standing_in(tail, side, first)) is not None:
            return told
        feed, other = conversation_feed(conversation_id), other_side(side)
        own, others = await asyncio.gather(self._marks.last(feed, side), self._marks.last(feed, other))
        unread = await self._marks.count_messages(feed, other, after=max(own, first - 1))
        return Standing({side: own, other: others}, unread)


def standing_in(tail: Tail, side: Audience, first: int) -> Standing | None:
    """What the last entries of a feed tell; None where it stands further up."""
    read: dict[Audience, int] = {}
    for by in (side, other_side(side)):
        receipts = [entry.data["seq"] for entry in tail.entries if entry.type == "read" and entry.data["by"] == by]
        if not receipts and tail.after > 0:
            return None
        read[by] = max(receipts, default=0)
    seen = max(read[side], first - 1)
    if seen < tail.after:
        return None
    other = other_side(side)
    unread = [e for e in tail.entries if e.type == "message" and e.data["from"] == other and e.seq > seen]
    return Standing(read, len(unread))
