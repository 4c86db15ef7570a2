"""The story of a moment that two people use at once: one of them has it, and everybody agrees on who.

Two web processes serve, so that what a lock inside one of them would keep apart meets in the database.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.runtime.embedded import Servers
from matching.availability import visit_cells
from tests.agreement import until_agreed, until_free
from tests.clients import JAKARTA, Guest, Therapist, client_id, guest, therapist
from tests.house import House, house_of, settings_for

pytestmark = pytest.mark.slow

ROUNDS = 12

Houses = tuple[House, House]


@pytest.fixture
async def houses(servers: Servers, database: str) -> AsyncIterator[Houses]:
    settings = settings_for(servers, database)
    async with house_of(settings) as left, house_of(settings) as right:
        yield left, right


def outcome(ack: dict[str, Any]) -> str:
    return "ok" if ack["ok"] else str(ack["error"]["code"])


async def at_once(*commands: Awaitable[dict[str, Any]]) -> list[str]:
    return [outcome(ack) for ack in await asyncio.gather(*commands)]


async def after(delay_s: float, command: Awaitable[dict[str, Any]]) -> dict[str, Any]:
    """Rounds that begin a little apart meet at other points on their way."""
    await asyncio.sleep(delay_s)
    return await command


@dataclass(slots=True)
class Town:
    """A place of its own, out of reach of the others, so that many rounds can be played at the same time."""

    number: int
    houses: Houses
    stack: AsyncExitStack

    @property
    def latitude(self) -> float:
        return JAKARTA[0] + self.number

    async def console(self, house: int, **more: Any) -> Therapist:
        """A new therapist of this town, at the console."""
        record = await self.houses[house].add_therapist(**{"latitude": self.latitude, **more})
        return await self.another_console(house, record.id)

    async def another_console(self, house: int, therapist_id: str) -> Therapist:
        token = self.houses[house].tokens.sign("therapist", therapist_id)
        return await self.stack.enter_async_context(therapist(self.houses[house].url, token))

    async def guest(self, house: int, **auth: Any) -> Guest:
        return await self.stack.enter_async_context(guest(self.houses[house].url, **auth))

    async def tabs(self, count: int, **auth: Any) -> list[Guest]:
        """Several connections of one guest, in turn on either house."""
        first = await self.guest(0, **auth)
        others = [await self.guest(number % 2, token=first.token) for number in range(1, count)]
        return [first, *others]

    def place(self) -> dict[str, Any]:
        return {"location": {"address": "Jl. Merdeka 1", "latitude": self.latitude, "longitude": JAKARTA[1]}}

    async def choosing(self, budi: Guest, console: Therapist) -> dict[str, Any]:
        """From idle to the choice; what is given back is the payload of both of the guest's buttons."""
        await budi.search(**self.place())
        await console.accept()
        card = await budi.until_card("therapist")
        return {"revision": card["revision"], "offer_id": card["offer_id"]}


async def in_every_town(houses: Houses, play: Callable[[Town], Awaitable[Any]]) -> list[Any]:
    """Play the round in every town at the same time, and see that everything agrees at the end."""
    async with AsyncExitStack() as stack:
        results = await asyncio.gather(*(play(Town(number, houses, stack)) for number in range(ROUNDS)))
        await until_agreed(houses[0].services)
        return results


# --- who gets whom ----------------------------------------------------------------------------------------------------


async def test_a_therapist_whom_two_guests_want_is_asked_by_one_and_then_by_the_other(
    servers: Servers, database: str
) -> None:
    settings = settings_for(servers, database, answer_s=4.0, wave_size=1)
    async with house_of(settings) as left, house_of(settings) as right, AsyncExitStack() as stack:
        town = Town(0, (left, right), stack)
        console = await town.console(0)
        guests = [await town.guest(0), await town.guest(1)]
        await asyncio.gather(*(each.book() for each in guests))
        await asyncio.gather(*(each.confirm() for each in guests))
        offer = await console.accept()
        (search,) = await left.services.searches.find({"offers.offer_id": offer["offer_id"]}, limit=1)
        guests.sort(key=lambda each: each.session["conversation_id"] != search.conversation_id)
        lucky, waiting = guests
        await lucky.until_state("choosing")
        assert waiting.state == "searching"
        assert len(console.of_type("offer")) == 1
        await lucky.find_another()
        await console.until(lambda: len(console.of_type("offer")) == 2, "the offer of the other guest")
        await console.accept()
        await waiting.until_state("choosing")
        assert lucky.state == "searching"


