"""One connection's part in the live signals: seen while it lasts, told what the other side of its visits does."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from bot.identity import Audience, for_audience, other_side
from bot.live.presence import NOTHING_SEEN, Sight, Signal, all_signals, cursor_of
from bot.live.signals import LiveVisit, Signals, Tab, Tell, Watch, live_visit_of, person_of
from bot.store.entries import Entry


def _to_nobody(name: str, data: dict[str, Any]) -> None:
    """Who has gone is told nothing."""


class Attendance:
    """A therapist is seen from the first moment on, a guest while a visit is on: nobody looks at them before.

    `tell(name, data)` gets the signals as the contract has them. `is_quiet`: a connection that only reads.
    """

    def __init__(self, signals: Signals, side: Audience, subject: str, tell: Tell, *, is_quiet: bool = False) -> None:
        self._signals = signals
        self._side = side
        self._subject = subject
        self._tell = tell
        self._is_quiet = is_quiet
        self._is_away = False
        self._known_up_to = 0
        self._tab: Tab | None = None
        self._watches: dict[LiveVisit, Watch] = {}
        if side == "therapist":
            self._arrive()

    @property
    def is_in_visit(self) -> bool:
        return bool(self._watches)

    @property
    def cursor(self) -> str:
        """What has been told, for a reader who comes back by another connection; they need not understand it."""
        return ",".join(f"{visit.booking_id}.{cursor_of(watch.told)}" for visit, watch in self._watches.items())

    def present(self) -> list[Signal]:
        """All that has been told, as the signals that tell it."""
        other = other_side(self._side)
        return [
            (name, self._addressed(visit, data))
            for visit, watch in self._watches.items()
            for name, data in all_signals(watch.told, other)
        ]

    def set_away(self, is_away: bool) -> None:
        self._is_away = is_away
        if self._is_quiet:
            self._signals.set_away(person_of(self._side, self._subject), is_away)
        elif self._tab is not None:
            self._tab.set_away(is_away)

    def enter(self, visits: Mapping[LiveVisit, Sight], *, known_up_to: int = 0) -> None:
        """These visits are on, and this is what the reader knows of the other side; older lines change nothing."""
        self._known_up_to = max(self._known_up_to, known_up_to)
        for visit, told in visits.items():
            if visit not in self._watches:
                self._arrive()
                self._watches[visit] = self._signals.watch(visit, self._side, self._tell_of(visit), told)

    def leave(self, booking_id: str) -> None:
        for visit in [visit for visit in self._watches if visit.booking_id == booking_id]:
            self._watches.pop(visit).close()

    def see(self, entry: Entry) -> None:
        """A state line on the guest's own feed says which visit is on."""
        if entry.type != "state" or entry.seq <= self._known_up_to:
            return
        visit = live_visit_of(self._subject, entry.data)
        for other in [known for known in self._watches if known != visit]:
            self.leave(other.booking_id)
        if visit is not None:
            self.enter({visit: NOTHING_SEEN})
        else:
            self._depart()

    def close(self, after_s: float = 0.0) -> None:
        """Tells nothing more, and is gone `after_s` later: a poll is followed by the next one."""
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()
        self._tell = _to_nobody  # who is told knows this attendance: together they would wait for the collector
        if after_s:
            asyncio.get_running_loop().call_later(after_s, self._depart)
        else:
            self._depart()

    def _arrive(self) -> None:
        if self._tab is None:
            person = person_of(self._side, self._subject)
            self._tab = self._signals.arrive(person, is_quiet=self._is_quiet, is_away=self._is_away)

    def _depart(self) -> None:
        tab, self._tab = self._tab, None
        if tab is not None:
            tab.close()

    def _tell_of(self, visit: LiveVisit) -> Tell:
        def tell(name: str, data: dict[str, Any]) -> None:
            self._tell(name, self._addressed(visit, data))

        return tell

    def _addressed(self, visit: LiveVisit, data: dict[str, Any]) -> dict[str, Any]:
        """A guest has one visit at a time, a therapist may have several."""
        return for_audience(self._side, guest=data, therapist={"booking_id": visit.booking_id, **data})
