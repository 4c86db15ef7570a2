"""The story of a search: who is asked and when, what goes wider, and that nobody waits or is held for ever."""

from __future__ import annotations

from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

import pytest

from bot.clock import DatabaseClock
from bot.runtime.embedded import Servers
from bot.store.therapists import TherapistRecord
from matching.policy import Policy
from matching.records import Answer, Search
from matching.records import State as SearchState
from tests.agreement import until_agreed, until_free
from tests.clients import Guest, Therapist, guest, therapist
from tests.house import House, house_of, settings_for

pytestmark = pytest.mark.slow

# When a search that lacks somebody would look again without being asked to.
NEXT_LOOK = timedelta(seconds=Policy().look_again_s)


async def search_of(house: House, client: Guest) -> Search:
    """The record of the guest's present search."""
    conversation = await house.services.conversations.load(client.session["conversation_id"])
    assert conversation is not None
    stored = await house.services.searches.load(conversation.record.search_id or "")
    assert stored is not None
    return stored.record


def asked(search: Search) -> list[str]:
    return [offer.therapist_id for offer in search.offers]


def attempts(client: Guest) -> list[tuple[int, str]]:
    """The countdowns the guest has been shown, in their order: the attempt and its deadline."""
    countdowns = [data["countdown"] for data in client.of_type("state") if data["countdown"]]
    return [(each["attempt"], each["deadline_at"]) for each in countdowns]


async def enter(stack: AsyncExitStack, house: House, *records: TherapistRecord) -> list[Therapist]:
    return [await stack.enter_async_context(therapist(house.url, house.token_of(record))) for record in records]


# --- the countdown ----------------------------------------------------------------------------------------------------


async def test_an_attempt_that_nobody_answers_is_followed_by_a_wider_one_and_the_last_by_a_choice(
    servers: Servers, database: str
) -> None:
    settings = settings_for(servers, database, answer_s=0.6, radii_km=(1.0, 5.0))
    async with house_of(settings) as house, AsyncExitStack() as stack:
        near, far = await enter(stack, house, await house.add_therapist(), await house.add_therapist(km=3))
        budi = await stack.enter_async_context(guest(house.url))
        await budi.search()
        first = await near.until_offer()
        assert first["attempt"] == 1
        await budi.until_line("search_widened")
        widened = next(data for data in budi.of_type("system") if data["key"] == "search_widened")
        assert widened["params"] == {"attempt": 2, "max_attempts": 2}
        assert "2 of 2" in widened["text"]
        await near.until_closed_as(first["offer_id"], "expired")
        await far.until(lambda: bool(far.of_type("offer")), "an offer of the wider attempt")
        assert [offer["attempt"] for offer in far.of_type("offer")] == [2]
        card = await budi.until_card("no_therapist")
        assert [action["command"] for action in card["actions"]] == ["search_again", "cancel"]
        assert budi.lines()[-1] == "no_therapist"
        (attempt_1, deadline_1), (attempt_2, deadline_2) = attempts(budi)
        assert (attempt_1, attempt_2) == (1, 2)
        assert deadline_1 == first["respond_by"] < deadline_2
        assert budi.standing["booking"]["status"] == "searching"

        await budi.do("search_again", revision=card["revision"])
        await budi.until(lambda: len(attempts(budi)) == 3, "a new countdown")
        assert attempts(budi)[2][0] == 1
        await budi.until(lambda: budi.lines().count("no_therapist") == 2, "the end of the second search")
        assert await budi.refusal("search_again", revision=card["revision"]) == "stale"
        await budi.do("cancel")
        assert (await budi.until_state("cancelled"))["booking"]["status"] == "cancelled"
        await until_agreed(house.services)


async def test_a_decline_asks_the_next_at_once_inside_the_same_countdown(servers: Servers, database: str) -> None:
    async with house_of(settings_for(servers, database, wave_size=1)) as house, AsyncExitStack() as stack:
        near, next_one = await enter(stack, house, await house.add_therapist(), await house.add_therapist(km=2))
        budi = await stack.enter_async_context(guest(house.url))
        await budi.search()
        declined = await near.decline()
        offer = await next_one.until_offer()
        assert offer["respond_by"] == declined["respond_by"]
        assert near.closings(declined["offer_id"]) == ["declined"]
        assert len(attempts(budi)) == 1
        first, second = (await search_of(house, budi)).offers
        assert first.answered_at is not None
        assert second.asked_at < first.answered_at + NEXT_LOOK
        await next_one.accept()
        await budi.until_state("choosing")
        assert await near.refusal("accept_offer", offer_id=declined["offer_id"]) == "offer_expired"


