"""Errors that quote everything at hand, as libraries raise them, leave nothing of it in a log, and nobody waiting."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, WSMsgType

from bot.access.tokens import Tokens
from bot.runtime.embedded import Servers
from tests.clients import PATIENCE_S, Guest, Therapist, guest, therapist
from tests.house import SECRET, settings_for
from tests.processes import Web, site
from tests.stories.test_logs import (
    SARI,
    THERAPISTS_PHONE,
    TOLD,
    assert_nothing_told,
    form_of,
    lines_of,
    next_ack,
    open_shop,
)

pytestmark = pytest.mark.slow

TICKET = "Zb3-kP0xQ_rV7sT1uW9yA2cE4gI6mO8n"
CODE = "918273"


async def test_handlers_that_fail_with_everything_in_their_hands_leave_nothing_of_it_in_the_log(
    servers: Servers, database: str, tmp_path: Path
) -> None:
    settings = settings_for(servers, database, log_level="debug", log_format="json", command_timeout_s=20.0)
    await open_shop(settings)
    async with site(settings, tmp_path) as place:
        web = await place.web(program="tests.clumsy")
        token = Tokens(SECRET, lambda: datetime.now(UTC)).sign("therapist", SARI.id)
        async with guest(web.url) as budi, therapist(web.url, token) as console:
            booking_id = await have_a_visit(budi, console)
            await fail_on_socket_io(budi, console, booking_id)
            await fail_on_everything_else(web, budi)
            secrets = {"a token": budi.token, "the therapist's token": token, "our own secret": SECRET}
        assert await web.stop() == 0
        logged = web.log.read_text()
    assert_nothing_told(logged, {**TOLD, **secrets, "a ticket": TICKET, "a code": CODE})
    lines = lines_of(logged)
    assert_the_failures_say_where(lines)
    (turn,) = [line for line in lines if line["message"] == "turn" and line["level"] == "error"]
    assert (turn["event"], turn["from"], turn["to"]) == ("Cancelled", "active", "active")
    assert (turn["result"], turn["error"], turn["effects"]) == ("failed", "ValueError", {})


def assert_the_failures_say_where(lines: list[dict[str, Any]]) -> None:
    failed = [line for line in lines if "exception" in line]
    assert {line["level"] for line in failed} == {"error"}
    assert {line["exception"][0]["error"] for line in failed} == {"ValueError"}
    assert all(line["exception"][0]["calls"][-1].endswith(" blurt") for line in failed)
    assert Counter(line.get("route") or line["message"] for line in failed) == {
        "message failed": 2,
        "cancel failed": 1,
        "/api/guest/{command}": 1,
        "/api/guest/session": 1,
        "/api/therapist/sign-in/confirm": 1,
        "/api/therapists": 1,
        "/api/poll/bookings": 2,
        "a command failed": 1,
        "a stream failed": 2,
    }


async def have_a_visit(budi: Guest, console: Therapist) -> str:
    """The booking's id."""
    await budi.book()
    await budi.do("confirm_service", **form_of(budi))
    await console.accept()
    await budi.accept()
    await budi.until_state("active")
    return str((await console.until_booking("active"))["id"])


async def fail_on_socket_io(budi: Guest, console: Therapist, booking_id: str) -> None:
    said, answered = TOLD["the guest's message"], TOLD["the therapist's message"]
    assert await budi.refusal("message", text=said) == "unavailable"
    assert await console.refusal("message", booking_id=booking_id, text=answered) == "unavailable"
    assert await budi.refusal("cancel", reason=TOLD["the reason"]) == "unavailable"


async def fail_on_everything_else(web: Web, budi: Guest) -> None:
    """Each other way to say a command, each stream, and whatever takes something from a stranger."""
    message = {"client_id": "c-1", "text": TOLD["the guest's message"]}
    place = {"latitude": TOLD["the latitude"], "longitude": TOLD["the longitude"]}
    bearer = {"Authorization": f"Bearer {budi.token}"}
    last = str(budi.entries[-1]["seq"])
    async with ClientSession(web.url) as http, asyncio.timeout(PATIENCE_S):
        for path, body in (
            ("/api/guest/message", message),
            ("/api/guest/session", {"token": budi.token}),
            ("/api/therapist/sign-in/confirm", {"phone": THERAPISTS_PHONE, "code": CODE}),
        ):
            async with http.post(path, json=body, headers=bearer) as response:
                assert response.status == 503
        for path, query in (
            ("/api/therapists", place),
            ("/api/poll/bookings", {"wait": "0"}),
            ("/api/poll/bookings", {"ticket": TICKET}),
        ):
            async with http.get(path, params=query, headers=bearer) as response:
                assert response.status == 503
        async with http.get("/api/sse/bookings", headers=bearer) as response:
            assert (await response.read()).startswith(b"retry: "), "it begins, and it ends"
        async with http.ws_connect("/ws/bookings", params={"since": last}, headers=bearer) as socket:
            await socket.send_json({"event": "message", "data": message})
            assert (await next_ack(socket))["error"]["code"] == "unavailable"
        async with http.ws_connect("/ws/bookings", params={"since": "0"}, headers=bearer) as socket:
            while (await socket.receive()).type is WSMsgType.TEXT:
                pass
