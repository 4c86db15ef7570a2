"""A reader: one tab or one phone, with its token, its cursors, and a log of everything it has heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.faults.witness import Audience, Entry, Heard, Witness

OnEntry = Callable[[Entry], None]


class Link(Protocol):
    """One connection over one transport. `open` raises `Lost`; `send` answers None where no answer came."""

    transport: str
    over: asyncio.Event

    async def open(self) -> None: ...

    async def send(self, name: str, payload: Mapping[str, Any], within_s: float) -> Mapping[str, Any] | None: ...

    def read_too(self, feed: str) -> None:
        """Read this feed as well, where the transport does not bring it by itself."""

    def renew(self, token: str) -> None:
        """Another tab was given a newer token: show it from now on, where this connection comes back by itself."""

    async def close(self) -> None: ...


class Lost(Exception):
    """The connection could not be made, or is gone."""


@dataclass(slots=True)
class Pocket:
    """The token that all tabs of one browser share."""

    token: str | None = None
    readers: list[Reader] = field(default_factory=list)

    def keep(self, token: str, instead_of: str | None) -> None:
        """As a page does it: what was given for another token than the present one is older than that."""
        if self.token != instead_of:
            return
        self.token = token
        for reader in self.readers:
            if reader.link is not None:
                reader.link.renew(token)


class Reader:
    """Goes from transport to transport and continues by cursor: contiguous, once, and in order, or it accuses."""

    def __init__(self, witness: Witness, name: str, audience: Audience, pocket: Pocket, on_entry: OnEntry) -> None:
        self.witness = witness
        self.name = name
        self.audience = audience
        self.shown: str | None = None
        """The token with which the present connection was asked for."""
        self.subject = ""
        self.own_feed = ""
        self.epoch: str | None = None
        self.cursors: dict[str, int] = {}
        self.rooms: dict[str, bool] = {}
        """The conversations that a therapist reads besides the own feed, and whether that is over."""
        self._closed: set[str] = set()
        """Those of them whose booking the own feed has told the end of. A room may tell it earlier, and until then the
        server goes on from the cursor there."""
        self.link: Link | None = None
        self.hears_since = 0.0
        """When a connection that comes back by itself was last greeted; infinity while it is away."""
        self._logs: dict[str, Heard] = {}
        self._pocket = pocket
        pocket.readers.append(self)
        self._on_entry = on_entry
        self.has_read = asyncio.Event()

    @property
    def via(self) -> str:
        return self.link.transport if self.link else "nothing"

    @property
    def token(self) -> str | None:
        return self._pocket.token

    def introduce(self) -> dict[str, Any]:
        """What is said when connecting over Socket.IO, or asking for a session."""
        self.shown = self.token
        since: Any = self.cursors.get(self.own_feed)
        if self.audience == "therapist":
            since = {feed: seq for feed, seq in self.cursors.items() if feed not in self._closed}
        said = {"token": self.token, "since": since, "epoch": self.epoch, "locale": "en"}
        return {name: value for name, value in said.items() if value is not None}

    def belong_to(self, subject: str) -> None:
        self.subject = subject
        self.own_feed = f"{'conversation' if self.audience == 'guest' else 'therapist'}:{subject}"
        self.cursors.setdefault(self.own_feed, 0)

    def greet(self, link: Link, session: Mapping[str, Any]) -> None:
        """The snapshot that a connection begins with."""
        if link is not self.link:
            return None
        if not self.subject:
            self.belong_to(session["conversation_id"])
        if session.get("conversation_id", self.subject) != self.subject:
            return self.witness.accuse("readers", f"{self.name} has become somebody new over {self.via}")
        if "token" in session:
            self._pocket.keep(session["token"], instead_of=self.shown)
        if session["resync"]:
            self.begin_anew("a snapshot")
        self.epoch = session["epoch"]
        self.hears_since = self.witness.now
        self.witness.note("joined", self.name, via=link.transport, cursors=dict(self.cursors))
        for feed in session.get("feeds", ()):
            self._open_room(feed)
        self.hear(link, session["entries"])
        return None

    def begin_anew(self, told_by: str) -> None:
        self.witness.accuse("readers", f"{self.name} was told by {told_by} to begin anew", dict(self.cursors))

    def hear(self, link: Link, entries: Iterable[Entry]) -> None:
        """What a link has brought; one that has been left is not listened to any more."""
        if link is not self.link:
            return
        for entry in entries:
            self._hear(entry)
        self.has_read.set()

    def _hear(self, entry: Entry) -> None:
        feed, seq = entry["feed"], entry["seq"]
        log = self._logs.get(feed)
        if log is None or (log.entries and self._opens_another_visit(log, entry)):
            if log is None and feed == self.own_feed and seq != 1:
                self.witness.accuse("readers", f"{self.name} heard {seq} of {feed} first, over {self.via}", entry)
            log = self._logs[feed] = self.witness.log_of(self.name, feed)
        elif seq != self.cursors[feed] + 1:
            what = f"{self.name} did not hear the next entry of {feed} over {self.via}"
            self.witness.accuse("readers", what, f"the cursor is {self.cursors[feed]}", *log.entries[-2:], entry)
        self.cursors[feed] = max(seq, self.cursors.get(feed, 0))
        self.witness.hear(log, entry, self.via)
        self._note_visit(entry)
        self._on_entry(entry)

    def _opens_another_visit(self, log: Heard, entry: Entry) -> bool:
        """A therapist does not read what a conversation was between two visits of theirs."""
        if entry["feed"] == self.own_feed or entry["seq"] <= self.cursors[entry["feed"]] + 1:
            return False
        visits = [each["data"]["revision"] for each in log.entries if self._is_my_visit(each)]
        return self._is_my_visit(entry) and entry["data"]["revision"] > max(visits, default=0)

    def _is_my_visit(self, entry: Entry) -> bool:
        if entry["type"] != "state" or entry["data"]["state"] != "active":
            return False
        therapist = (entry["data"]["booking"] or {}).get("therapist") or {}
        return bool(therapist.get("id") == self.subject)

    def _note_visit(self, entry: Entry) -> None:
        """A therapist reads the room of a visit from its first line to its last one."""
        if self.audience == "guest":
            return
        if entry["type"] == "booking":
            booking = entry["data"]["booking"]
            if booking["status"] == "active":
                self._open_room(booking["feed"])
            else:
                self.rooms[booking["feed"]] = True
                self._closed.add(booking["feed"])
        elif entry["type"] == "state" and entry["feed"] != self.own_feed and not self._is_my_visit(entry):
            self.rooms[entry["feed"]] = True

    def _open_room(self, feed: str) -> None:
        if feed == self.own_feed:
            return
        self.rooms[feed] = False
        self._closed.discard(feed)
        if self.link is not None:
            self.link.read_too(feed)

    def feeds(self) -> list[str]:
        """What there is to read now."""
        return [self.own_feed, *(feed for feed, is_over in self.rooms.items() if not is_over)]

    async def move(self, link: Link | None) -> None:
        """Leave the present link for another one; raises `Lost` where it cannot be opened."""
        old, self.link, self.hears_since = self.link, link, 0.0
        if old is not None:
            await old.close()
        if link is None:
            return
        try:
            await link.open()
        except Lost as lost:
            self.witness.note("lost", self.name, via=link.transport, why=str(lost))
            if self.link is link:
                self.link = None
            await link.close()
            raise