async def test_the_wave_is_the_nearest_three_and_a_yes_of_one_frees_the_others(house: House) -> None:
    distances = (3.0, 0.5, 2.0, 4.0, 1.0)
    records = {km: await house.add_therapist(km=km) for km in distances}
    async with AsyncExitStack() as stack:
        nearest = [records[km] for km in (0.5, 1.0, 2.0)]
        first, second, third = await enter(stack, house, *nearest)
        budi = await stack.enter_async_context(guest(house.url))
        await budi.search()
        offers = [await each.until_offer() for each in (first, second, third)]
        assert asked(await search_of(house, budi)) == [record.id for record in nearest]
        await second.do("accept_offer", offer_id=offers[1]["offer_id"])
        assert await first.until_closed(offers[0]["offer_id"]) == "taken"
        assert await third.until_closed(offers[2]["offer_id"]) == "taken"
        await second.until_closed_as(offers[1]["offer_id"], "waiting")
        for record in (nearest[0], nearest[2]):
            await until_free(house.services, record.id)
        assert await first.refusal("accept_offer", offer_id=offers[0]["offer_id"]) == "offer_taken"
        assert asked(await search_of(house, budi)) == [record.id for record in nearest]


async def test_only_those_are_asked_who_fit_the_wishes(house: House) -> None:
    await house.add_therapist(km=0.5, gender="male")
    await house.add_therapist(km=1.0, gender="female", durations=(60, 90))
    await house.add_therapist(km=1.5, gender="female", is_available=False)
    fitting = await house.add_therapist(km=4.0, gender="female")
    async with therapist(house.url, house.token_of(fitting)) as console, guest(house.url) as budi:
        await budi.search(gender_preference="female", duration=120)
        offer = await console.until_offer()
        assert offer["booking"]["duration"] == 120
        assert asked(await search_of(house, budi)) == [fitting.id]


async def test_one_who_comes_free_is_asked_within_the_countdown(servers: Servers, database: str) -> None:
    async with house_of(settings_for(servers, database, answer_s=4.0)) as house:
        sari = await house.add_therapist(is_available=False)
        async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
            await budi.search()
            await console.do("availability", available=True)
            offer = await console.until_offer()
            assert offer["attempt"] == budi.standing["countdown"]["attempt"]


# --- the choice -------------------------------------------------------------------------------------------------------


async def test_find_another_frees_the_therapist_at_once_and_leaves_them_out(servers: Servers, database: str) -> None:
    async with house_of(settings_for(servers, database, wave_size=1)) as house, AsyncExitStack() as stack:
        sari, dewi = await house.add_therapist(), await house.add_therapist(km=2)
        first, second = await enter(stack, house, sari, dewi)
        budi = await stack.enter_async_context(guest(house.url))
        await budi.search()
        given_back = await first.accept()
        await budi.until_state("choosing")
        await budi.find_another()
        await first.until_closed_as(given_back["offer_id"], "not_chosen")
        await until_free(house.services, sari.id)
        await budi.until_line("another_wanted")
        await second.decline()
        declined = await search_of(house, budi)
        assert set(declined.refused) == {sari.id, dewi.id}
        assert asked(declined) == [sari.id, dewi.id]

        ani = await stack.enter_async_context(guest(house.url))
        await ani.search()
        await first.until_offer()
        assert asked(await search_of(house, ani)) == [sari.id]
        assert budi.state == "searching"


async def test_a_picked_therapist_is_asked_alone_and_the_others_after_a_no(house: House) -> None:
    picked, other = await house.add_therapist(km=9), await house.add_therapist()
    async with AsyncExitStack() as stack:
        first, second = await enter(stack, house, picked, other)
        budi = await stack.enter_async_context(guest(house.url))
        card = await budi.book(source="profile", therapist_id=picked.id)
        assert card["therapist"]["name"] == picked.name
        await budi.confirm()
        offer = await first.until_offer()
        assert (await budi.until_state("searching"))["countdown"]["attempt"] == 0
        assert "search_started_direct" in budi.lines()
        assert asked(await search_of(house, budi)) == [picked.id]
        await first.do("decline_offer", offer_id=offer["offer_id"], reason="Too far")
        await budi.until_line("direct_unavailable")
        assert (await second.until_offer())["attempt"] == 1
        search = await search_of(house, budi)
        assert asked(search) == [picked.id, other.id]
        assert search.offers[0].reason == "Too far"
        assert budi.standing["countdown"]["attempt"] == 1


