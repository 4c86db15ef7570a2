"""A guest and therapists as the booking and countdown measurements drive them: expect first, act, then await."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter, time
from typing import Any

from benchmarks.client import Connection
from benchmarks.town import CENTRE

PATIENCE_S = 20.0

Matches = Callable[[dict[str, Any]], bool]


class Refused(Exception):
    """A command that the measurement needs was not taken."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """An entry, the connection it came on, and when: `at` by the monotonic clock, `wall_at` by the calendar's."""

    entry: dict[str, Any]
    to: Person
    at: float
    wall_at: float


class Post:
    """What arrives for one person, or for several who share it; each expectation is met once, by the first match."""

    def __init__(self) -> None:
        self._expected: list[tuple[Matches, asyncio.Future[Arrival]]] = []

    def expect(self, matches: Matches) -> asyncio.Future[Arrival]:
        met: asyncio.Future[Arrival] = asyncio.get_running_loop().create_future()
        self._expected.append((matches, met))
        return met

    def deliver(self, arrival: Arrival) -> None:
        for expectation in list(self._expected):
            matches, met = expectation
            if matches(arrival.entry):
                self._expected.remove(expectation)
                if not met.done():
                    met.set_result(arrival)


class Person:
    """Somebody on a connection of their own; what arrives goes into the post."""

    def __init__(self, post: Post) -> None:
        self.post = post
        self._connection: Connection | None = None
        self._sent = 0

    async def come_in(self, url: str, namespace: str, auth: Mapping[str, Any]) -> None:
        self._connection = await Connection.open(url, namespace, {"locale": "en", **auth}, self._hear)

    async def leave(self) -> None:
        assert self._connection is not None, "who leaves has come in"
        await self._connection.close()

    async def do(self, command: str, **payload: Any) -> dict[str, Any]:
        """The ack of a command that must succeed."""
        assert self._connection is not None, "who acts has come in"
        self._sent += 1
        answer: dict[str, Any] = await self._connection.call(
            command, {"client_id": f"{id(self):x}-{self._sent}", **payload}
        )
        if not answer["ok"]:
            raise Refused(f"{command}: {answer['error']}")
        return answer

    def _hear(self, event: str, data: Any) -> None:
        if event == "entry":
            self.post.deliver(Arrival(data, self, perf_counter(), time()))


async def guest_at(url: str) -> Person:
    guest = Person(Post())
    await guest.come_in(url, "/guest", {})
    return guest


async def open_form(guest: Person) -> int:
    """Press *Book*; the revision that the service card is confirmed with."""
    card = guest.post.expect(is_card("service"))
    await guest.do("book", kind="now", source="menu")
    revision: int = (await soon(card)).entry["data"]["revision"]
    return revision


async def confirm(guest: Person, revision: int, position: tuple[float, float] = CENTRE) -> None:
    await guest.do(
        "confirm_service",
        revision=revision,
        duration=60,
        location={"address": "Jl. Sudirman 1", "latitude": position[0], "longitude": position[1]},
        name="Budi",
        phone="0812-3456-7890",
    )


async def soon(arrival: asyncio.Future[Arrival]) -> Arrival:
    return await asyncio.wait_for(arrival, PATIENCE_S)


def is_card(kind: str) -> Matches:
    return lambda entry: entry["type"] == "card" and entry["data"]["card"] == kind


def is_state(state: str) -> Matches:
    return lambda entry: entry["type"] == "state" and entry["data"]["state"] == state


def is_entry(kind: str) -> Matches:
    return lambda entry: entry["type"] == kind


def is_booking(status: str) -> Matches:
    return lambda entry: entry["type"] == "booking" and entry["data"]["booking"]["status"] == status
