"""The contract of the stores, held by both drivers on a real MongoDB with every index."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.runtime.embedded import Servers
from bot.store import driver, indexes
from bot.store.agendas import Agendas
from bot.store.catalogue import Catalogue
from bot.store.devices import MOST_PER_PERSON, Devices, fcm_device, webpush_device
from bot.store.driver import Database
from bot.store.entries import Entries, Entry, Span
from bot.store.kinds import BOOKING, CONVERSATION, SEARCH
from bot.store.records import ANSWERS_KEPT, Answer, Records
from bot.store.reservations import Released, Reservations
from bot.store.rooms import Room, Rooms
from bot.store.sign_ins import CODE_IS_FRESH, CODE_LIVES, MOST_TRIES, Issued, SignIns
from bot.store.therapists import PhoneTaken, TherapistRecord, Therapists
from bot.store.tickets import TICKET_LIVES, Bearer, Tickets
from conversations import booking
from conversations import effects as do
from conversations.conversation import Conversation, State
from conversations.money.amounts import Money
from conversations.values import Contact, Countdown, Location, Price, Service, Therapist, Visit
from matching import effects as find
from matching.policy import Needs, Policy
from matching.records import Answer as OfferAnswer
from matching.records import Offer, Search
from matching.records import State as SearchState
from tests.clients import JAKARTA, PATIENCE_S
from tests.house import KILOMETRE_IN_DEGREES, MASSAGE

NOW = datetime(2026, 12, 1, 3, 0, 0, 123_000, tzinfo=UTC)
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
AT_ONCE = 10
# What a person may type to see whether it is read as a query or a pipeline.
CURIOUS = ("$token", "$$ROOT", "$name", '{"$gt": ""}', "a.b", "")
PHONE = "+6281234567890"


@pytest.fixture(params=["motor", "pymongo"])
async def stores(request: pytest.FixtureRequest, servers: Servers, database: str) -> AsyncIterator[Database]:
    client = driver.connect(request.param, servers.mongodb_uri or "")
    try:
        yield driver.read_database(client, database)
    finally:
        await driver.close(client)


# --- records ----------------------------------------------------------------------------------------------------------

VISIT = Visit(
    "balinese", {"en": "Balinese"}, 60, Money(1, "IDR"), Location("$token", 1.5, 2.5), Contact("$$ROOT", PHONE)
)
EFFECTS = (do.Say("delayed", {"minutes": 5}), do.TellBooking("b_1", booking.BookingOpened("c_1", VISIT, 3000)))


@pytest.fixture
def conversations(stores: Database) -> Records[Conversation]:
    return Records(stores["conversations"], CONVERSATION)


@pytest.fixture
def searches(stores: Database) -> Records[Search]:
    return Records(stores["searches"], SEARCH)


def conversation(record_id: str = "c_1", **more: Any) -> Conversation:
    countdown = Countdown(1, 5, NOW + MINUTE)
    filled = {"state": State.SEARCHING, "revision": 3, "visit": VISIT, "countdown": countdown, **more}
    return Conversation(record_id, **filled)


async def test_a_record_comes_back_as_it_was_saved_with_its_effects_and_its_answer(
    conversations: Records[Conversation],
) -> None:
    assert await conversations.load("c_1") is None
    fresh = conversations.fresh("c_1").record
    answer = Answer("guest:1", "digest", {"ok": True, "state": "searching"})
    saved = await conversations.save(fresh, conversation(expires_at=NOW), EFFECTS, NOW, answer)
    assert saved is not None
    assert saved == await conversations.load("c_1")
    assert saved.record == conversation(expires_at=NOW, version=1)
    assert [(item.id, item.effect, item.at) for item in saved.outbox] == [
        ("c_1:1:0", EFFECTS[0], NOW),
        ("c_1:1:1", EFFECTS[1], NOW),
    ]
    assert saved.answer_to("guest:1") == answer
    assert saved.answer_to("guest:2") is None


async def test_a_search_comes_back_with_its_offers_and_policy(searches: Records[Search]) -> None:
    offer = Offer("o_1", "t_1", 7, NOW, 1.5, {"distance": 0.5}, 1, NOW, OfferAnswer.DECLINED, NOW, "$token")
    full = Search("s_1", 0, SearchState.ASKING, NOW, "c_1", "b_1", Needs(1.5, 2.5, 60), Policy(), offers=(offer,))
    effect = find.FindCandidates(1, Needs(1.5, 2.5, 60), 5.0, 3, NOW, ("t_1",), ("t_1",))
    saved = await searches.save(searches.fresh("s_1").record, full, [effect], NOW)
    assert saved is not None
    assert saved == await searches.load("s_1")
    assert (saved.record, saved.outbox[0].effect) == (replace(full, version=1), effect)


async def test_a_search_waits_for_those_whose_offers_are_open_and_a_visit_for_its_therapist(
    stores: Database, searches: Records[Search]
) -> None:
    def offer(therapist_id: str, answer: OfferAnswer) -> Offer:
        return Offer(f"o_{therapist_id}", therapist_id, 1, NOW, 1.5, {}, 1, NOW, answer)

    def visit(booking_id: str, therapist_id: str, state: booking.Status) -> booking.Booking:
        therapist = Therapist(therapist_id, "Sari", "", 4.8, 1, "female", (), ())
        return booking.Booking(booking_id, conversation_id=f"c_{booking_id}", state=state, therapist=therapist)

    open_one = Search(
        "s_1",
        state=SearchState.ASKING,
        conversation_id="c_1",
        offers=(
            offer("ayu", OfferAnswer.ASKED),
            offer("bagus", OfferAnswer.ASKED),
            offer("citra", OfferAnswer.DECLINED),
        ),
    )
    over = Search("s_2", state=SearchState.CANCELLED, conversation_id="c_2", offers=open_one.offers)
    for each in (open_one, over):
        await searches.save(searches.fresh(each.id).record, each, (), NOW)
    bookings = Records(stores["bookings"], BOOKING)
    for booked in (visit("b_1", "ayu", booking.Status.ACTIVE), visit("b_2", "ayu", booking.Status.COMPLETED)):
        await bookings.save(bookings.fresh(booked.id).record, booked, (), NOW)
    agendas = Agendas(bookings, searches)
    people = ("ayu", "bagus", "citra", *CURIOUS)
    waiting = await asyncio.gather(*(agendas.open_searches(each) for each in people))
    visits = await asyncio.gather(*(agendas.active_bookings(each) for each in people))
    assert [[each.id for each in found] for found in waiting] == [["s_1"], ["s_1"], [], *([[]] * len(CURIOUS))]
    assert [[each.id for each in found] for found in visits] == [["b_1"], [], [], *([[]] * len(CURIOUS))]


async def test_what_a_person_typed_is_kept_as_text_and_finds_nothing_else(
    conversations: Records[Conversation],
) -> None:
    for number, typed in enumerate(CURIOUS):
        visit = replace(VISIT, contact=Contact(typed, PHONE), notes=typed)
        answer = Answer(f"guest:{typed}", typed, {"ok": True, "text": typed})
        fresh = conversations.fresh(f"c_{number}").record
        first = await conversations.save(fresh, conversation(fresh.id, visit=visit), [do.Say(typed)], NOW, answer)
        assert first is not None
        saved = await conversations.save(first.record, first.record, [do.Say(typed)], NOW, answer)
        assert saved is not None
        assert saved.record.visit == visit
        assert [item.effect for item in saved.outbox] == [do.Say(typed)] * 2
        assert saved.answer_to(answer.key) == answer
        assert await conversations.load(typed) is None


async def test_who_read_an_older_version_saves_nothing(conversations: Records[Conversation]) -> None:
    fresh = conversations.fresh("c_1").record
    first = await conversations.save(fresh, conversation(), (), NOW)
    assert first is not None
    assert await conversations.save(fresh, conversation(revision=9), EFFECTS, NOW) is None
    second = await conversations.save(first.record, replace(first.record, revision=4), (), NOW)
    assert second is not None
    assert await conversations.save(first.record, replace(first.record, revision=9), EFFECTS, NOW) is None
    assert await conversations.load("c_1") == second
    assert (second.record.version, second.record.revision, second.outbox) == (2, 4, ())


@pytest.mark.parametrize("version", [0, 1])
async def test_of_many_who_save_at_once_one_wins(conversations: Records[Conversation], version: int) -> None:
    before = conversations.fresh("c_1").record
    if version:
        stored = await conversations.save(before, conversation(), (), NOW)
        assert stored is not None
        before = stored.record
    rivals = [conversations.save(before, conversation(revision=each), EFFECTS, NOW) for each in range(AT_ONCE)]
    winners = [saved for saved in await asyncio.gather(*rivals) if saved is not None]
    assert len(winners) == 1
    assert await conversations.load("c_1") == winners[0]


async def test_a_second_live_search_of_a_conversation_is_a_fault_and_no_lost_race(
    searches: Records[Search],
) -> None:
    def live(search_id: str) -> Search:
        return Search(search_id, state=SearchState.ASKING, conversation_id="c_1")

    assert await searches.save(searches.fresh("s_1").record, live("s_1"), (), NOW)
    with pytest.raises(driver.DuplicateKeyError):
        await searches.save(searches.fresh("s_2").record, live("s_2"), (), NOW)


async def test_the_last_answers_are_kept_and_one_of_them_can_be_amended(
    conversations: Records[Conversation],
) -> None:
    stored = conversations.fresh("c_1")
    for number in range(ANSWERS_KEPT + 5):
        saved = await conversations.save(
            stored.record, stored.record, (), NOW, Answer(f"guest:{number}", "d", {"ok": number})
        )
        assert saved is not None
        stored = saved
    assert [answer.answer["ok"] for answer in stored.answers] == list(range(5, ANSWERS_KEPT + 5))
    await conversations.amend_answer("c_1", "guest:7", {"ok": False, "code": "slot_taken"})
    await conversations.amend_answer("c_1", "guest:0", {"ok": "forgotten already"})
    amended = await conversations.load("c_1")
    assert amended is not None
    assert amended.answer_to("guest:7") == Answer("guest:7", "d", {"ok": False, "code": "slot_taken"})
    assert sum(answer.answer != {"ok": int(answer.key[6:])} for answer in amended.answers) == 1


async def test_effects_leave_the_outbox_when_they_are_performed_and_the_rest_is_found_again(
    conversations: Records[Conversation],
) -> None:
    first = await conversations.save(conversations.fresh("c_1").record, conversation(), EFFECTS, NOW)
    assert first is not None
    assert await conversations.save(first.record, first.record, EFFECTS[:1], NOW + MINUTE)
    assert await conversations.unperformed(NOW - SECOND) == []
    assert await conversations.unperformed(NOW) == ["c_1"]
    assert await left_in("c_1", conversations) == ["c_1:1:0", "c_1:1:1", "c_1:2:0"]
    await conversations.performed("c_1", ["c_1:1:0", "c_1:2:0", "unknown"])
    assert await conversations.unperformed(NOW + MINUTE) == ["c_1"]
    assert await left_in("c_1", conversations) == ["c_1:1:1"]
    await conversations.performed("c_1", ["c_1:1:1"])
    assert await conversations.unperformed(NOW + MINUTE) == []


async def left_in(record_id: str, records: Records[Conversation]) -> list[str]:
    stored = await records.load(record_id)
    assert stored is not None
    return [item.id for item in stored.outbox]


async def test_those_who_rest_leave_room_for_those_who_come_after_them(
    conversations: Records[Conversation],
) -> None:
    for number in range(3):
        fresh = conversations.fresh(f"c_{number}").record
        at = NOW + number * SECOND
        assert await conversations.save(fresh, conversation(f"c_{number}", expires_at=at), EFFECTS[:1], at)
    assert await conversations.unperformed(NOW + MINUTE, limit=2) == ["c_0", "c_1"]
    assert await conversations.unperformed(NOW + MINUTE, limit=2, but=["c_0"]) == ["c_1", "c_2"]
    assert await conversations.overdue(NOW + MINUTE, limit=1, but=["c_0", "c_1"]) == ["c_2"]


async def test_what_is_overdue_is_told_longest_first(conversations: Records[Conversation]) -> None:
    for name, expires_at in (("soon", NOW), ("long", NOW - MINUTE), ("later", NOW + SECOND), ("never", None)):
        fresh = conversations.fresh(name).record
        assert await conversations.save(fresh, conversation(name, expires_at=expires_at), (), NOW)
    assert await conversations.overdue(NOW) == ["long", "soon"]
    assert await conversations.overdue(NOW, limit=1) == ["long"]


async def test_bookings_are_found_newest_first(stores: Database) -> None:
    bookings: Records[booking.Booking] = Records(stores["bookings"], BOOKING)
    for number in range(3):
        record = booking.Booking(f"b_{number}", conversation_id="c_1", created_at=NOW + number * SECOND)
        assert await bookings.save(bookings.fresh(record.id).record, record, (), NOW)
    query = {"conversation_id": {"$eq": "c_1"}}
    assert [each.id for each in await bookings.find(query, limit=2)] == ["b_2", "b_1"]
    assert [each.id for each in await bookings.find(query, limit=9, newest_first=False)] == ["b_0", "b_1", "b_2"]


async def test_a_document_of_another_program_is_read_with_what_is_known_of_it(
    stores: Database, conversations: Records[Conversation]
) -> None:
    await stores["conversations"].insert_one({"_id": "c_1", "version": 4, "state": "idle", "of_tomorrow": {"a": [1]}})
    stored = await conversations.load("c_1")
    assert stored is not None
    assert stored.record == Conversation("c_1", version=4)


# --- therapists -------------------------------------------------------------------------------------------------------

NEEDS = Needs(*JAKARTA, duration=60)
_numbers = itertools.count()


@pytest.fixture
def therapists(stores: Database) -> Therapists:
    return Therapists(stores["therapists"])


async def add(therapists: Therapists, name: str, km: float = 1.0, **more: Any) -> TherapistRecord:
    """A therapist so many kilometres north of Jakarta's middle, whose id is their name."""
    known: dict[str, Any] = {
        "id": name,
        "name": name.title(),
        "phone": f"+62812{next(_numbers):08d}",
        "photo": "/photos/01.svg",
        "rating": 4.5,
        "rating_count": 12,
        "gender": "female",
        "specialties": ("Balinese",),
        "languages": ("English",),
        "durations": (60, 90),
        "latitude": JAKARTA[0] + km * KILOMETRE_IN_DEGREES,
        "longitude": JAKARTA[1],
        "is_available": True,
        "is_simulated": False,
        "locale": "id",
        "visits": 0,
    }
    therapist = TherapistRecord(**{**known, **more})
    await therapists.add(therapist)
    return therapist