async def test_a_picked_therapist_who_does_not_answer_is_followed_by_the_others(
    servers: Servers, database: str
) -> None:
    async with house_of(settings_for(servers, database, direct_s=0.5)) as house, AsyncExitStack() as stack:
        picked, other = await house.add_therapist(), await house.add_therapist(km=2)
        first, second = await enter(stack, house, picked, other)
        budi = await stack.enter_async_context(guest(house.url))
        await budi.book(source="profile", therapist_id=picked.id)
        await budi.confirm()
        offer = await first.until_offer()
        await first.until_closed_as(offer["offer_id"], "expired")
        await second.accept()
        await budi.accept()
        assert (await budi.until_state("active"))["booking"]["therapist"]["id"] == other.id


async def test_a_guest_who_does_not_choose_gives_the_therapist_back(servers: Servers, database: str) -> None:
    async with house_of(settings_for(servers, database, choose_s=0.5)) as house:
        sari = await house.add_therapist()
        async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
            await budi.search()
            offer = await console.accept()
            card = await budi.until_card("therapist")
            await budi.until_state("no_therapist")
            assert budi.lines()[-1] == "choice_lapsed"
            await console.until_closed_as(offer["offer_id"], "unanswered")
            await until_free(house.services, sari.id)
            late = await budi.refusal("accept_therapist", revision=card["revision"], offer_id=card["offer_id"])
            assert late == "stale"
            again = await budi.until_card("no_therapist")
            await budi.do("search_again", revision=again["revision"])
            await console.until_offer()


# --- cancelling and accepting, whatever the moment --------------------------------------------------------------------


async def test_cancelling_ends_it_from_every_state_and_frees_whoever_was_asked(house: House) -> None:
    sari = await house.add_therapist()
    async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
        assert await budi.refusal("cancel") == "not_now"

        await budi.book()
        await budi.do("cancel")
        assert (await budi.until_state("cancelled"))["booking"] is None
        assert await budi.refusal("cancel") == "not_now"

        await budi.search()
        offer = await console.until_offer()
        await budi.do("cancel", reason="Changed my mind")
        assert await console.until_closed(offer["offer_id"]) == "cancelled"
        assert await console.refusal("accept_offer", offer_id=offer["offer_id"]) == "offer_expired"
        await until_free(house.services, sari.id)

        await budi.search()
        offer = await console.accept()
        await budi.until_state("choosing")
        await budi.do("cancel")
        await console.until_closed_as(offer["offer_id"], "cancelled")
        assert await console.refusal("accept_offer", offer_id=offer["offer_id"]) == "offer_expired"
        await until_free(house.services, sari.id)

        await budi.search()
        await console.accept()
        await budi.accept()
        booking = await console.until_booking("active")
        await budi.do("cancel")
        assert (await console.until_booking("cancelled"))["id"] == booking["id"]
        await console.until(lambda: console.of_type("notification")[-1]["kind"] == "booking_cancelled", "the news")
        assert await console.refusal("progress", booking_id=booking["id"], step="on_the_way") == "not_now"

        await budi.search()
        await console.accept()
        await until_agreed(house.services)


