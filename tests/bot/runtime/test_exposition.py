"""What a collector reads: in the format it knows, with the right token, and what really happened."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession

from bot.runtime.embedded import Servers
from bot.runtime.exposition import Family, exposition
from bot.store.kinds import CONVERSATION
from tests.agreement import eventually
from tests.clients import PATIENCE_S, guest, therapist
from tests.house import METRICS_TOKEN, House, house_of, settings_for

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
SAMPLE = re.compile(rf'({NAME})\{{((?:{NAME}="(?:[^"\\\n]|\\.)*",?)+)\}} (\S+)')
LABEL = re.compile(rf'({NAME})="((?:[^"\\]|\\.)*)"')
COLLECTOR = {"Authorization": f"Bearer {METRICS_TOKEN}"}

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
async def http(house: House) -> AsyncIterator[ClientSession]:
    async with ClientSession(house.url) as session:
        yield session


def read(text: str) -> Samples:
    """The samples, by name and labels without `process`; each family is announced before it, and none stands twice."""
    samples: Samples = {}
    family = ""
    for line in text.splitlines():
        if line.startswith("# "):
            _, what, family, rest = line.split(" ", 3)
            assert what in ("HELP", "TYPE"), line
            assert rest
            continue
        found = SAMPLE.fullmatch(line)
        assert found, line
        assert found[1] == family
        labels = dict(LABEL.findall(found[2]))
        assert labels.pop("process")
        key = (found[1], frozenset(labels.items()))
        assert key not in samples, line
        samples[key] = float(found[3])
    return samples


async def scrape(http: ClientSession) -> Samples:
    async with http.get("/metrics", headers=COLLECTOR) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        text = await response.text()
        assert text.endswith("\n")
        return read(text)


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"janji_{name}", frozenset(labels.items())]


def test_labels_and_numbers_are_written_as_the_format_has_them() -> None:
    families = [
        Family("up", "gauge", "Whether.", samples={(): True}),
        Family("said_total", "counter", "What.", ("who",), {('a "b"\\\n',): 3, ("c",): 0.25}),
    ]
    assert exposition(families, {"process": "p:1"}) == (
        "# HELP up Whether.\n# TYPE up gauge\n"
        'up{process="p:1"} 1.0\n'
        "# HELP said_total What.\n# TYPE said_total counter\n"
        'said_total{process="p:1",who="a \\"b\\"\\\\\\n"} 3.0\n'
        'said_total{process="p:1",who="c"} 0.25\n'
    )


async def test_what_happened_on_every_transport_is_counted(house: House, http: ClientSession) -> None:
    sari = await house.add_therapist()
    async with guest(house.url) as budi, therapist(house.url, house.token_of(sari)) as console:
        await budi.search()
        await console.accept()
        await budi.accept()
        await budi.until_state("active")
        await budi.do("message", text="Halo")
        assert await budi.refusal("accept_therapist", revision=1, offer_id="o_none") == "stale"
        assert await budi.refusal("nonsense") == "invalid"
        bearer = {"Authorization": f"Bearer {budi.token}"}
        message = {"client_id": "over-http", "text": "Halo lagi"}
        async with http.post("/api/guest/message", json=message, headers=bearer) as response:
            assert response.status == 200
        async with http.post("/api/guest/nonsense", json={}, headers=bearer) as response:
            assert response.status == 422
        async with (
            http.get("/api/sse/bookings", headers=bearer) as events,
            http.ws_connect("/ws/bookings", headers=bearer) as frames,
        ):
            assert events.status == 200
            assert (await frames.receive_json(timeout=PATIENCE_S))["start"] is True
            samples = await scrape(http)
            assert value(samples, "connections", transport="socketio") == 2
            assert value(samples, "connections", transport="sse") == 1
            assert value(samples, "connections", transport="websocket") == 1
            assert value(samples, "connections", transport="poll") == 0
    assert value(samples, "commands_total", command="message", code="ok") == 2
    assert value(samples, "commands_total", command="book", code="ok") == 1
    assert value(samples, "commands_total", command="accept_therapist", code="stale") == 1
    assert value(samples, "commands_total", command="unknown", code="invalid") == 2
    assert value(samples, "turns_total", record="conversation") >= 4
    assert value(samples, "turns_total", record="booking") >= 1
    assert value(samples, "feed_entries_total") >= value(samples, "feed_batches_total") > 4
    assert value(samples, "feed_entries_waiting") == 0
    assert value(samples, "limits_refused_total", kind="messages") == 0
    assert value(samples, "part_well", part="mongodb") == 1
    assert value(samples, "notifications", state="waiting") > 0  # here is no worker
    assert value(samples, "notifications", state="dead") == 0
    assert samples["process_resident_memory_bytes", frozenset()] > 10_000_000

    async def all_are_gone() -> None:
        later = await scrape(http)
        assert [value(later, "connections", transport=each) for each in ("socketio", "websocket")] == [0, 0]

    await eventually(all_are_gone)


async def test_a_channel_that_rests_is_told_and_one_that_is_not_set_is_not(servers: Servers, database: str) -> None:
    mail = {"smtp_url": "smtps://localhost", "mail_from": "no-reply@janji.example"}
    async with house_of(settings_for(servers, database, **mail)) as house, ClientSession(house.url) as http:
        samples = await scrape(http)
        channels = {dict(labels)["channel"] for name, labels in samples if name == "janji_channel_resting"}
        assert channels == {"email", "web_push"}
        assert value(samples, "channel_resting", channel="email") == 0
        await house.services.breakers.failed("email", "535", house.services.clock.now(), is_misconfigured=True)
        assert value(await scrape(http), "channel_resting", channel="email") == 1


async def test_a_turn_that_began_again_and_a_refusal_of_the_limits_are_counted(servers: Servers, database: str) -> None:
    settings = settings_for(servers, database, limit_messages_per_token="1/h:1")
    async with house_of(settings) as house, ClientSession(house.url) as http, guest(house.url) as budi:
        turns = house.services.turns
        save, overtaken = turns.records_of(CONVERSATION).save, iter([None])

        async def overtaken_once(*arguments: Any) -> Any:
            return next(overtaken, ...) and await save(*arguments)

        turns.records_of(CONVERSATION).save = overtaken_once  # type: ignore[method-assign]
        await budi.book()
        samples = await scrape(http)
        assert value(samples, "turn_conflicts_total", record="conversation") == 1
        assert value(samples, "turn_conflicts_total", record="search") == 0
        for _ in range(3):
            await budi.send("message", text="Halo")
        samples = await scrape(http)
        assert value(samples, "limits_refused_total", kind="messages") == 2
        assert value(samples, "commands_total", command="message", code="too_many_requests") == 2


async def test_without_the_token_nobody_reads_them_and_where_none_is_set_there_are_none(
    house: House, http: ClientSession, servers: Servers, database: str
) -> None:
    wrong: tuple[dict[str, str], ...] = (
        {},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {METRICS_TOKEN}x"},
        {"Authorization": METRICS_TOKEN},
        {"Authorization": "Bearer \xff"},
        {"Authorization": f"Bearer {house.tokens.sign('guest', 'c_1')}"},
    )
    for headers in wrong:
        async with http.get("/metrics", headers=headers) as response:
            answer: dict[str, Any] = await response.json()
            assert (response.status, answer["error"]["code"]) == (401, "unauthorized")
    async with (
        house_of(settings_for(servers, database, metrics_token=None)) as silent,
        http.get(f"{silent.url}/metrics", headers=COLLECTOR) as response,
    ):
        assert response.status == 404
