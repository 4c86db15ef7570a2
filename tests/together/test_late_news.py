"""A process that was slow does in the end what others have long done for it: late news changes nothing."""

from __future__ import annotations

from datetime import timedelta

import pytest

from conversations import events as on
from conversations.conversation import Conversation, State
from matching import events as found
from matching.records import Search
from matching.records import State as SearchState
from tests.conversations.scenes import CONTACT, PLACE, SERVICE
from tests.together import invariants
from tests.together.history import GUESTS, TERMS, History
from tests.together.shell import Process

MADE, WAYAN = GUESTS


class Evening:
    """Guests in search of a therapist, and two processes: the quick one does what the slow one has taken on."""

    def __init__(self) -> None:
        self.history = History()
        self.shell = self.history.shell
        self.slow, self.quick = self.history.processes

    def conversation(self, guest: str = MADE) -> Conversation:
        return self.history.conversation(guest)

    def search(self, guest: str = MADE) -> Search:
        record: Search = self.shell.record("search", self.conversation(guest).search_id or "")
        return record

    def searches(self, guest: str = MADE, process: Process | None = None) -> None:
        self.press(on.BookPressed(SERVICE, "menu", TERMS, "en"), guest)
        self.quick.drain()
        self.press(on.ServiceConfirmed(self.conversation(guest).revision, 90, PLACE, CONTACT), guest, process)
        self.quick.drain()

    def somebody_accepts(self, guest: str = MADE, process: Process | None = None) -> None:
        offer = self.search(guest).open_offers()[0]
        accepted = found.OfferAccepted(offer.offer_id, offer.therapist_id)
        assert self.shell.take("search", self.search(guest).id, accepted, process or self.quick) is None
        self.quick.drain()

    def guest_accepts(self, guest: str = MADE, process: Process | None = None) -> None:
        choice = self.conversation(guest)
        self.press(on.TherapistAccepted(choice.revision, choice.offer_id or ""), guest, process)
        self.quick.drain()

    def guest_wants_another(self, process: Process | None = None) -> None:
        choice = self.conversation()
        self.press(on.AnotherWanted(choice.revision, choice.offer_id or ""), MADE, process)
        self.quick.drain()

    def press(self, command: on.Event, guest: str, process: Process | None = None) -> None:
        assert self.history.command(guest, command, process or self.quick) is None

    def everything_rings(self) -> None:
        for key, at in self.shell.deadlines().items():
            if at <= self.shell.now:
                self.shell.ring(key, self.quick)
        self.quick.drain()

    def quick_process_takes_over(self) -> None:
        self.quick.sweep()
        self.quick.drain()

    def slow_process_goes_on(self) -> None:
        self.slow.drain()
        self.quick.drain()
        invariants.hold(self.shell)
        invariants.agree(self.shell)


@pytest.fixture
def evening() -> Evening:
    return Evening()


# --- the same once more -----------------------------------------------------------------------------------------------


def test_a_booking_keeps_the_therapist_proposed_after_the_one_who_was_given_back(evening: Evening) -> None:
    evening.searches()
    evening.somebody_accepts()
    evening.guest_wants_another(evening.slow)
    evening.quick_process_takes_over()
    evening.somebody_accepts()
    assert evening.conversation().state is State.CHOOSING
    evening.slow_process_goes_on()


def test_a_visit_keeps_its_booking_after_a_therapist_was_given_back_before(evening: Evening) -> None:
    evening.searches()
    evening.somebody_accepts()
    evening.guest_wants_another(evening.slow)
    evening.quick_process_takes_over()
    evening.somebody_accepts()
    evening.guest_accepts()
    assert evening.conversation().state is State.ACTIVE
    evening.slow_process_goes_on()


def test_a_therapist_who_was_given_back_is_not_proposed_again(evening: Evening) -> None:
    evening.searches()
    evening.somebody_accepts(process=evening.slow)
    while evening.search().state is not SearchState.FOUND:
        evening.slow.step(("search", evening.search().id))
    evening.quick_process_takes_over()
    evening.guest_wants_another()
    assert evening.conversation().state is State.SEARCHING
    evening.slow_process_goes_on()


def test_a_countdown_that_began_anew_is_not_set_back(evening: Evening) -> None:
    evening.searches()
    ends_at = evening.search().attempt_ends_at
    assert ends_at is not None
    evening.shell.now = ends_at
    evening.shell.ring(("search", evening.search().id), evening.slow)
    evening.quick_process_takes_over()
    evening.somebody_accepts()
    evening.shell.now += timedelta(seconds=10)
    evening.guest_wants_another()
    evening.slow_process_goes_on()


def test_candidates_found_again_leave_the_offers_of_the_first_time_standing(evening: Evening) -> None:
    evening.searches(process=evening.slow)
    while evening.search().state is not SearchState.ASKING:
        evening.slow.step(("conversation", MADE))
    evening.quick_process_takes_over()
    assert evening.search().open_offers()
    evening.slow_process_goes_on()


def test_a_slot_that_was_asked_for_twice_is_reserved_once(evening: Evening) -> None:
    evening.searches()
    evening.somebody_accepts()
    evening.guest_accepts(process=evening.slow)
    evening.shell.now += timedelta(seconds=30)
    evening.everything_rings()
    assert evening.conversation().state is State.ACTIVE
    evening.slow_process_goes_on()
    assert len(evening.shell.reservations) == 1


# --- too late ---------------------------------------------------------------------------------------------------------


def test_a_therapist_who_was_held_by_another_search_meanwhile_is_not_found(evening: Evening) -> None:
    evening.searches()
    evening.somebody_accepts(process=evening.slow)
    evening.shell.now += timedelta(seconds=60)
    evening.searches(WAYAN)
    assert "ayu" in {offer.therapist_id for offer in evening.search(WAYAN).open_offers()}
    evening.slow_process_goes_on()
    assert evening.search().state is not SearchState.FOUND


def test_a_therapist_whose_time_was_given_away_while_a_process_slept_is_not_booked_twice(evening: Evening) -> None:
    evening.searches()
    evening.somebody_accepts()
    evening.guest_accepts(process=evening.slow)
    for _ in range(2):
        evening.slow.step(("conversation", MADE))  # the hold is prolonged for the reservation, which is not written yet
    evening.shell.now += timedelta(seconds=200)
    evening.searches(WAYAN)
    evening.somebody_accepts(WAYAN)
    evening.guest_accepts(WAYAN)
    made, wayan = evening.conversation(MADE), evening.conversation(WAYAN)
    assert made.therapist is not None
    assert wayan.state is State.ACTIVE
    assert wayan.therapist == made.therapist
    evening.slow_process_goes_on()
    assert evening.conversation().state is State.SEARCHING