async def hold(
    therapists: Therapists, name: str, offer_id: str, *, until: timedelta = MINUTE, at: datetime = NOW, of: str = "s_1"
) -> tuple[int, datetime] | None:
    return await therapists.hold(name, search_id=of, offer_id=offer_id, until=at + until, now=at)


async def candidates(therapists: Therapists, needs: Needs = NEEDS, **more: Any) -> list[str]:
    asked: dict[str, Any] = {"radius_km": 5.0, "now": NOW, "search_id": "s_1", **more}
    return [each.therapist_id for each in await therapists.candidates(needs, **asked)]


async def test_a_therapist_is_known_by_id_and_by_phone(therapists: Therapists) -> None:
    ayu = await add(therapists, "ayu", phone=PHONE)
    assert await therapists.get("ayu") == ayu
    assert await therapists.with_phone(PHONE) == ayu
    for stranger in CURIOUS:
        assert await therapists.get(stranger) is None
        assert await therapists.with_phone(stranger) is None


async def test_a_phone_number_belongs_to_one_therapist(therapists: Therapists) -> None:
    ayu = await add(therapists, "ayu", phone=PHONE)
    with pytest.raises(PhoneTaken):
        await add(therapists, "bagus", phone=PHONE)
    assert await therapists.with_phone(PHONE) == ayu


