"""Each check sees what it is for, told as a story of a few lines, and says nothing about the same story told right."""

from __future__ import annotations

import asyncio
import math
from typing import Any

import pytest

from tests.faults.checks import CHECKS
from tests.faults.devices import LATE_S, Device, World
from tests.faults.ending import OVERDUE_S, accuse_if_overdue
from tests.faults.readers import Lost, Pocket, Reader
from tests.faults.streams import LongPoll
from tests.faults.witness import Answer, Entry, Operation, Receipt, Try, Witness

ROOM = "conversation:c_1"
CONSOLE = "therapist:t_1"


class Story:
    """What a witness has seen, second by second."""

    def __init__(self) -> None:
        self.witness = Witness()
        self._logs = {feed: self.witness.log_of("anybody", feed) for feed in (ROOM, "conversation:c_2", CONSOLE)}
        self._second = 0

    def says(self, name: str, answer: Answer | None, *, feed: str = ROOM, **payload: Any) -> Operation:
        """Somebody sends a command, and this is what comes back."""
        audience: Any = "therapist" if "booking_id" in payload else "guest"
        operation = Operation(
            "somebody", audience, "subject", name, {"client_id": f"id-{self._second}", **payload}, feed
        )
        self.witness.operation(operation)
        return self.again(operation, answer)

    def again(self, operation: Operation, answer: Answer | None) -> Operation:
        self._second += 2
        operation.tries.append(Try(self._second - 1, "http", self._second, answer))
        return operation

    def hears(self, kind: str, *, feed: str = ROOM, **data: Any) -> Entry:
        """The next entry of a feed."""
        self._second += 1
        seq = len(self.witness.feeds[feed]) + 1
        entry = {"feed": feed, "seq": seq, "id": f"e{seq}", "at": _at(self._second), "type": kind, "data": data}
        self.witness.hear(self._logs[feed], entry, "socket.io")
        self.witness.first_heard[feed, seq] = self._second
        return entry

    def message(self, client_id: str, text: str = "Hello") -> Entry:
        return self.hears("message", client_id=client_id, text=text, **{"from": "guest"})

    def talked(self, messages: int) -> None:
        """The guest says something, several times."""
        for _ in range(messages):
            self.message(self.says("message", None, text="Hello").client_id)

    def state(self, state: str, revision: int, *, feed: str = ROOM, **more: Any) -> Entry:
        booking = {"id": f"b of {feed}", "therapist": {"id": "t_1"}}
        return self.hears("state", feed=feed, state=state, revision=revision, booking=booking, **more)

    def booked(self, feed: str = ROOM) -> None:
        """From the button to an active visit."""
        self.says("book", None, feed=feed)
        self.state("confirming", 1, feed=feed)
        self.says("confirm_service", None, feed=feed)
        self.state("searching", 2, feed=feed)
        self.state("choosing", 3, feed=feed)
        self.says("accept_therapist", None, feed=feed)
        self.state("active", 4, feed=feed)

    def offer(self, offer_id: str, *, respond_by: int = 60) -> None:
        booking = {"address": f"Jl. {offer_id}"}
        self.hears("offer", feed=CONSOLE, offer_id=offer_id, respond_by=_at(respond_by), booking=booking)

    def closed(self, offer_id: str, why: str) -> None:
        self.hears("offer_closed", feed=CONSOLE, offer_id=offer_id, why=why)

    def waits(self, offer_id: str) -> None:
        self.hears("offer_waiting", feed=CONSOLE, offer_id=offer_id, until=_at(120))

    def accused_by(self) -> set[str]:
        return {name for name, check in CHECKS.items() if list(check(self.witness, True))}


def _at(second: int) -> str:
    return f"2026-12-01T03:{second // 60:02d}:{second % 60:02d}.000Z"


def ok(**more: Any) -> Answer:
    return {"ok": True, **more}


def no(code: str) -> Answer:
    return {"ok": False, "error": {"code": code}}


@pytest.fixture
def story() -> Story:
    return Story()


def test_a_story_told_right_accuses_nobody(story: Story) -> None:
    story.booked()
    said = story.says("message", ok(seq=5, id="e5"), text="Hello")
    story.message(said.client_id)
    story.again(said, ok(seq=5, id="e5"))
    story.says("cancel", ok(state="cancelled", revision=5))
    story.state("cancelled", 5)
    assert story.accused_by() == set()


def test_a_message_that_was_acked_and_is_not_there(story: Story) -> None:
    story.booked()
    story.says("message", ok(seq=5, id="e5"), text="Hello")
    assert story.accused_by() == {"acks"}


def test_a_message_that_nobody_answered_may_be_there_or_not(story: Story) -> None:
    story.booked()
    story.says("message", None, text="Lost")
    said = story.says("message", None, text="Hello")
    story.message(said.client_id)
    assert story.accused_by() == set()


def test_a_message_that_nobody_said(story: Story) -> None:
    story.booked()
    story.message("invented")
    assert story.accused_by() == {"acks"}


