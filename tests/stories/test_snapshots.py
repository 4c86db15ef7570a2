"""Whoever was shown a snapshot and has heard every entry since knows what a snapshot of this moment would say.

People at two processes do whatever comes to their mind, and are shown where they stand at moments of nobody's choosing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from aiohttp import ClientSession

from bot.runtime.embedded import Servers
from tests.agreement import eventually, until_agreed
from tests.clients import Client, Guest, Therapist, guest, therapist
from tests.house import House, house_of, settings_for

pytestmark = pytest.mark.slow

Session = dict[str, Any]
Entry = dict[str, Any]

GUESTS, THERAPISTS = 4, 3
STEPS = 20
SEED = "1"
# So short that some of it passes by itself.
QUICK: dict[str, Any] = {"answer_s": 1.5, "choose_s": 2.0, "radii_km": (1.0, 5.0)}
ON_SCREEN = ("state", "revision", "header", "booking", "countdown", "actions")
LIVE_SIGNALS = ("receipts", "unread", "typing", "presence")


# --- what is known from a snapshot and the entries after it -----------------------------------------------------------


def shown_to_guest(session: Session) -> Session:
    """What the snapshot itself says."""
    screen = {name: session[name] for name in ON_SCREEN}
    return {**screen, "read": _read(session), "unread": session["unread"], "log": session["entries"]}


def known_to_guest(session: Session, entries: Sequence[Entry]) -> Session:
    """As the chat page goes on from a snapshot: a state line counts unless it is older than what is known."""
    screen, read, log = {name: session[name] for name in ON_SCREEN}, _read(session), [*session["entries"], *entries]
    for entry in entries:
        if entry["type"] == "state" and entry["data"]["revision"] >= screen["revision"]:
            screen = {name: entry["data"][name] for name in ON_SCREEN}
        if entry["type"] == "read":
            read[entry["data"]["by"]] = entry["data"]["seq"]
    theirs = [each["seq"] for each in log if each["type"] == "message" and each["data"]["from"] == "therapist"]
    return {**screen, "read": read, "unread": sum(seq > read["guest"] for seq in theirs), "log": log}


def assert_is_not_behind_itself(session: Session) -> None:
    """Its own entries say nothing newer than it does: whoever believes both would be set back."""
    known = known_to_guest({**session, "entries": []}, session["entries"])
    assert known["revision"] == session["revision"], (session["state"], session["entries"][-3:])


def _read(session: Session) -> dict[str, int]:
    return {side: numbers["read"] for side, numbers in session["receipts"].items()}


def shown_to_therapist(session: Session) -> Session:
    return known_to_therapist(session, ())


def known_to_therapist(session: Session, entries: Sequence[Entry]) -> Session:
    """As the console goes on: what is offered, what is under way, and whether they are asked at all."""
    available = session["available"]
    offers = {offer["offer_id"]: offer for offer in session["offers"]}
    bookings = {each["id"]: _without_signals(each) for each in session["bookings"]}
    for entry in entries:
        data = entry["data"]
        match entry["type"]:
            case "offer":
                offers[data["offer_id"]] = data
            case "offer_waiting":
                offers[data["offer_id"]] = offers[data["offer_id"]] | {"waiting_until": data["until"]}
            case "offer_closed":
                offers.pop(data["offer_id"], None)
            case "booking":
                bookings[data["booking"]["id"]] = data["booking"]
            case "state":
                available = data["available"]
    under_way = {booking_id: each for booking_id, each in bookings.items() if each["status"] == "active"}
    return {"available": available, "offers": offers, "bookings": under_way}


def _without_signals(booking: Session) -> Session:
    return {name: value for name, value in booking.items() if name not in LIVE_SIGNALS}


# --- who is shown what ------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Person:
    """Somebody at two screens, and all the snapshots that they were shown."""

    screens: tuple[Any, Any]
    token: str
    http: ClientSession
    audience: str = "guest"
    shown: list[Session] = field(default_factory=list)

    @property
    def feed(self) -> str:
        session = self.screens[0].session
        return str(session["feed"] if self.audience == "guest" else f"therapist:{session['therapist']['id']}")

    async def look(self, url: str) -> Session:
        """Open another page: everything there is from the beginning."""
        body = {"token": self.token, "since": 0 if self.audience == "guest" else {self.feed: 0}, "locale": "en"}
        async with self.http.post(f"{url}/api/{self.audience}/session", json=body) as response:
            session: Session = await response.json()
            assert response.status == 200, session
        self.token = session.get("token", self.token)
        session["entries"] = [entry for entry in session["entries"] if entry["feed"] == self.feed]
        if self.audience == "guest":
            assert_is_not_behind_itself(session)
        return session

    def assert_nothing_is_missing(self, now: Session) -> None:
        """Each snapshot, with what came after it, is the one of now; so is what both screens have heard."""
        knows = known_to_guest if self.audience == "guest" else known_to_therapist
        shown = shown_to_guest(now) if self.audience == "guest" else shown_to_therapist(now)
        for session in self.shown:
            assert knows(session, now["entries"][len(session["entries"]) :]) == shown
        for screen in self.screens:
            first = {**screen.session, "entries": []}
            heard = [entry for entry in screen.entries if entry["feed"] == self.feed]
            assert knows(first, heard) == shown


# --- what comes to their mind -----------------------------------------------------------------------------------------


async def guest_moves(budi: Guest, mood: Random) -> None:
    """One thing that the screen offers, or now and then one that it does not."""
    card = budi.card("therapist") or {"revision": 0, "offer_id": "o_none"}
    choice = {"revision": card["revision"], "offer_id": card["offer_id"]}
    book = ("book", {"kind": "now", "source": "menu"})
    confirm = ("confirm_service", {**budi.form(), "duration": mood.choice((60, 90))})
    message = ("message", {"text": mood.choice(("$token", "Halo 👋", "Where are you?"))})
    moves: dict[str, list[tuple[str, dict[str, Any]]]] = {
        "confirming": [confirm, confirm, confirm, ("cancel", {})],
        "searching": [("cancel", {}), *[message, book] * 4],
        "choosing": [("accept_therapist", choice)] * 5 + [("find_another", choice), ("cancel", {})],
        "no_therapist": [("search_again", {"revision": budi.revision}), ("cancel", {})],
        "active": [*[message] * 5, ("cancel", {})],
        "completed": [("rate", {"stars": 5}), book],
    }
    command, payload = mood.choice(moves.get(budi.state, [book]))
    await budi.send(command, **payload)
    if budi.state == "active" and budi.entries:
        await budi.signal("read", seq=budi.entries[-1]["seq"])


async def therapist_moves(sari: Therapist, mood: Random) -> None:
    offers = sari.open_offers()
    visits = {each["booking"]["id"]: each["booking"]["status"] for each in sari.of_type("booking")}
    active = [booking_id for booking_id, status in visits.items() if status == "active"]
    if offers:
        answer = mood.choice((*["accept_offer"] * 4, "decline_offer"))
        await sari.send(answer, offer_id=offers[-1]["offer_id"])
    elif active and mood.random() < 0.8:
        booking_id = mood.choice(active)
        step = mood.choice(("on_the_way", "delayed", "arrived", "completed"))
        more = {"minutes": 10} if step == "delayed" else {}
        await mood.choice(
            (
                lambda: sari.send("message", booking_id=booking_id, text="Coming"),
                lambda: sari.send("progress", booking_id=booking_id, step=step, **more),
                lambda: sari.send("progress", booking_id=booking_id, step="arrived"),
                lambda: sari.send("cancel_booking", booking_id=booking_id, reason="Ill"),
            )
        )()
    elif mood.random() < 0.3:
        await sari.send("availability", available=mood.random() < 0.7)


@asynccontextmanager
async def people(houses: tuple[House, House]) -> AsyncIterator[tuple[list[Person], list[Person]]]:
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(ClientSession())
        guests, therapists = [], []
        for _ in range(THERAPISTS):
            record = await houses[0].add_therapist()
            token = houses[0].token_of(record)
            screens = [await stack.enter_async_context(therapist(house.url, token)) for house in houses]
            therapists.append(Person((screens[0], screens[1]), token, http, "therapist"))
        for _ in range(GUESTS):
            left = await stack.enter_async_context(guest(houses[0].url))
            right = await stack.enter_async_context(guest(houses[1].url, token=left.token))
            guests.append(Person((left, right), right.token, http))
        yield guests, therapists


async def live(person: Person, houses: tuple[House, House], mood: Random) -> None:
    """They do one thing after the other, sometimes two at once on both screens, and look now and then."""
    moves: Callable[[Any, Random], Awaitable[None]] = guest_moves if person.audience == "guest" else therapist_moves
    for _ in range(STEPS):
        screens: Sequence[Client] = person.screens if mood.random() < 0.2 else (mood.choice(person.screens),)
        doing = asyncio.gather(*(moves(screen, mood) for screen in screens))
        if mood.random() < 0.5:
            person.shown.append(await person.look(mood.choice(houses).url))
        await doing
        await asyncio.sleep(mood.uniform(0.0, 0.1))


def dawdle(house: House, monkeypatch: pytest.MonkeyPatch, mood: Random) -> None:
    """What this process has read is some milliseconds old when it makes use of it."""

    def slowly(read: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def reading(*arguments: Any, **named: Any) -> Any:
            found = await read(*arguments, **named)
            await asyncio.sleep(mood.uniform(0.0, 0.03))
            return found

        return reading

    services = house.services
    readers: tuple[tuple[Any, str], ...] = (
        (services.feeds, "head"),
        (services.feeds, "between"),
        (services.conversations, "load_with_others"),
        (services.bookings, "load_with_others"),
        (services.agendas, "active_bookings"),
        (services.agendas, "open_searches"),
        (services.therapists, "get_with_others"),
    )
    for reader, name in readers:
        monkeypatch.setattr(reader, name, slowly(getattr(reader, name)))


async def test_a_snapshot_and_the_entries_after_it_say_what_the_next_snapshot_says(
    servers: Servers, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_for(servers, database, **QUICK)
    async with (
        house_of(settings) as left,
        house_of(settings) as right,
        people((left, right)) as (guests, therapists),
    ):
        houses, everybody = (left, right), [*guests, *therapists]
        dawdle(right, monkeypatch, Random(SEED))
        await asyncio.gather(
            *(live(person, houses, Random(f"{SEED}:{number}")) for number, person in enumerate(everybody))
        )
        await until_agreed(left.services)
        for person in everybody:

            async def nothing_is_missing(person: Person = person) -> None:
                person.assert_nothing_is_missing(await person.look(right.url))

            await eventually(nothing_is_missing)
        heard = {entry["data"].get("state") for person in guests for entry in person.screens[0].entries}
        assert {"confirming", "searching", "choosing", "active", "cancelled"} <= heard, "they did too little"
        assert sum(len(person.shown) for person in everybody) > STEPS


async def test_a_switch_that_is_pressed_while_a_snapshot_is_made_is_heard_after_it(
    servers: Servers, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house_of(settings_for(servers, database)) as house:
        sari, therapists = await house.add_therapist(), house.services.therapists
        read = therapists.get_with_others

        async with therapist(house.url, house.token_of(sari)) as phone:

            async def read_and_press(therapist_id: str) -> Any:
                found = await read(therapist_id)
                await phone.do("availability", available=False)
                return found

            monkeypatch.setattr(therapists, "get_with_others", read_and_press)
            async with therapist(house.url, house.token_of(sari)) as tablet:
                assert tablet.session["available"]
                await eventually(lambda: _is_told(tablet, available=False))


async def _is_told(client: Client, *, available: bool) -> None:
    assert [each["data"] for each in client.entries if each["type"] == "state"] == [{"available": available}]


async def test_of_two_switches_pressed_at_once_the_feed_tells_the_one_that_counts(
    servers: Servers, database: str
) -> None:
    settings = settings_for(servers, database)
    async with house_of(settings) as left, house_of(settings) as right, people((left, right)) as (_, therapists):
        for person in therapists:
            phone, tablet = person.screens
            for _ in range(5):
                await asyncio.gather(
                    phone.do("availability", available=True), tablet.do("availability", available=False)
                )
                now = await person.look(left.url)
                assert now["entries"][-1]["data"]["available"] == now["available"]


async def test_a_room_that_ends_while_it_is_looked_up_is_not_read_again_from_its_first_line(
    servers: Servers, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step of a visit looks the room up; what one had read before the visit was over opened it anew."""
    async with house_of(settings_for(servers, database)) as house:
        sari, rooms = await house.add_therapist(), house.services.rooms
        async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
            await budi.search()
            await console.accept()
            await budi.accept()
            booking = await console.until_booking("active")
            feed = budi.session["feed"]
            await console.until(lambda: any(each["feed"] == feed for each in console.entries), "the room")
            look_up, found, is_over, is_told = rooms.of, asyncio.Event(), asyncio.Event(), asyncio.Event()

            async def be_told_late(booking_id: str, therapist_id: str) -> Any:
                room = await look_up(booking_id, therapist_id)
                found.set()
                await is_over.wait()
                is_told.set()
                return room

            monkeypatch.setattr(rooms, "of", be_told_late)
            await console.do("progress", booking_id=booking["id"], step="arrived")
            await found.wait()
            monkeypatch.setattr(rooms, "of", look_up)
            await console.do("progress", booking_id=booking["id"], step="completed")
            await console.until(lambda: {"state": "completed"}.items() <= _last_state(console, feed).items(), "the end")
            is_over.set()
            await is_told.wait()
            await console.do("availability", available=False)
            await console.until(lambda: console.entries[-1]["data"] == {"available": False}, "what comes after it")
            numbers = [each["seq"] for each in console.entries if each["feed"] == feed]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def _last_state(console: Client, feed: str) -> Any:
    return [each["data"] for each in console.entries if each["feed"] == feed and each["type"] == "state"][-1]