async def test_the_nearest_come_first_and_those_who_are_not_available_last(therapists: Therapists) -> None:
    for name, km, is_available in (("far", 30, True), ("near", 1, True), ("away", 0.1, False), ("middle", 8, True)):
        await add(therapists, name, km, is_available=is_available)
    await add(therapists, "short", 0.2, durations=(120,))

    async def names(limit: int, duration: int | None = None) -> list[str]:
        return [each.id for each in await therapists.nearest(*JAKARTA, limit=limit, duration=duration)]

    assert await names(9) == ["short", "near", "middle", "far", "away"]
    assert await names(9, 60) == ["near", "middle", "far", "away"]
    assert await names(4, 60) == ["near", "middle", "far", "away"]
    assert await names(3, 60) == ["near", "middle", "far"]
    assert await names(2) == ["short", "near"]


async def test_who_goes_offline_or_elsewhere_is_found_there(therapists: Therapists) -> None:
    await add(therapists, "ayu")
    await therapists.set_available("ayu", False)
    assert await candidates(therapists) == []
    await therapists.set_available("ayu", True, (JAKARTA[0], JAKARTA[1] + 0.001))
    ayu = await therapists.get("ayu")
    assert ayu is not None
    assert (ayu.latitude, ayu.longitude, ayu.is_available) == (JAKARTA[0], JAKARTA[1] + 0.001, True)
    assert await candidates(therapists, radius_km=0.2) == ["ayu"]


