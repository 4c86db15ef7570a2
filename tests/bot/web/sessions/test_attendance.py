"""What one connection takes part in: nothing before a visit, a guest in one at a time, a therapist in several."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bot.live.presence import NOTHING_SEEN, Rules, Sight
from bot.live.signal_store import SignalStore
from bot.live.signals import LiveVisit, Signals, person_of
from bot.messaging.bus import Bus
from bot.store.entries import Entry
from bot.web.sessions.attendance import Attendance
from tests.clock import FakeClock

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
VISIT = LiveVisit("c_1", "b_1", "t_1")
NOWHERE = "redis://127.0.0.1:1"

Told = list[tuple[str, dict[str, Any]]]


@pytest.fixture
def signals() -> Signals:
    """Of a process that talks to nobody."""
    return Signals(SignalStore(NOWHERE), Bus(NOWHERE), FakeClock(NOON).now, Rules())


def state(seq: int, visit: LiveVisit | None) -> Entry:
    """The line on the guest's feed that says which visit is on."""
    data = {"state": "active", "booking_id": visit.booking_id, "therapist_id": visit.therapist_id} if visit else {}
    return Entry(f"e_{seq}", "conversation:c_1", seq, NOON, "state", {"state": "completed", **data})


def guest_of(signals: Signals, told: Told | None = None, *, is_quiet: bool = False) -> Attendance:
    heard: Told = [] if told is None else told
    return Attendance(signals, "guest", "c_1", lambda name, data: heard.append((name, data)), is_quiet=is_quiet)


async def test_a_guest_without_a_visit_costs_nothing_and_is_written_nowhere(signals: Signals) -> None:
    attendance = guest_of(signals)
    attendance.set_away(True)
    attendance.see(state(1, None))
    attendance.close()
    assert len(signals) == 0


async def test_a_guest_is_there_from_the_line_that_opens_the_visit_to_the_one_that_ends_it(signals: Signals) -> None:
    told: Told = []
    Attendance(signals, "therapist", "t_1", lambda name, data: told.append((name, data))).enter({VISIT: NOTHING_SEEN})
    attendance = guest_of(signals)
    attendance.set_away(True)
    attendance.see(state(1, VISIT))
    assert told == [("presence", {"booking_id": "b_1", "guest": "away"})]
    attendance.see(state(2, None))
    assert not attendance.is_in_visit
    mark = signals.our_mark(person_of("guest", "c_1"))
    assert mark is not None
    assert mark.value == "left away"


async def test_an_old_line_opens_no_visit_again(signals: Signals) -> None:
    signals.arrive(person_of("therapist", "t_1"))
    told: Told = []
    attendance = guest_of(signals, told)
    attendance.enter({}, known_up_to=7)
    attendance.see(state(7, VISIT))
    assert told == []
    attendance.see(state(8, VISIT))
    assert told == [("presence", {"therapist": "online"})]


async def test_the_next_visit_replaces_the_one_before(signals: Signals) -> None:
    first, second = signals.arrive(person_of("therapist", "t_1")), signals.arrive(person_of("therapist", "t_2"))
    told: Told = []
    attendance = guest_of(signals, told)
    attendance.see(state(1, VISIT))
    attendance.see(state(2, LiveVisit("c_1", "b_2", "t_2")))
    told.clear()
    first.set_away(True)
    assert told == []
    second.set_away(True)
    assert told == [("presence", {"therapist": "away"})]


async def test_a_therapist_hears_of_each_visit_by_its_booking_and_of_none_after_it(signals: Signals) -> None:
    told: Told = []
    attendance = Attendance(signals, "therapist", "t_1", lambda name, data: told.append((name, data)))
    other = LiveVisit("c_2", "b_2", "t_1")
    attendance.enter({VISIT: Sight("online"), other: Sight("online")})
    attendance.leave("b_1")
    for conversation_id in ("c_1", "c_2"):
        signals.set_typing(conversation_id, "guest", True)
    assert told == [("typing", {"booking_id": "b_2", "by": "guest", "on": True})]
    assert attendance.cursor == "b_2.online.1.0"
    assert [name for name, _ in attendance.present()] == ["typing", "presence"]


async def test_a_reader_that_only_reads_is_away_when_it_was_said_for_it(signals: Signals) -> None:
    told: Told = []
    Attendance(signals, "therapist", "t_1", lambda name, data: told.append((name, data))).enter({VISIT: NOTHING_SEEN})
    attendance = guest_of(signals, is_quiet=True)
    attendance.see(state(1, VISIT))
    for is_away in (True, False):
        signals.set_away(person_of("guest", "c_1"), is_away)
    assert [data["guest"] for _, data in told] == ["online", "away", "online"]
