"""A cursor that makes no sense is answered on every transport: with a new beginning, or by naming what is wrong."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.clients import PATIENCE_S, Guest, Therapist, guest, therapist
from tests.house import House
from tests.stories.test_transports import Stream, bearer

pytestmark = pytest.mark.slow

# What a client says of where it stood: `since`, and the `epoch` that its numbering belongs to.
Cursor = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Story:
    """A guest whose feed has begun, and the therapist who is asked; each has a head, an epoch and a token."""

    http: ClientSession
    budi: Guest
    console: Therapist
    token: str

    @property
    def head(self) -> int:
        return int(self.budi.entries[-1]["seq"])

    @property
    def epoch(self) -> str:
        return str(self.budi.session["epoch"])

    @property
    def own_feed(self) -> str:
        """The therapist's."""
        return f"therapist:{self.console.session['therapist']['id']}"


@dataclass(frozen=True, slots=True)
class Told:
    """How a reader was received: which field was refused, or whether it begins anew and with which entries."""

    refused: str | None = None
    resync: bool = False
    seqs: tuple[int, ...] = ()


def told(status: int, answer: dict[str, Any]) -> Told:
    """From an answer of HTTP."""
    if status == 422:
        assert answer["error"]["code"] == "invalid"
        return Told(refused=",".join(answer["error"]["fields"]))
    assert status == 200, answer
    return Told(resync=answer["resync"], seqs=seqs(answer["entries"]))


def seqs(entries: list[dict[str, Any]]) -> tuple[int, ...]:
    return tuple(entry["seq"] for entry in entries)


def in_query(cursor: Cursor) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in cursor.items()}


# --- the transports ---------------------------------------------------------------------------------------------------


async def by_socket_io(story: Story, cursor: Cursor) -> Told:
    return await _knock(Guest(story.budi.url), {"token": story.budi.token, **cursor})


async def by_console(story: Story, cursor: Cursor) -> Told:
    """The therapist's cursor is one for each feed."""
    since = {"since": {story.own_feed: cursor["since"]}} if "since" in cursor else {}
    return await _knock(Therapist(story.console.url), {"token": story.token, **cursor, **since})


async def _knock(client: Guest | Therapist, auth: dict[str, Any]) -> Told:
    try:
        await client.connect({"locale": "en", **auth})
    except Exception:
        assert client.refused is not None, "neither let in nor refused"
        assert client.refused["data"]["code"] == "invalid"
        return Told(refused=",".join(client.refused["data"]["fields"]))
    session = client.session
    await client.close()
    return Told(resync=session["resync"], seqs=seqs(session["entries"]))


async def by_session(story: Story, cursor: Cursor) -> Told:
    body = {"token": story.budi.token, **cursor}
    async with story.http.post("/api/guest/session", json=body) as response:
        return told(response.status, await response.json())


async def by_poll(story: Story, cursor: Cursor) -> Told:
    query = {**in_query(cursor), "wait": "0"}
    async with story.http.get("/api/poll/bookings", params=query, headers=bearer(story.budi.token)) as response:
        return told(response.status, await response.json())


async def by_events(story: Story, cursor: Cursor) -> Told:
    return await _by_events(story, in_query(cursor), {})


async def by_last_event_id(story: Story, cursor: Cursor) -> Told:
    """As a browser comes back by itself: the address is the first one, and the header counts."""
    query = in_query(cursor)
    header = {"Last-Event-ID": query.pop("since")} if "since" in query else {}
    return await _by_events(story, {**query, "since": "0"}, header)


async def _by_events(story: Story, query: dict[str, str], headers: dict[str, str]) -> Told:
    headers = {**bearer(story.budi.token), **headers}
    async with story.http.get("/api/sse/bookings", params=query, headers=headers) as response:
        if response.status != 200:
            return told(response.status, await response.json())
        stream = Stream(response)
        name, _, start = await stream.event()
        entries = await stream.entries(story.head - start["since"])
        return Told(resync=name == "resync", seqs=seqs(entries))


async def by_websocket(story: Story, cursor: Cursor) -> Told:
    headers, query = bearer(story.budi.token), in_query(cursor)
    async with story.http.get("/ws/bookings", params=query, headers=headers) as response:
        if response.status == 422:  # before the upgrade, as any other route answers
            return told(response.status, await response.json())
    async with story.http.ws_connect("/ws/bookings", params=query, headers=headers) as socket:
        start = await socket.receive_json(timeout=PATIENCE_S)
        entries = [await socket.receive_json(timeout=PATIENCE_S) for _ in range(story.head - start["since"])]
        return Told(resync=start["resync"], seqs=seqs(entries))


Transport = Callable[[Story, Cursor], Awaitable[Told]]
TRANSPORTS: tuple[Transport, ...] = (
    by_socket_io,
    by_console,
    by_session,
    by_poll,
    by_events,
    by_last_event_id,
    by_websocket,
)


@pytest.fixture
async def story(house: House) -> AsyncIterator[Story]:
    """Three entries on the guest's feed, and as many on the therapist's: two offers, of which one was closed."""
    sari = await house.add_therapist()
    token = house.token_of(sari)
    async with (
        ClientSession(house.url) as http,
        guest(house.url) as budi,
        guest(house.url) as ani,
        therapist(house.url, token) as console,
    ):
        await budi.book()
        await ani.search()
        await console.decline()
        await console.until(lambda: len(console.entries) == 2, "an offer and its end")
        yield Story(http, budi, console, token)


# --- what is answered -------------------------------------------------------------------------------------------------


async def test_a_cursor_ahead_of_the_feed_or_of_another_epoch_begins_anew_on_every_transport(story: Story) -> None:
    for transport in TRANSPORTS:
        everything = (1, 2) if transport is by_console else (1, 2, 3)
        assert await transport(story, {"since": 1, "epoch": story.epoch}) == Told(seqs=everything[1:]), transport
        for cursor in (
            {"since": 999},
            {"since": 2**53},
            {"since": 1, "epoch": "of another installation"},
            {"since": 0, "epoch": ""},
        ):
            assert await transport(story, cursor) == Told(resync=True, seqs=everything), (transport, cursor)


async def test_a_cursor_that_is_no_number_of_an_entry_is_refused_by_name_on_every_transport(story: Story) -> None:
    names = {by_console: f"since.{story.own_feed}", by_last_event_id: "Last-Event-ID"}
    for transport in TRANSPORTS:
        for since in (-1, 2**53 + 1, 2**70, 1.5, 1e300, "x", "1;drop", {"$gt": 0}, [1], True):
            answer = await transport(story, {"since": since})
            assert answer.refused == names.get(transport, "since"), (transport, since)