async def test_only_those_are_asked_who_could_come(therapists: Therapists) -> None:
    await add(therapists, "near", 1)
    await add(therapists, "middle", 4, gender="male")
    await add(therapists, "far", 6)
    await add(therapists, "offline", is_available=False)
    await add(therapists, "short", durations=(120,))
    await add(therapists, "held", 1.1)
    await add(therapists, "busy", 1.2)
    await add(therapists, "ours", 2)
    await add(therapists, "lapsed", 3)
    assert await hold(therapists, "held", "o_1", of="another search")
    assert await hold(therapists, "ours", "o_2")
    assert await hold(therapists, "lapsed", "o_3", at=NOW - 2 * MINUTE, of="another search")
    await therapists.mark_busy("busy", "b_1", NOW + MINUTE)

    assert await candidates(therapists) == ["near", "ours", "lapsed", "middle"]
    assert await candidates(therapists, radius_km=10.0) == ["near", "ours", "lapsed", "middle", "far"]
    assert await candidates(therapists, radius_km=None, only="far") == ["far"]
    assert await candidates(therapists, only="far") == []
    assert await candidates(therapists, radius_km=None, only="held") == []
    assert await candidates(therapists, refused=("near", "ours")) == ["lapsed", "middle"]
    assert await candidates(therapists, only="near", refused=("near",)) == []
    assert await candidates(therapists, replace(NEEDS, gender_preference="male")) == ["middle"]
    assert await candidates(therapists, replace(NEEDS, duration=120)) == ["short"]
    afterwards = await candidates(therapists, search_id="s_2", now=NOW + MINUTE)
    assert afterwards == ["near", "held", "busy", "ours", "lapsed", "middle"]


async def test_a_hold_belongs_to_one_offer_until_its_moment(therapists: Therapists) -> None:
    await add(therapists, "ayu")
    assert await hold(therapists, "ayu", "o_1") == (1, NOW + MINUTE)
    assert await hold(therapists, "ayu", "o_2") is None
    assert await hold(therapists, "ayu", "o_2", at=NOW + MINUTE - SECOND) is None
    assert await hold(therapists, "ayu", "o_2", at=NOW + MINUTE) == (2, NOW + 2 * MINUTE)
    assert await hold(therapists, "ayu", "o_1", at=NOW + MINUTE) is None
    assert await hold(therapists, "nobody", "o_1") is None


async def test_the_same_offer_takes_its_own_hold_again_with_the_same_answer(therapists: Therapists) -> None:
    await add(therapists, "ayu")
    first = await hold(therapists, "ayu", "o_1")
    assert await hold(therapists, "ayu", "o_1", until=9 * MINUTE, at=NOW + SECOND) == first
    await therapists.set_available("ayu", False)
    assert await hold(therapists, "ayu", "o_1") == first


async def test_an_offer_whose_hold_has_lapsed_does_not_take_it_again(therapists: Therapists) -> None:
    await add(therapists, "ayu")
    assert await hold(therapists, "ayu", "o_1")
    assert await hold(therapists, "ayu", "o_1", until=timedelta(), at=NOW + MINUTE) is None
    await therapists.release_hold("ayu", "o_1", fence=1)
    assert await hold(therapists, "ayu", "o_2", at=NOW + SECOND) == (2, NOW + MINUTE + SECOND)


async def test_of_many_offers_at_once_one_holds(therapists: Therapists) -> None:
    await add(therapists, "ayu")
    rivals = [hold(therapists, "ayu", f"o_{number}", of=f"s_{number}") for number in range(AT_ONCE)]
    held = [each for each in await asyncio.gather(*rivals) if each is not None]
    assert held == [(1, NOW + MINUTE)]


async def test_nobody_is_held_who_is_offline_or_busy(therapists: Therapists) -> None:
    await add(therapists, "offline", is_available=False)
    await add(therapists, "busy")
    await therapists.mark_busy("busy", "b_1", NOW + MINUTE)
    assert await hold(therapists, "offline", "o_1") is None
    assert await hold(therapists, "busy", "o_1") is None
    assert await hold(therapists, "busy", "o_1", at=NOW + MINUTE) is not None