def test_a_message_that_is_there_twice(story: Story) -> None:
    story.booked()
    said = story.says("message", ok(seq=5, id="e5"), text="Hello")
    story.message(said.client_id)
    story.message(said.client_id)
    assert story.accused_by() == {"retries"}


def test_two_messages_in_the_wrong_order(story: Story) -> None:
    story.booked()
    first = story.says("message", ok(seq=6, id="e6"), text="Hello")
    second = story.says("message", ok(seq=5, id="e5"), text="Hello")
    story.message(second.client_id)
    story.message(first.client_id)
    assert story.accused_by() == {"order"}


def test_a_command_that_is_refused_after_it_was_done(story: Story) -> None:
    story.booked()
    cancel = story.says("cancel", ok(state="cancelled", revision=5))
    story.state("cancelled", 5)
    story.again(cancel, no("unavailable"))
    assert story.accused_by() == set()
    story.again(cancel, no("not_now"))
    assert story.accused_by() == {"retries"}


def test_a_repeated_command_with_another_answer(story: Story) -> None:
    booked = story.says("book", ok(state="confirming", revision=1))
    story.again(booked, ok(state="confirming", revision=2))
    story.state("confirming", 1)
    story.state("confirming", 2)
    assert story.accused_by() == {"retries"}


def test_one_revision_with_two_states(story: Story) -> None:
    story.booked()
    story.says("cancel", None)
    story.state("cancelled", 4)
    assert story.accused_by() == {"moves"}


def test_a_move_that_is_not_in_the_table(story: Story) -> None:
    story.says("book", None)
    story.state("confirming", 1)
    story.state("active", 2)
    assert story.accused_by() == {"moves"}


def test_a_visit_that_ends_although_nobody_has_asked_for_it(story: Story) -> None:
    story.booked()
    story.state("expired", 5)
    assert story.accused_by() == {"moves"}


def test_a_countdown_that_ends_before_its_time(story: Story) -> None:
    story.says("book", None)
    story.state("confirming", 1)
    story.says("confirm_service", None)
    story.state("searching", 2, countdown={"attempt": 1, "deadline_at": _at(30)})
    story.state("searching", 2, countdown={"attempt": 2, "deadline_at": _at(60)})
    assert story.accused_by() == {"moves"}


def test_a_command_that_was_told_what_never_was(story: Story) -> None:
    story.says("book", ok(state="confirming", revision=1))
    story.state("confirming", 1)
    story.says("confirm_service", ok(state="searching", revision=2))
    story.says("cancel", None)
    story.state("cancelled", 2)
    assert story.accused_by() == {"standing"}


def test_a_cancel_that_was_acked_and_was_not_the_last_word(story: Story) -> None:
    story.booked()
    story.says("cancel", ok(state="cancelled", revision=5))
    story.says("progress", None, booking_id=f"b of {ROOM}", step="completed")
    story.state("completed", 5)
    story.says("book", None)
    story.state("confirming", 6)
    assert story.accused_by() == {"cancels", "standing"}


def test_a_therapist_who_is_kept_although_another_one_was_asked_about(story: Story) -> None:
    story.offer("o_1")
    story.offer("o_2")
    story.waits("o_1")
    assert story.accused_by() == {"holds"}


def test_a_line_about_an_offer_that_was_over_may_come_late(story: Story) -> None:
    for _ in range(9):
        story.hears("state", feed=CONSOLE, available=True)
    story.offer("o_2")
    story.offer("o_1", respond_by=5)
    story.closed("o_1", "expired")
    story.waits("o_2")
    assert story.accused_by() == set()


def test_a_therapist_who_said_yes_and_is_asked_again(story: Story) -> None:
    story.offer("o_1")
    story.waits("o_1")
    story.offer("o_2")
    assert story.accused_by() == {"holds"}


def test_a_therapist_who_was_given_back_is_asked_again(story: Story) -> None:
    story.offer("o_1")
    story.waits("o_1")
    story.closed("o_1", "cancelled")
    story.offer("o_2")
    assert story.accused_by() == set()


def test_a_therapist_who_visits_two_guests_at_once(story: Story) -> None:
    story.booked()
    story.booked("conversation:c_2")
    assert story.accused_by() == {"visits"}


def test_a_visit_that_may_have_ended_before_the_next_one(story: Story) -> None:
    story.booked()
    story.says("progress", no("unavailable"), booking_id=f"b of {ROOM}", step="completed")
    story.booked("conversation:c_2")
    assert story.accused_by() == set()


def test_a_visit_that_was_cancelled_before_anybody_heard_of_it(story: Story) -> None:
    story.says("cancel", ok(state="cancelled", revision=5))
    story.booked()
    story.state("cancelled", 5)
    story.booked("conversation:c_2")
    assert story.accused_by() == set()


def test_a_cancel_of_an_earlier_visit_ends_no_later_one(story: Story) -> None:
    story.says("cancel", ok(state="cancelled", revision=3))
    story.booked()
    story.booked("conversation:c_2")
    assert "visits" in story.accused_by()


# --- receipts ---------------------------------------------------------------------------------------------------------