async def test_of_two_therapists_who_say_yes_at_once_one_is_taken(houses: Houses) -> None:
    async def play(town: Town) -> None:
        consoles = [await town.console(0), await town.console(1, km=2)]
        budi = await town.guest(0)
        await budi.search(**town.place())
        offers = [(await each.until_offer())["offer_id"] for each in consoles]
        answers = await at_once(
            *(each.send("accept_offer", offer_id=offer) for each, offer in zip(consoles, offers, strict=True))
        )
        assert sorted(answers) == ["offer_taken", "ok"]
        winner, loser = answers.index("ok"), answers.index("offer_taken")
        card = await budi.until_card("therapist")
        assert card["therapist"]["id"] == consoles[winner].session["therapist"]["id"]
        await consoles[loser].until_closed_as(offers[loser], "taken")
        await consoles[winner].until_closed_as(offers[winner], "waiting")

    await in_every_town(houses, play)


async def test_a_yes_and_a_no_of_one_therapist_at_once_are_one_answer(houses: Houses) -> None:
    async def play(town: Town) -> None:
        phone = await town.console(0)
        tablet = await town.another_console(1, phone.session["therapist"]["id"])
        budi = await town.guest(town.number % 2)
        await budi.search(**town.place())
        offer = (await phone.until_offer())["offer_id"]
        answers = await at_once(
            phone.send("accept_offer", offer_id=offer), tablet.send("decline_offer", offer_id=offer)
        )
        assert sorted(answers) == ["offer_expired", "ok"]
        said = "waiting" if answers[0] == "ok" else "declined"
        await phone.until_closed_as(offer, said)
        await budi.until_state("choosing" if said == "waiting" else "searching")

    await in_every_town(houses, play)


# --- accepting while it is cancelled or expires -----------------------------------------------------------------------


async def test_a_search_that_is_cancelled_while_a_therapist_says_yes_is_cancelled_for_both(houses: Houses) -> None:
    async def play(town: Town) -> str:
        console, budi = await town.console(0), await town.guest(1)
        await budi.search(**town.place())
        offer = (await console.until_offer())["offer_id"]
        answers = await at_once(
            console.send("accept_offer", offer_id=offer), after(town.number / 1000, budi.send("cancel"))
        )
        assert answers[0] in ("ok", "offer_expired")
        assert answers[1] == "ok"
        assert (await budi.until_state("cancelled"))["booking"]["status"] == "cancelled"
        await console.until_closed_as(offer, "cancelled")
        assert console.closings(offer) in (["cancelled"], ["waiting", "cancelled"])
        return answers[0]

    await in_every_town(houses, play)


async def test_a_booking_that_is_cancelled_while_the_guest_says_yes_leaves_nobody_reserved(houses: Houses) -> None:
    async def play(town: Town) -> None:
        console = await town.console(0)
        left, right = await town.tabs(2)
        choice = await town.choosing(left, console)
        answers = await at_once(
            left.send("accept_therapist", **choice), after(town.number / 1000, right.send("cancel"))
        )
        assert answers[0] in ("ok", "offer_expired", "stale")
        assert answers[1] == "ok"
        await left.until_state("cancelled")
        if answers[0] == "ok":
            await console.until_booking("cancelled")
        await until_free(houses[0].services, console.session["therapist"]["id"])

    await in_every_town(houses, play)