async def test_ids_in_a_hold_are_never_read_as_fields(stores: Database, therapists: Therapists) -> None:
    await add(therapists, "ayu")
    assert await hold(therapists, "ayu", "$phone", of="$$ROOT")
    document = await stores["therapists"].find_one({"_id": "ayu"})
    assert document["hold"] == {"search_id": "$$ROOT", "offer_id": "$phone", "fence": 1, "until": NOW + MINUTE}


async def test_a_hold_is_prolonged_by_its_own_offer_and_never_shortened(therapists: Therapists) -> None:
    await add(therapists, "ayu")
    await hold(therapists, "ayu", "o_1")
    assert await therapists.keep_hold("ayu", "o_1", NOW + 5 * MINUTE)
    assert await therapists.keep_hold("ayu", "o_1", NOW + SECOND)
    assert not await therapists.keep_hold("ayu", "o_2", NOW + 9 * MINUTE)
    assert await hold(therapists, "ayu", "o_2", at=NOW + 5 * MINUTE - SECOND) is None
    assert await hold(therapists, "ayu", "o_2", at=NOW + 5 * MINUTE) is not None
    assert not await therapists.keep_hold("ayu", "o_1", NOW + 9 * MINUTE)


async def test_a_hold_is_let_go_by_its_own_fence_only(therapists: Therapists) -> None:
    await add(therapists, "ayu")
    await hold(therapists, "ayu", "o_1", until=SECOND)
    again = await hold(therapists, "ayu", "o_1", at=NOW + SECOND)
    assert again == (2, NOW + SECOND + MINUTE)
    await therapists.release_hold("ayu", "o_1", 1)
    await therapists.release_hold("ayu", "o_2", 2)
    assert await hold(therapists, "ayu", "o_2", at=NOW + SECOND) is None
    await therapists.release_hold("ayu", "o_1", 2)
    await therapists.release_hold("ayu", "o_1", 2)
    assert await hold(therapists, "ayu", "o_2", at=NOW + SECOND) == (3, NOW + SECOND + MINUTE)


async def test_who_was_offered_something_is_remembered_as_asked(therapists: Therapists) -> None:
    await add(therapists, "ayu")
    before = (await therapists.candidates(NEEDS, 5.0, NOW, search_id="s_1"))[0]
    await hold(therapists, "ayu", "o_1")
    after = (await therapists.candidates(NEEDS, 5.0, NOW, search_id="s_1"))[0]
    assert (before.last_offer_at, after.last_offer_at) == (None, NOW)
    assert after.distance_km == pytest.approx(1.0, rel=0.01)


async def test_only_their_own_booking_makes_somebody_free_again(therapists: Therapists) -> None:
    await add(therapists, "ayu")
    await therapists.mark_busy("ayu", "b_1", NOW + MINUTE)
    await therapists.mark_free("ayu", "b_2")
    assert await candidates(therapists) == []
    await therapists.mark_free("ayu", "b_1")
    assert await candidates(therapists) == ["ayu"]


async def test_ratings_given_here_are_averaged_with_those_from_before_however_often_they_are_counted(
    therapists: Therapists,
) -> None:
    await add(therapists, "ayu", rating=4.5, rating_count=2)
    await add(therapists, "new", rating=5.0, rating_count=0)
    for _ in range(2):
        await therapists.keep_figures("ayu", 7, [1, 5, 5])
        await therapists.keep_figures("new", 1, [])
    ayu, new = await therapists.get("ayu"), await therapists.get("new")
    assert ayu is not None
    assert new is not None
    assert (ayu.visits, ayu.rating, ayu.rating_count) == (7, 4.0, 5)
    assert (new.visits, new.rating, new.rating_count) == (1, 5.0, 0)
    await therapists.keep_figures("new", 1, [2])
    assert (rated := await therapists.get("new")) is not None
    assert (rated.rating, rated.rating_count) == (2.0, 1)


async def test_simulated_therapists_are_told_apart(therapists: Therapists) -> None:
    await add(therapists, "ayu")
    await add(therapists, "robot", is_simulated=True)
    assert [each.id for each in await therapists.simulated()] == ["robot"]


# --- reservations -----------------------------------------------------------------------------------------------------


@pytest.fixture
def reservations(stores: Database) -> Reservations:
    return Reservations(stores["reservations"])


async def reserve(reservations: Reservations, row: str, cells: range, therapist: str = "ayu") -> bool:
    return await reservations.reserve(
        row, therapist_id=therapist, booking_id=f"b_{row}", cells=cells, starts_at=NOW, ends_at=NOW + MINUTE
    )


async def test_no_quarter_of_an_hour_is_booked_twice(reservations: Reservations) -> None:
    assert await reserve(reservations, "r_1", range(10, 14))
    assert not await reserve(reservations, "r_2", range(13, 17))
    assert not await reserve(reservations, "r_3", range(99))
    assert await reserve(reservations, "r_4", range(14, 17))
    assert await reserve(reservations, "r_5", range(10, 14), "bagus")
    assert [await reservations.exists(f"r_{number}") for number in range(1, 6)] == [True, False, False, True, True]


async def test_the_same_reservation_twice_is_one(stores: Database, reservations: Reservations) -> None:
    assert await reserve(reservations, "r_1", range(4))
    assert await reserve(reservations, "r_1", range(4))
    assert await stores["reservations"].count_documents({}) == 1


