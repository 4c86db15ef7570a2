"""One feed as this process knows it: its newest entries, what waits to be written, and who reads it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from bot.errors import Refusal
from bot.store.entries import Entry
from conversations.replies import N_

log = structlog.get_logger()

Deliver = Callable[[Sequence[Entry]], None]
Ready = Callable[[], Awaitable[None]]


def _to_nobody(entries: Sequence[Entry]) -> None:
    """Who has closed their following hears nothing."""


class ContentDiffers(Refusal):
    """The client_id was used before, for something else."""

    def __init__(self) -> None:
        reused = {"client_id": N_("was used for something else")}
        super().__init__("invalid", N_("Please check what you entered."), fields=reused)


@dataclass(slots=True)  # not frozen, which would make it three times as slow to create
class NewEntry:
    """An entry to be written; `id` comes from what caused it, so writing it twice writes it once.

    `is_said`: by somebody, who may send the same id again with something else.
    """

    id: str
    type: str
    data: Mapping[str, Any]
    is_said: bool = False

    def agrees_with(self, standing: Entry) -> bool:
        """Whether what stands under this id is what was to be written, or was before it was redacted."""
        known = standing.data
        return not self.is_said or known is self.data or known == self.data or bool(known.get("redacted"))


# Somebody who waits for an entry, and what they wanted to be written.
Waiter = tuple["asyncio.Future[Entry]", NewEntry]


@dataclass(slots=True, eq=False)
class Pending:
    """An entry on its way, and everybody who waits for it."""

    new: NewEntry
    waiters: list[Waiter] = field(default_factory=list)

    @property
    def is_wanted(self) -> bool:
        for future, _ in self.waiters:  # noqa: SIM110 - a generator would cost more than the one waiter that there is
            if not future.done():
                return True
        return False

    def settle(self, entry: Entry) -> None:
        for future, new in self.waiters:
            if future.done():
                continue
            if new.agrees_with(entry):
                future.set_result(entry)
            else:
                future.set_exception(ContentDiffers())

    def fail(self, error: Exception) -> None:
        for future, _ in self.waiters:
            if not future.done():
                future.set_exception(error)


@dataclass(slots=True, eq=False)
class Feed:
    """What this process knows of one feed. `head` is None until somebody has looked."""

    name: str
    head: int | None = None
    # Lists, since an empty deque takes ten times as much, and most feeds are quiet.
    recent: list[Entry] = field(default_factory=list)
    pending: list[Pending] = field(default_factory=list)
    by_id: dict[str, Pending] = field(default_factory=dict)
    is_in_flight: bool = False
    is_refreshing: bool = False
    has_gap: bool = False
    """Whether somebody has told of more than what is known here, since the database was last asked."""
    followings: set[Following] = field(default_factory=set)
    used_at: float = field(default_factory=time.monotonic)

    @property
    def is_idle(self) -> bool:
        return not (self.pending or self.is_in_flight or self.followings or self.is_refreshing)

    def remembered_since(self, cursor: int) -> list[Entry] | None:
        """The entries after the cursor if memory has all of them."""
        if self.head is None:
            return None
        if cursor >= self.head:
            return []
        # The head may have been looked up since the last of these was read.
        if not self.recent or self.recent[0].seq > cursor + 1 or self.recent[-1].seq < self.head:
            return None
        return self.recent[cursor + 1 - self.recent[0].seq :]

    def forget_before(self, moment: datetime) -> None:
        """Also of a feed that somebody reads all day: an entry with its frames takes kilobytes."""
        if self.recent and self.recent[0].at < moment:
            # Clocks differ, and what is left has no gaps: up to the first that is younger, and no further.
            old = next((number for number, entry in enumerate(self.recent) if entry.at >= moment), len(self.recent))
            del self.recent[:old]


class Following:
    """One reader of one feed: `deliver` gets every entry after the cursor, in order, without a gap, and once.

    Who is behind gets a few at a time, and the next ones when `ready` says that they have room.
    """

    def __init__(self, feed: Feed, cursor: int, deliver: Deliver, ready: Ready) -> None:
        self._feed = feed
        self._deliver = deliver
        self.ready = ready
        self.cursor = cursor
        self.is_live = False
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True
        self._deliver = _to_nobody  # who reads knows its following: together they would wait for the collector
        self._feed.followings.discard(self)
        self._feed.used_at = time.monotonic()

    def take(self, entries: Iterable[Entry]) -> None:
        """Hand on what comes next for this reader; anything else is not for now."""
        run: list[Entry] = []
        for entry in entries:
            if entry.seq == self.cursor + len(run) + 1:
                run.append(entry)
        if not run or self.is_closed:
            return
        self.cursor = run[-1].seq
        try:
            self._deliver(run)
        except Exception:
            log.exception("a reader failed", feed=self._feed.name)
            self.close()