async def test_the_guests_yes_counts_only_while_the_card_stands(house: House) -> None:
    sari = await house.add_therapist()
    yes = {"offer_id": "o_unknown"}
    async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
        assert await budi.refusal("accept_therapist", revision=budi.revision, **yes) == "not_now"
        await budi.book()
        assert await budi.refusal("accept_therapist", revision=budi.revision, **yes) == "not_now"
        await budi.confirm()
        await budi.until_state("searching")
        assert await budi.refusal("accept_therapist", revision=budi.revision, **yes) == "not_now"
        await console.accept()
        card = await budi.until_card("therapist")
        yes = {"revision": card["revision"], "offer_id": card["offer_id"]}
        assert await budi.refusal("accept_therapist", **{**yes, "revision": 1}) == "stale"
        await budi.until(lambda: len([c for c in budi.of_type("card") if c["card"] == "therapist"]) == 2, "the card")
        assert await budi.refusal("accept_therapist", **{**yes, "offer_id": "o_other"}) == "not_found"
        await budi.do("accept_therapist", **yes)
        await budi.until_state("active")
        assert await budi.refusal("accept_therapist", **yes) == "stale"
        assert await budi.refusal("find_another", revision=budi.revision, offer_id=yes["offer_id"]) == "not_now"
        await budi.do("cancel")
        await budi.until_state("cancelled")
        assert await budi.refusal("accept_therapist", revision=budi.revision, offer_id=yes["offer_id"]) == "not_now"


async def test_the_therapists_yes_counts_once_and_only_for_their_own_open_offer(house: House) -> None:
    sari, dewi = await house.add_therapist(), await house.add_therapist(km=2)
    async with AsyncExitStack() as stack:
        first, second = await enter(stack, house, sari, dewi)
        budi = await stack.enter_async_context(guest(house.url))
        await budi.search()
        offer, other = await first.until_offer(), await second.until_offer()
        assert await first.refusal("accept_offer", offer_id="o_unknown") == "not_found"
        assert await second.refusal("accept_offer", offer_id=offer["offer_id"]) == "not_found"
        assert await second.refusal("decline_offer", offer_id=offer["offer_id"]) == "not_found"
        assert (await search_of(house, budi)).state is SearchState.ASKING
        await first.do("accept_offer", offer_id=offer["offer_id"])
        await first.do("accept_offer", offer_id=offer["offer_id"])
        assert await first.refusal("decline_offer", offer_id=offer["offer_id"]) == "offer_expired"
        assert await second.refusal("accept_offer", offer_id=other["offer_id"]) == "offer_taken"
        await budi.accept()
        await budi.until_state("active")
        await first.do("accept_offer", offer_id=offer["offer_id"])
        assert await second.refusal("accept_offer", offer_id=other["offer_id"]) == "offer_taken"
        await until_agreed(house.services)


# --- therapists who leave ---------------------------------------------------------------------------------------------


async def test_who_goes_offline_takes_the_offer_back_and_is_not_asked_again(servers: Servers, database: str) -> None:
    async with house_of(settings_for(servers, database, wave_size=1)) as house, AsyncExitStack() as stack:
        sari, dewi = await house.add_therapist(), await house.add_therapist(km=2)
        first, second = await enter(stack, house, sari, dewi)
        budi = await stack.enter_async_context(guest(house.url))
        await budi.search()
        offer = await first.until_offer()
        await first.do("availability", available=False)
        assert await first.until_closed(offer["offer_id"]) == "declined"
        await until_free(house.services, sari.id)
        await second.until_offer()
        assert (await search_of(house, budi)).offers[0].answer is Answer.DECLINED

        ani = await stack.enter_async_context(guest(house.url))
        await ani.search()
        await second.accept()
        await budi.until_state("choosing")
        assert asked(await search_of(house, ani)) == []


async def test_a_therapist_who_cannot_come_after_all_leaves_the_guest_a_new_search(house: House) -> None:
    sari, dewi = await house.add_therapist(), await house.add_therapist(km=2)
    async with AsyncExitStack() as stack:
        first, second = await enter(stack, house, sari, dewi)
        budi = await stack.enter_async_context(guest(house.url))
        await budi.search()
        await first.accept()
        await budi.accept()
        booking = await first.until_booking("active")
        await first.do("cancel_booking", booking_id=booking["id"], reason="My scooter broke down")
        standing = await budi.until_state("no_therapist")
        assert "therapist_withdrew" in budi.lines()
        assert standing["booking"]["therapist"] is None
        assert standing["header"]["title"] == "Janji"
        assert (await first.until_booking("cancelled"))["earnings"]["amount"] == 0
        await until_agreed(house.services)
        await first.do("availability", available=False)
        card = await budi.until_card("no_therapist")
        await budi.do("search_again", revision=card["revision"])
        await second.accept()
        await budi.accept()
        assert (await budi.until_state("active"))["booking"]["therapist"]["id"] == dewi.id
        await until_agreed(house.services)