async def test_of_many_who_reserve_at_once_one_is_booked(reservations: Reservations) -> None:
    rivals = [reserve(reservations, f"r_{number}", range(number, number + AT_ONCE)) for number in range(AT_ONCE)]
    assert sum(await asyncio.gather(*rivals)) == 1


async def test_what_is_released_can_be_booked_again(reservations: Reservations) -> None:
    assert await reserve(reservations, "r_1", range(4))
    assert await reservations.taken_by(["ayu", "bagus"], [3, 4]) == {"ayu"}
    assert await reservations.taken_by(["ayu", "bagus"], [4, 5]) == set()
    for _ in range(2):
        assert await reservations.release("r_1") == Released("ayu", "b_r_1")
    assert await reservations.taken_by(["ayu", "bagus"], [3, 4]) == set()
    assert await reserve(reservations, "r_2", range(2, 6))
    assert await reservations.release("unknown") is None
    assert not await reserve(reservations, "r_3", range(4))


# --- sign-ins ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def sign_ins(stores: Database) -> SignIns:
    return SignIns(stores["sign_ins"])


async def test_a_code_is_used_once_and_for_its_own_number(sign_ins: SignIns) -> None:
    assert await sign_ins.issue(PHONE, "nonce", NOW) == Issued("nonce", NOW + CODE_LIVES)
    assert await sign_ins.tried("+6281111111111", NOW) == []
    assert await sign_ins.tried(PHONE, NOW) == ["nonce"]
    assert not await sign_ins.use("+6281111111111", "nonce")
    assert await sign_ins.use(PHONE, "nonce")
    assert not await sign_ins.use(PHONE, "nonce")
    assert await sign_ins.tried(PHONE, NOW) == []


async def test_a_code_lives_ten_minutes(sign_ins: SignIns) -> None:
    assert timedelta(minutes=10) == CODE_LIVES
    await sign_ins.issue(PHONE, "nonce", NOW)
    assert await sign_ins.tried(PHONE, NOW + CODE_LIVES - SECOND) == ["nonce"]
    assert await sign_ins.tried(PHONE, NOW + CODE_LIVES) == []


async def test_who_asks_again_soon_gets_the_same_code_and_no_code_is_taken_away(sign_ins: SignIns) -> None:
    first = await sign_ins.issue(PHONE, "first", NOW)
    assert await sign_ins.issue(PHONE, "second", NOW + CODE_IS_FRESH - SECOND) == first
    third = await sign_ins.issue(PHONE, "third", NOW + CODE_IS_FRESH)
    assert third == Issued("third", NOW + CODE_IS_FRESH + CODE_LIVES)
    assert await sign_ins.tried(PHONE, NOW + CODE_LIVES - SECOND) == ["third", "first"]
    assert await sign_ins.tried(PHONE, NOW + CODE_LIVES) == ["third"]


async def test_after_a_code_was_used_the_next_is_another(sign_ins: SignIns) -> None:
    await sign_ins.issue(PHONE, "first", NOW)
    assert await sign_ins.use(PHONE, "first")
    assert (await sign_ins.issue(PHONE, "second", NOW)).nonce == "second"
    assert await sign_ins.tried(PHONE, NOW) == ["second"]


async def test_of_many_who_bring_the_right_code_at_once_one_comes_in(sign_ins: SignIns) -> None:
    await sign_ins.issue(PHONE, "nonce", NOW)
    uses = await asyncio.gather(*(sign_ins.use(PHONE, "nonce") for _ in range(AT_ONCE)))
    assert sum(uses) == 1


async def test_of_many_who_ask_at_once_all_get_the_same_code(sign_ins: SignIns) -> None:
    asked = (sign_ins.issue(PHONE, f"nonce {number}", NOW) for number in range(AT_ONCE))
    assert len({issued.nonce for issued in await asyncio.gather(*asked)}) == 1


async def test_too_many_tries_end_a_code_whatever_the_limits_say(sign_ins: SignIns) -> None:
    await sign_ins.issue(PHONE, "nonce", NOW)
    tries = await asyncio.gather(*(sign_ins.tried(PHONE, NOW) for _ in range(MOST_TRIES + AT_ONCE)))
    assert sum(alive == ["nonce"] for alive in tries) == MOST_TRIES
    await sign_ins.issue(PHONE, "fresh", NOW + CODE_IS_FRESH)
    assert "fresh" in await sign_ins.tried(PHONE, NOW + CODE_IS_FRESH)


# --- tickets ----------------------------------------------------------------------------------------------------------


async def test_a_ticket_opens_once_and_for_half_a_minute(stores: Database) -> None:
    tickets, bearer = Tickets(stores["tickets"]), Bearer("guest", "c_1")
    assert await tickets.issue("hash", bearer, NOW) == NOW + TICKET_LIVES == NOW + 30 * SECOND
    at_once = await asyncio.gather(*(tickets.use("hash", NOW) for _ in range(AT_ONCE)))
    assert [each for each in at_once if each is not None] == [bearer]
    await tickets.issue("late", bearer, NOW)
    assert await tickets.use("late", NOW + TICKET_LIVES) is None
    assert await tickets.use("late", NOW) is None
    for stranger in CURIOUS:
        assert await tickets.use(stranger, NOW) is None


# --- the catalogue ----------------------------------------------------------------------------------------------------


