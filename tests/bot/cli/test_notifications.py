"""An operator looks through what could not be told, and decides about each."""

from __future__ import annotations

import asyncio
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.__main__ import main
from bot.runtime.embedded import Servers
from bot.services import connected
from bot.store.notifications import Notifications, Reason
from conversations.notices import BOOKING_CONFIRMED, Notice
from tests.house import SECRET, settings_for

NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def told(number: int) -> Notice:
    due_at = NOW + timedelta(minutes=number)
    return Notice(BOOKING_CONFIRMED, "customer", f"guest:c_{number}", "email", due_at, due_at + DAY, "normal", None)


@pytest.fixture(autouse=True)
async def rows(servers: Servers, database: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of four: one that waits, two that are dead, and one that was sent."""
    for name, value in (
        ("MONGODB_URI", servers.mongodb_uri or ""),
        ("REDIS_URL", servers.redis_url or ""),
        ("JANJI_DATABASE", database),
        ("JANJI_SECRET", SECRET),
    ):
        monkeypatch.setenv(name, value)
    async with connected(settings_for(servers, database)) as stores:
        ledger = Notifications(stores["notifications"])
        ids = await ledger.write("booking", "b_1", 1, [told(number) for number in range(4)], NOW)
        for row_id, status in zip(ids[1:], ("dead", "dead", "sent"), strict=True):
            row = await ledger.get(row_id)
            assert row is not None
            await ledger.settle(row, status, NOW, Reason(NOW, "permanent", "550"))  # type: ignore[arg-type]
    return ids


async def standing(servers: Servers, database: str) -> list[Any]:
    async with connected(settings_for(servers, database)) as stores:
        return [each async for each in stores["notifications"].find({}).sort("_id", 1)]


async def command(*arguments: str) -> tuple[int, str, str]:
    """The exit code, what it wrote and what it said besides."""
    with redirect_stdout(io.StringIO()) as written, redirect_stderr(io.StringIO()) as said:
        code = await asyncio.to_thread(main, ["notifications", *arguments])
    return code, written.getvalue(), said.getvalue()


async def test_what_waits_and_what_is_dead_is_listed_line_by_line(rows: list[str]) -> None:
    code, written, said = await command("list", "--status", "dead")
    assert code == 0
    assert [line.split()[:2] for line in written.splitlines()] == [[rows[1], "dead"], [rows[2], "dead"]]
    assert "booking_confirmed to the customer by email, due 2026-12-01T03:01:00.000Z, 0 attempts  permanent" in written
    assert said == "2 of 2\n"
    assert (await command("list"))[1].startswith(f"{rows[0]}  pending")
    second = await command("list", "--status", "dead", "--limit", "1", "--offset", "1")
    assert second[1:] == (written.splitlines(keepends=True)[1], "1 of 2\n")


async def test_one_can_be_looked_at_tried_again_and_given_up(rows: list[str]) -> None:
    assert json.loads((await command("show", rows[1]))[1])["reasons"][0]["code"] == "550"
    retried = json.loads((await command("retry", rows[1]))[1])
    assert (retried["status"], retried["next_at"] is None) == ("pending", False)
    assert json.loads((await command("discard", rows[2]))[1])["status"] == "skipped"
    assert (await command("list", "--status", "dead"))[1] == ""


@pytest.mark.parametrize(("word", "which"), [("show", None), ("retry", 0), ("retry", None), ("discard", 3)])
async def test_what_cannot_be_done_is_said_and_changes_nothing(
    servers: Servers, database: str, rows: list[str], word: str, which: int | None
) -> None:
    before = await standing(servers, database)
    code, written, said = await command(word, "n_nobody" if which is None else rows[which])
    assert (code, written) == (2, "")
    assert said
    assert await standing(servers, database) == before


async def test_a_number_out_of_range_is_refused() -> None:
    with pytest.raises(SystemExit):
        await command("list", "--limit", "0")