async def test_a_therapist_who_withdrew_and_is_chosen_again_has_the_room_again(house: House) -> None:
    sari = await house.add_therapist()
    async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
        await budi.search()
        await console.accept()
        await budi.accept()
        booking = await console.until_booking("active")
        await console.do("cancel_booking", booking_id=booking["id"], reason="My scooter broke down")
        card = await budi.until_card("no_therapist")
        await budi.do("search_again", revision=card["revision"])
        await console.accept()
        await budi.accept()
        await budi.until_state("active")
        await budi.do("message", text="Glad that you can come")
        await console.until(lambda: bool(console.of_type("message")), "the message")


# --- coming back ------------------------------------------------------------------------------------------------------


async def test_a_reload_shows_the_same_countdown_and_everything_said(house: House) -> None:
    sari = await house.add_therapist()
    async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
        await budi.search()
        await console.until_offer()
        await budi.until_line("search_started")
        await budi.until(lambda: budi.state == "searching", "the countdown")
        async with guest(house.url, token=budi.token) as reloaded:
            assert reloaded.session["countdown"] == budi.standing["countdown"]
            assert reloaded.screen() == budi.screen()
            assert reloaded.entries == budi.entries
        async with guest(house.url, token=budi.token, since=budi.entries[-2]["seq"]) as resumed:
            assert resumed.entries == budi.entries[-1:]
            assert not resumed.session["resync"]
        async with guest(house.url, token=budi.token, since=999) as ahead:
            assert ahead.session["resync"]
            assert ahead.entries == budi.entries


async def test_two_tabs_show_the_same_and_one_yes_is_enough(house: House) -> None:
    sari = await house.add_therapist()
    async with AsyncExitStack() as stack:
        (console,) = await enter(stack, house, sari)
        left = await stack.enter_async_context(guest(house.url))
        right = await stack.enter_async_context(guest(house.url, token=left.token))
        await left.book()
        await right.until_card("service")
        await right.confirm()
        await left.until_state("searching")
        await console.accept()
        card = await left.until_card("therapist")
        await right.until_card("therapist")
        await right.do("accept_therapist", revision=card["revision"], offer_id=card["offer_id"])
        await left.until_state("active")
        await left.do("message", text="From the left")
        await right.do("message", text="From the right")
        await left.until(lambda: len(left.of_type("message")) == 2, "both messages")
        await right.until(lambda: len(right.of_type("message")) == 2, "both messages")
        assert left.entries == right.entries
        assert [entry["seq"] for entry in left.entries] == list(range(1, len(left.entries) + 1))


async def test_closing_one_of_two_tabs_ends_nothing(house: House) -> None:
    sari = await house.add_therapist()
    async with AsyncExitStack() as stack:
        (console,) = await enter(stack, house, sari)
        left = await stack.enter_async_context(guest(house.url))
        async with guest(house.url, token=left.token) as right:
            await right.search()
            await left.until_state("searching")
        await console.accept()
        await left.accept()
        await left.until_state("active")
        await left.do("message", text="Still here")
        await console.until(lambda: bool(console.of_type("message")), "the message")


async def test_a_guest_who_comes_back_a_day_later_finds_everything_and_can_book_again(house: House) -> None:
    sari = await house.add_therapist()
    async with therapist(house.url, house.token_of(sari)) as console:
        async with guest(house.url) as budi:
            await budi.search()
            await console.accept()
            await budi.accept()
            booking = await console.until_booking("active")
            await budi.do("message", text="See you soon")
            await console.do("progress", booking_id=booking["id"], step="arrived")
            await budi.until_line("arrived")
        a_day_passes(house)
        await console.until_booking("completed")
        async with guest(house.url, token=budi.token) as back:
            assert back.state == "completed"
            assert back.entries[: len(budi.entries)] == budi.entries
            assert back.lines()[-1] == "completed"
            card = await back.book()
            assert card["defaults"]["name"] == "Budi"


def a_day_passes(house: House) -> None:
    """Everybody in the house looks at this clock; its owner sets it by the database's once in half a minute."""
    clock = house.services.clock
    assert isinstance(clock, DatabaseClock)
    clock._set_at += timedelta(days=1)