async def test_of_yes_and_another_pressed_in_two_tabs_one_counts(houses: Houses) -> None:
    async def play(town: Town) -> None:
        console = await town.console(0)
        left, right = await town.tabs(2)
        choice = await town.choosing(left, console)
        yes, another = await at_once(left.send("accept_therapist", **choice), right.send("find_another", **choice))
        if yes == "ok":
            assert another in ("not_now", "stale")
            await right.until_state("active")
        else:
            assert (yes, another) == ("stale", "ok")
            await left.until_state("searching")
            await console.until_closed_as(choice["offer_id"], "not_chosen")

    await in_every_town(houses, play)


async def test_a_yes_in_the_moment_of_expiry_counts_everywhere_or_nowhere(servers: Servers, database: str) -> None:
    settings = settings_for(servers, database, direct_s=1.5, answer_s=0.1, radii_km=(0.1,))
    async with house_of(settings) as left, house_of(settings) as right:

        async def play(town: Town) -> None:
            console, budi = await town.console(0), await town.guest(1)
            await budi.book(source="profile", therapist_id=console.session["therapist"]["id"])
            await budi.confirm(**town.place())
            offer = await console.until_offer()
            left_s = (datetime.fromisoformat(offer["respond_by"]) - datetime.now(UTC)).total_seconds()
            apart_s = (town.number - ROUNDS * 3 // 4) * 0.002  # most are sent before, and get there when it rings
            (answer,) = await at_once(after(left_s + apart_s, console.send("accept_offer", offer_id=offer["offer_id"])))
            assert answer in ("ok", "offer_expired")
            await budi.until_state("choosing" if answer == "ok" else "no_therapist")
            await console.until_closed_as(offer["offer_id"], "waiting" if answer == "ok" else "expired")

        await in_every_town((left, right), play)


# --- the same thing many times ----------------------------------------------------------------------------------------


async def test_fifty_confirmations_at_once_are_one_search_and_one_booking(houses: Houses) -> None:
    async with AsyncExitStack() as stack:
        tabs = await Town(0, houses, stack).tabs(10)
        await tabs[0].book()
        form = tabs[0].form()
        answers = await at_once(*(tab.send("confirm_service", **form) for tab in tabs for _ in range(5)))
        assert Counter(answers) == {"ok": 1, "already_live": 49}
        documents = await until_agreed(houses[0].services)
        assert len(documents.searches) == len(documents.bookings) == 1
        await tabs[0].until_line("search_started")
        assert tabs[0].lines().count("search_started") == 1


async def test_a_command_that_comes_twenty_times_is_done_once_and_answered_the_same(houses: Houses) -> None:
    async with AsyncExitStack() as stack:
        town = Town(0, houses, stack)
        phone = await town.console(0)
        consoles = [phone, *[await town.another_console(n % 2, phone.session["therapist"]["id"]) for n in range(1, 10)]]
        tabs = await town.tabs(10)
        budi = tabs[0]

        await twenty_times(tabs, "book", kind="now", source="menu")
        await budi.until_card("service")
        await twenty_times(tabs, "confirm_service", **budi.form())
        offer = await phone.until_offer()
        await twenty_times(consoles, "accept_offer", offer_id=offer["offer_id"])
        card = await budi.until_card("therapist")
        choice = {"revision": card["revision"], "offer_id": card["offer_id"]}
        await twenty_times(tabs, "accept_therapist", **choice)
        await budi.until_state("active")
        await twenty_times(tabs, "message", text="Only once")
        booking = await phone.until_booking("active")
        await twenty_times(consoles, "message", booking_id=booking["id"], text="Me too")
        await twenty_times(consoles, "progress", booking_id=booking["id"], step="completed")
        await budi.until_state("completed")
        await budi.until(lambda: len(budi.of_type("message")) == 2, "both messages")
        assert [data["text"] for data in budi.of_type("message")] == ["Only once", "Me too"]
        assert len(set(budi.lines())) == len(budi.lines())
        assert [entry["seq"] for entry in budi.entries] == list(range(1, len(budi.entries) + 1))
        await until_agreed(houses[0].services)


async def twenty_times(clients: list[Any], command: str, **payload: Any) -> dict[str, Any]:
    """The one answer to a command that ten connections send twice, all at once and under one id."""
    payload["client_id"] = client_id()
    acks: list[dict[str, Any]] = await asyncio.gather(*(each.send(command, **payload) for each in clients * 2))
    assert all(ack == acks[0] for ack in acks), [outcome(ack) for ack in acks]
    return acks[0]


async def test_an_id_that_was_used_for_something_else_is_invalid(houses: Houses) -> None:
    async with AsyncExitStack() as stack:
        town = Town(0, houses, stack)
        console = await town.console(0)
        left, right = await town.tabs(2)
        choice = await town.choosing(left, console)
        once = client_id()
        assert await at_once(
            left.send("accept_therapist", client_id=once, **choice), right.send("cancel", client_id=once)
        ) in (["ok", "invalid"], ["invalid", "ok"])
        await until_agreed(houses[0].services)


# --- one slot ---------------------------------------------------------------------------------------------------------


async def test_of_two_guests_who_choose_the_same_therapist_one_is_booked_and_the_other_goes_on(houses: Houses) -> None:
    async def play(town: Town) -> None:
        console = await town.console(0)
        first, second = await town.guest(0), await town.guest(1)
        earlier = await town.choosing(first, console)
        await lose_hold(houses[0], console)
        later = await town.choosing(second, console)
        another = await town.console(1, km=3)
        answers = await at_once(first.send("accept_therapist", **earlier), second.send("accept_therapist", **later))
        assert answers == ["slot_taken", "ok"]
        await second.until_state("active")
        await first.until_line("slot_taken")
        await another.accept()
        await first.accept()
        await first.until_state("active")

    await in_every_town(houses, play)


async def lose_hold(house: House, console: Therapist) -> None:
    """As when every process stood still for longer than the hold was to last."""
    therapist_id = console.session["therapist"]["id"]
    await house.services.database["therapists"].update_one({"_id": therapist_id}, {"$set": {"hold": None}})


async def test_time_that_was_booked_meanwhile_is_said_to_be_taken_however_often_it_is_asked(houses: Houses) -> None:
    async with AsyncExitStack() as stack:
        town = Town(0, houses, stack)
        console, tabs = await town.console(0), await town.tabs(10)
        choice = await town.choosing(tabs[0], console)
        now = houses[0].services.clock.now()
        ends_at = now + timedelta(hours=1)
        assert await houses[0].services.reservations.reserve(
            "r_elsewhere",
            therapist_id=console.session["therapist"]["id"],
            booking_id="b_elsewhere",
            cells=visit_cells(now, ends_at),
            starts_at=now,
            ends_at=ends_at,
        )
        another = await town.console(1, km=3)
        ack = await twenty_times(tabs, "accept_therapist", **choice)
        assert outcome(ack) == "slot_taken"
        await tabs[0].until_line("slot_taken")
        assert tabs[0].state == "searching"
        await another.accept()
        await tabs[0].accept()
        active = await tabs[0].until_state("active")
        assert active["booking"]["therapist"]["id"] == another.session["therapist"]["id"]


async def test_the_present_card_does_not_overtake_what_another_process_has_yet_to_tell(
    houses: Houses, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line written for an old button stood before those of the last move, and the screen went back in time."""
    left, right = houses
    async with guest(left.url) as budi, guest(right.url, token=budi.token) as same:
        old = await budi.book()
        monkeypatch.setattr(left.services.outboxes, "put", lambda *_: None)  # it saves, and is too busy to perform
        await budi.do("cancel")
        await budi.do("book", kind="now", source="menu")
        assert await same.refusal("confirm_service", **same.form(revision=old["revision"])) == "stale"
        await same.until_state("cancelled")
        await until_agreed(right.services)
        revisions = [entry["data"]["revision"] for entry in same.entries if "revision" in entry["data"]]
        assert revisions == sorted(revisions)
