"""Bookings one after another on an idle machine: what two people wait for, from *Confirm* to the visit."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from benchmarks.effort import Effort
from benchmarks.people import Person, Post, confirm, guest_at, is_booking, is_card, is_entry, is_state, open_form, soon
from benchmarks.report import Figure, Row, Section, figure, percentile
from benchmarks.stage import Server, Stage
from benchmarks.town import CENTRE, KILOMETRE_IN_DEGREES, therapist_at
from bot.services import running
from bot.settings.settings import Settings
from bot.store.driver import Collection

# Nearby and at their consoles; each search asks three of them.
THERAPISTS = 6
WARM_UP = 3
SHARES = (0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Journey:
    """What was waited for in one booking, in milliseconds, each from the moment of the press."""

    offer_ms: float
    card_ms: float
    active_ms: float


async def measure(stage: Stage, effort: Effort) -> list[Section]:
    settings = await stage.prepare("bookings")
    tokens = await _settle(settings)
    async with (
        running(settings, with_sweep=False) as services,
        stage.janji(settings) as janji,
    ):
        consoles = [await _console(janji, token) for token in tokens]
        await _book_often(janji, consoles, WARM_UP)
        journeys: list[list[Journey]] = []
        writes: list[list[float]] = []
        for _ in range(effort.repetitions):
            journeys.append(await _book_often(janji, consoles, effort.bookings))
            writes.append(await _write_often(services.database["benchmark"], effort.bookings))
    return [_section(journeys, writes)]


async def _settle(settings: Settings) -> list[str]:
    """Therapists around the guest; their tokens."""
    async with running(settings, with_sweep=False) as services:
        therapists = [
            therapist_at(number, CENTRE[0] + (number + 1) / 4 * KILOMETRE_IN_DEGREES, CENTRE[1])
            for number in range(THERAPISTS)
        ]
        for therapist in therapists:
            await services.therapists.add(therapist)
        return [services.tokens.sign("therapist", therapist.id) for therapist in therapists]


async def _console(janji: Server, token: str) -> Person:
    console = Person(Post())
    await console.come_in(janji.url, "/therapist", {"token": token})
    return console


async def _book_often(janji: Server, consoles: Sequence[Person], count: int) -> list[Journey]:
    """All consoles share one post: whoever is asked first says yes."""
    post = Post()
    for console in consoles:
        console.post = post
    journeys = []
    for _ in range(count):
        guest = await guest_at(janji.url)
        journeys.append(await _book(guest, post))
        await guest.leave()
    return journeys


async def _book(guest: Person, consoles: Post) -> Journey:
    revision = await open_form(guest)

    offered, pressed_at = consoles.expect(is_entry("offer")), perf_counter()
    confirming = asyncio.create_task(confirm(guest, revision))
    offer = await soon(offered)
    offer_ms = (offer.at - pressed_at) * 1000
    await confirming

    proposed, pressed_at = guest.post.expect(is_card("therapist")), perf_counter()
    accepting = asyncio.create_task(offer.to.do("accept_offer", offer_id=offer.entry["data"]["offer_id"]))
    card = await soon(proposed)
    card_ms = (card.at - pressed_at) * 1000
    await accepting

    activated, pressed_at = guest.post.expect(is_state("active")), perf_counter()
    told = consoles.expect(is_booking("active"))
    chosen = card.entry["data"]
    choosing = asyncio.create_task(
        guest.do("accept_therapist", revision=chosen["revision"], offer_id=chosen["offer_id"])
    )
    active = await soon(activated)
    active_ms = (active.at - pressed_at) * 1000
    await choosing
    await soon(told)

    # The visit ends, so that the therapist is free for the next one.
    ended = consoles.expect(is_booking("completed"))
    await offer.to.do("progress", booking_id=active.entry["data"]["booking"]["id"], step="completed")
    await soon(ended)
    return Journey(offer_ms, card_ms, active_ms)


async def _write_often(collection: Collection, count: int) -> list[float]:
    """The measure of the machine: one durable write after the other, by the driver Janji uses, in milliseconds."""
    took_ms = []
    for _ in range(count):
        started_at = perf_counter()
        await collection.insert_one({"said": "something of ordinary length, as a message would be"})
        took_ms.append((perf_counter() - started_at) * 1000)
    return took_ms


def _section(journeys: Sequence[Sequence[Journey]], writes: Sequence[Sequence[float]]) -> Section:
    def of(samples: Sequence[Sequence[float]], share: float) -> Figure:
        return figure(percentile(each, share) for each in samples)

    def rows(what: str, name: str) -> list[Row]:
        waited = [[getattr(journey, name) for journey in each] for each in journeys]
        return [Row(f"{what}, p{share * 100:.0f} ms", of(waited, share), of(writes, share)) for share in SHARES]

    count = sum(len(each) for each in journeys)
    return Section(
        f"{count} bookings one after another; beside them one durable write",
        (
            *rows("Confirm → offer at the therapist", "offer_ms"),
            *rows("therapist accepts → card at the guest", "card_ms"),
            *rows("guest accepts → visit is active", "active_ms"),
        ),
    )