async def test_the_language_can_be_switched_and_everything_is_said_again_in_the_other(house: House) -> None:
    async with guest(house.url) as budi:
        card = await budi.book()
        async with guest(house.url, token=budi.token, locale="id", since=0) as switched:
            card_in_indonesian = switched.card("service")
            assert card_in_indonesian is not None
            assert card["title"] == "Confirm your massage"
            assert card_in_indonesian["service"]["name"] == "Pijat Bali"
            assert [entry["seq"] for entry in switched.entries] == [entry["seq"] for entry in budi.entries]
            pairs = [(a, b) for a, b in zip(texts(budi), texts(switched), strict=True)]
            assert all(english != indonesian for english, indonesian in pairs), pairs
            await switched.do("cancel")
            await switched.until_state("cancelled")
            await budi.until_state("cancelled")
            assert texts(budi)[-1] != texts(switched)[-1]


def texts(client: Guest) -> list[str]:
    """Every sentence that this reader was shown, in order."""
    return [entry["data"]["text"] for entry in client.entries if entry["type"] in ("system", "card")]


# --- the room of a visit ----------------------------------------------------------------------------------------------


async def test_a_therapist_reads_and_writes_in_the_room_of_their_own_visit_only(house: House) -> None:
    sari, dewi = await house.add_therapist(), await house.add_therapist(km=2)
    async with AsyncExitStack() as stack:
        first, second = await enter(stack, house, sari, dewi)
        budi = await stack.enter_async_context(guest(house.url))
        await budi.search()
        await first.accept()
        await budi.accept()
        booking = await first.until_booking("active")
        await budi.do("message", text="For Sari")
        await first.until(lambda: bool(first.of_type("message")), "the message")
        opening = room_entries(first, booking["feed"])[0]
        assert (opening["type"], opening["data"]["state"]) == ("state", "active")
        assert opening["seq"] == next(e["seq"] for e in budi.entries if e["data"].get("state") == "active")
        assert opening["data"]["actions"] == []
        await first.do("message", booking_id=booking["id"], text="On my way")

        for command, more in ELSEWHERE.items():
            assert await second.refusal(command, booking_id=booking["id"], **more) == "not_found"
        async with therapist(house.url, house.token_of(dewi), since={booking["feed"]: 0}) as nosy:
            assert room_entries(nosy, booking["feed"]) == []
            assert nosy.session["bookings"] == []
        async with therapist(house.url, house.token_of(sari), since={booking["feed"]: 0}) as reloaded:
            assert room_entries(reloaded, booking["feed"]) == room_entries(first, booking["feed"])
            assert [each["id"] for each in reloaded.session["bookings"]] == [booking["id"]]

        await first.do("progress", booking_id=booking["id"], step="completed")
        await first.until_booking("completed")
        await first.until(lambda: ended(first, booking["feed"]), "the end of the visit")
        assert await first.refusal("message", booking_id=booking["id"], text="Thank you") == "not_now"

        await first.do("availability", available=False)
        await budi.search()
        await second.accept()
        await budi.accept()
        later = await second.until_booking("active")
        await budi.do("message", text="For Dewi")
        await second.until(lambda: bool(second.of_type("message")), "the message")
        assert [data["text"] for data in second.of_type("message")] == ["For Dewi"]
        await first.do("availability", available=True)
        await first.until(lambda: first.of_type("state")[-1] == {"available": True}, "the next word on the own feed")
        seen = room_entries(first, booking["feed"])
        assert seen[-1]["data"]["state"] == "completed"
        assert [entry["seq"] for entry in seen] == list(range(opening["seq"], seen[-1]["seq"] + 1))
        for command, more in ELSEWHERE.items():
            assert await first.refusal(command, booking_id=later["id"], **more) == "not_found"
        async with therapist(house.url, house.token_of(sari), since={booking["feed"]: 0}) as back:
            assert room_entries(back, booking["feed"]) == []


ELSEWHERE: dict[str, dict[str, Any]] = {
    "message": {"text": "Hello?"},
    "progress": {"step": "completed"},
    "cancel_booking": {"reason": "Not mine"},
}


def room_entries(console: Therapist, feed: str) -> list[dict[str, Any]]:
    return [entry for entry in console.entries if entry["feed"] == feed]


def ended(console: Therapist, feed: str) -> bool:
    last = room_entries(console, feed)[-1]
    return bool(last["type"] == "state" and last["data"]["state"] != "active")