def test_a_receipt_that_goes_back(story: Story) -> None:
    story.talked(2)
    story.hears("read", by="therapist", seq=2)
    assert story.accused_by() == set()
    story.hears("read", by="therapist", seq=1)
    assert story.accused_by() == {"receipts"}


def test_a_receipt_of_what_is_not_there_yet(story: Story) -> None:
    story.hears("read", by="therapist", seq=1)
    assert story.accused_by() == {"receipts"}


def test_a_receipt_that_was_acked_and_forgotten(story: Story) -> None:
    story.talked(2)
    story.hears("read", by="therapist", seq=1)
    story.witness.receipts.append(Receipt(ROOM, "therapist", 1))
    story.witness.receipts.append(Receipt(ROOM, "guest", 2))
    assert story.accused_by() == set(), "the guest has read nothing but their own messages"
    story.witness.receipts.append(Receipt(ROOM, "therapist", 2))
    assert story.accused_by() == {"receipts"}


# --- readers ----------------------------------------------------------------------------------------------------------


class Anywhere:
    """A link that a reader listens to."""

    transport = "nowhere"
    over = asyncio.Event()


@pytest.mark.parametrize("seqs", [(1, 3), (1, 2, 2), (2,), (1, 2, 1)])
def test_a_reader_notices_gaps_doubles_and_a_beginning_that_is_none(seqs: tuple[int, ...]) -> None:
    assert heard(seqs) == ["readers"]


def test_a_reader_who_hears_everything_once_is_content() -> None:
    assert heard((1, 2, 3, 4)) == []


def heard(seqs: tuple[int, ...]) -> list[str]:
    witness = Witness()
    reader = phone(witness)
    link: Any = reader.link
    entries = [{"feed": ROOM, "seq": seq, "id": f"e{seq}", "type": "system", "data": {}} for seq in seqs]
    reader.hear(link, entries)
    return [violation.check for violation in witness.violations]


def phone(witness: Witness) -> Reader:
    reader = Reader(witness, "a phone", "guest", Pocket("token"), lambda _: None)
    reader.belong_to("c_1")
    link: Any = Anywhere()
    reader.link = link
    return reader


def test_a_reader_who_becomes_somebody_new_is_noticed() -> None:
    witness = Witness()
    reader = phone(witness)
    link: Any = reader.link
    reader.greet(link, {"conversation_id": "c_2", "token": "another"})
    assert [violation.check for violation in witness.violations] == ["readers"]


@pytest.mark.parametrize(("seconds", "accused"), [(LATE_S + 1, ["readers"]), (LATE_S - 1, [])])
def test_who_is_connected_is_given_in_time_what_others_have_heard(seconds: float, accused: list[str]) -> None:
    witness = Witness()
    nothing: Any = None
    world = World(witness, (), nothing, nothing, "seed", readable_since=-100.0)
    device = Device(world, phone(witness), world.random("a phone"))
    device.connected_at = device.reader.hears_since = -100.0
    device.at = ("nowhere", "http://nowhere")
    witness.first_heard[ROOM, 1] = -seconds
    device.listen_for_delay()
    assert [violation.check for violation in witness.violations] == accused
    world.readable_since = math.inf
    witness.violations.clear()
    device.listen_for_delay()
    assert not witness.violations, "without a database nobody is given anything"
    world.readable_since, device.at = -100.0, None
    device.listen_for_delay()
    assert not witness.violations, "a connection that is being made brings nothing yet"


@pytest.mark.parametrize(
    ("status", "accused"), [(500, ["clear errors"]), (401, ["clear errors"]), (503, []), (429, [])]
)
def test_a_stream_that_is_refused_for_no_good_reason_is_noticed(status: int, accused: list[str]) -> None:
    witness = Witness()
    http: Any = None
    with pytest.raises(Lost):
        LongPoll(phone(witness), "http://nowhere", http).refused(ROOM, status, "")
    assert [violation.check for violation in witness.violations] == accused


@pytest.mark.parametrize(
    ("seconds", "healed_s", "accused"),
    [
        (OVERDUE_S + 1, OVERDUE_S + 1, ["rest"]),
        (OVERDUE_S - 1, OVERDUE_S + 1, []),
        (OVERDUE_S + 1, OVERDUE_S - 1, []),  # until then there was no database that could have ended it
    ],
)
def test_a_countdown_that_nobody_ends_is_noticed(seconds: float, healed_s: float, accused: list[str]) -> None:
    witness = Witness()
    session = {
        "conversation_id": "c_1",
        "countdown": {"deadline_at": _at(10)},
        "server_time": _at(10 + int(seconds)),
    }
    accuse_if_overdue(witness, session, healed_s)
    assert [violation.check for violation in witness.violations] == accused


def test_two_entries_under_one_number_are_noticed_whoever_hears_them() -> None:
    witness = Witness()
    entries: list[Entry] = [{"feed": ROOM, "seq": 1, "id": each, "type": "system", "data": {}} for each in ("e1", "e2")]
    for number, entry in enumerate(entries):
        witness.hear(witness.log_of(f"reader {number}", ROOM), entry, "sse")
    assert [violation.check for violation in witness.violations] == ["same for all"]