async def test_the_menu_keeps_its_order_and_what_the_operator_changed(stores: Database) -> None:
    catalogue = Catalogue(stores["services"])
    assert (await catalogue.first(), await catalogue.all()) == (None, [])
    swedish = Service("swedish", {"en": "Swedish"}, {"en": "Firm."}, (Price(90, Money(1, "IDR")),))
    await catalogue.add_missing([MASSAGE, swedish])
    await stores["services"].update_one({"_id": "swedish"}, {"$set": {"names": {"en": "Swedish, firm"}}})
    await catalogue.add_missing([MASSAGE, swedish])
    assert await catalogue.all() == [MASSAGE, replace(swedish, names={"en": "Swedish, firm"})]
    assert await catalogue.first() == await catalogue.get("balinese") == MASSAGE
    for stranger in CURIOUS:
        assert await catalogue.get(stranger) is None


# --- entries and rooms ------------------------------------------------------------------------------------------------

FEED = "conversation:c_1"


@pytest.fixture
def entries(stores: Database) -> Entries:
    return Entries(stores["entries"])


def entry(seq: int, entry_id: str = "", feed: str = FEED, **more: Any) -> Entry:
    return Entry(
        entry_id or f"e_{feed}_{seq}", feed, seq, NOW, **{"type": "message", "data": {"text": "$token"}, **more}
    )


async def test_entries_come_back_from_a_cursor_without_a_gap(entries: Entries) -> None:
    await entries.write([entry(seq) for seq in (1, 2, 3, 4, 6)] + [entry(9, feed="conversation:c_2")])
    assert [each.seq for each in await entries.since(FEED, 0, 100)] == [1, 2, 3, 4]
    assert [each.seq for each in await entries.since(FEED, 1, 2)] == [2, 3]
    assert await entries.since(FEED, 4, 100) == []
    assert await entries.since(FEED, 9, 100) == []
    (fourth,) = await entries.since(FEED, 3, 100)
    assert fourth.as_document() == entry(4).as_document()
    feeds = [FEED, "conversation:c_2", "conversation:c_3", "$feed"]
    assert await entries.heads(feeds) == {FEED: 6, "conversation:c_2": 9}


async def test_spans_of_several_feeds_are_read_in_one_go_each_without_a_gap(entries: Entries) -> None:
    other = "conversation:c_2"
    await entries.write([entry(seq) for seq in (1, 2, 3, 5)] + [entry(seq, feed=other) for seq in (1, 2)])
    wanted = {
        Span(FEED, 0, 2): [1, 2],
        Span(FEED, 1, 9): [2, 3],
        Span(FEED, 3, 9): [],
        Span(FEED, 4, 5): [5],
        Span(other, 0, 1): [1],
        Span("$feed", 0, 9): [],
    }
    found = await entries.in_spans(list(wanted))
    assert {span: [each.seq for each in run] for span, run in found.items()} == wanted
    assert found[Span(other, 0, 1)][0].as_document() == entry(1, feed=other).as_document()


async def test_a_batch_stops_at_the_first_number_that_is_taken(entries: Entries) -> None:
    await entries.write([entry(1), entry(2)])
    written = await entries.write([entry(3), entry(2, "another"), entry(4)])
    assert (written.count, written.met_duplicate) == (1, True)
    assert [each.seq for each in await entries.since(FEED, 0, 100)] == [1, 2, 3]
    written = await entries.write([entry(4)])
    assert (written.count, written.met_duplicate) == (1, False)


async def test_an_entry_is_known_by_its_id_in_whichever_feed(entries: Entries) -> None:
    await entries.write([entry(1, "e_1"), entry(1, "e_2", "conversation:c_2")])
    assert (await entries.write([entry(2, "e_1", "conversation:c_2")])).met_duplicate
    found = await entries.known("e_1")
    assert found is not None
    assert (found.feed, found.seq) == (FEED, 1)
    assert await entries.known("e_9") is None
    assert await entries.known("$token") is None


async def test_a_fault_in_a_batch_quotes_nothing_of_what_people_wrote(stores: Database, entries: Entries) -> None:
    await stores.command({"collMod": "entries", "validator": {"data.text": {"$ne": "a word of the guest"}}})
    try:
        with pytest.raises(driver.PyMongoError) as caught:
            await entries.write([entry(1), entry(2, data={"text": "a word of the guest"})])
    finally:
        await stores.command({"collMod": "entries", "validator": {}})
    assert "guest" not in f"{caught.value!r} {caught.value}"
    assert caught.value.__suppress_context__


def state(seq: int, name: str, therapist_id: str | None = None, booking_id: str = "b_1") -> Entry:
    data = {"state": name, "booking_id": booking_id, "therapist_id": therapist_id}
    return entry(seq, type="state", data=data)


async def test_a_room_is_the_stretch_in_which_the_visit_is_theirs(stores: Database, entries: Entries) -> None:
    rooms = Rooms(stores["entries"])
    await entries.write(
        [state(1, "searching"), state(2, "choosing", "ayu"), entry(3), state(4, "active", "ayu"), entry(5)]
    )
    assert await rooms.of("b_1", "ayu") == Room(FEED, 4)
    assert await rooms.of("b_1", "bagus") is None
    await entries.write([state(6, "active", "ayu"), state(7, "no_therapist"), state(8, "active", "bagus")])
    assert await rooms.of("b_1", "ayu") == Room(FEED, 4, 7)
    assert await rooms.of("b_1", "bagus") == Room(FEED, 8)
    await entries.write([state(9, "active", "ayu", "b_2"), state(10, "completed", None)])
    assert await rooms.of("b_1", "bagus") == Room(FEED, 8, 10)
    assert await rooms.of("b_2", "ayu") == Room(FEED, 9)
    for stranger in CURIOUS:
        assert await rooms.of(stranger, "ayu") is None


# --- the driver and the indexes ---------------------------------------------------------------------------------------


async def test_a_stream_of_documents_keeps_its_moments(stores: Database) -> None:
    documents: list[dict[str, Any]] = [{"at": NOW, "text": "$token"}, {"at": None}]
    assert list(driver.decode_documents(b"".join(driver.encode_document(each) for each in documents))) == documents
    await stores["meta"].insert_one({"_id": "x", "at": NOW})
    assert await driver.aggregate(stores["meta"], [{"$match": {"_id": "x"}}]) == [{"_id": "x", "at": NOW}]


async def test_building_the_indexes_again_changes_nothing(stores: Database) -> None:
    async def known() -> dict[str, Any]:
        return {name: await stores[name].index_information() for name in indexes.INDEXES}

    before = await known()
    await indexes.build(stores)
    assert await known() == before


@pytest.mark.parametrize("loops", range(1, 6))
@pytest.mark.parametrize("name", ["motor", "pymongo"])
async def test_who_is_cancelled_twice_while_a_server_is_away_was_cancelled(name: driver.DriverName, loops: int) -> None:
    """A process that was told to stop swallowed that in its sweep, and waited for itself."""
    client = driver.connect(name, "mongodb://127.0.0.1:1/?directConnection=true")
    asking = [asyncio.create_task(_ask(client)) for _ in range(50)]
    await asyncio.sleep(0.05)
    for task in asking:
        task.cancel()
    for _ in range(loops):
        await asyncio.sleep(0)
    for task in asking:
        task.cancel()
    _, waiting = await asyncio.wait(asking, timeout=PATIENCE_S)
    assert not waiting
    assert all(task.cancelled() for task in asking)
    await driver.close(client)


async def _ask(client: Any) -> None:
    await client["janji"]["entries"].find_one({})


async def test_a_client_that_is_closed_is_away_and_a_question_that_makes_no_sense_is_not(stores: Database) -> None:
    """A process that was told to stop called the last of its requests faults of its own."""
    with pytest.raises(driver.PyMongoError) as asked_wrongly:
        await stores["entries"].find_one({"$nonsense": 1})
    assert not driver.is_away(asked_wrongly.value)
    await driver.close(stores.client)
    with pytest.raises(driver.PyMongoError) as asked_too_late:
        await stores["entries"].find_one({})
    assert driver.is_away(asked_too_late.value)


# --- devices ----------------------------------------------------------------------------------------------------------

SUBSCRIPTION = {"endpoint": "https://push.example/1", "keys": {"p256dh": "B", "auth": "a"}}


async def test_a_device_belongs_to_whoever_has_it_now(stores: Database) -> None:
    devices = Devices(stores["devices"])
    await devices.keep(fcm_device("therapist:t_1", "token-1", "id"), NOW)
    await devices.keep(webpush_device("therapist:t_1", SUBSCRIPTION, "id"), NOW + SECOND)
    await devices.keep(fcm_device("guest:c_1", "token-1", "en"), NOW + MINUTE)
    assert await devices.of("therapist:t_1") == [webpush_device("therapist:t_1", SUBSCRIPTION, "id")]
    assert await devices.of("guest:c_1") == [fcm_device("guest:c_1", "token-1", "en")]


async def test_the_oldest_devices_of_a_person_give_way(stores: Database) -> None:
    devices = Devices(stores["devices"])
    await devices.keep(fcm_device("guest:c_2", "of-somebody-else", "en"), NOW)
    for number in range(MOST_PER_PERSON + 2):
        await devices.keep(fcm_device("guest:c_1", f"token-{number}", "en"), NOW + number * SECOND)
    await devices.keep(fcm_device("guest:c_1", "token-3", "en"), NOW + MINUTE)
    kept = [device.token for device in await devices.of("guest:c_1")]
    assert kept == ["token-3", *(f"token-{number}" for number in range(MOST_PER_PERSON + 1, 3, -1)), "token-2"]
    assert len(await devices.of("guest:c_2")) == 1


async def test_a_device_is_removed_by_its_person_or_because_it_is_dead(stores: Database) -> None:
    devices = Devices(stores["devices"])
    one, other = (fcm_device("guest:c_1", token, "en") for token in ("token-1", "token-2"))
    for device in (one, other):
        await devices.keep(device, NOW)
    assert not await devices.remove(one.id, person_id="guest:c_2")
    assert await devices.remove(one.id, person_id="guest:c_1")
    assert await devices.remove(other.id)
    assert not await devices.remove(other.id)
    assert await devices.of("guest:c_1") == []


async def test_nothing_is_left_of_the_devices_of_who_is_forgotten(stores: Database) -> None:
    devices = Devices(stores["devices"])
    await devices.keep(fcm_device("guest:c_1", "token-1", "en"), NOW)
    await devices.keep(fcm_device("guest:c_2", "token-2", "en"), NOW)
    await devices.remove_of("guest:c_1")
    assert [len(await devices.of(who)) for who in ("guest:c_1", "guest:c_2")] == [0, 1]
