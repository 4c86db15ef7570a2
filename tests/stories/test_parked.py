"""A record that this version cannot read costs nobody else anything, is seen, and goes on when somebody has looked."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from bot.__main__ import main
from bot.store.records import Unreadable
from bot.turns.sweep import PARKED_AFTER
from tests.clients import guest
from tests.house import SECRET, House
from tests.stories.test_status import until_parts

pytestmark = pytest.mark.slow


async def test_a_record_of_a_newer_version_is_parked_after_a_few_tries_shown_and_let_go_on(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    services = house.services
    records, sweep = services.conversations, services.sweep
    async with guest(house.url) as budi, guest(house.url) as ani, ClientSession(house.url) as http:
        for each in (budi, ani):
            await each.book()
        odd, fine = (each.session["conversation_id"] for each in (budi, ani))
        due = services.clock.now() - timedelta(seconds=10)
        newer = {"state": "a state of a newer version", "expires_at": due}
        await services.database["conversations"].update_one({"_id": odd}, {"$set": newer})
        with pytest.raises(Unreadable):
            await records.load_with_others(odd)
        asked = (records.load_with_others(each) for each in (odd, fine))
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert [isinstance(each, Unreadable) for each in answers] == [True, False], "who asks beside it is answered"

        with capture_logs() as logs:
            for _ in range(PARKED_AFTER + 3):
                sweep._backoff.succeeded(("conversation", odd))
                await sweep.ring("conversation", odd)
        parked = [log["log_level"] for log in logs if log["event"] == "a record is parked, since it cannot be read"]
        assert parked == ["error"]
        assert odd not in await records.overdue(services.clock.now())
        await until_parts(http, outbox="delayed")

        settings = services.settings
        where = {"MONGODB_URI": settings.mongodb_uri, "REDIS_URL": settings.redis_url, "JANJI_SECRET": SECRET}
        for name, value in {**where, "JANJI_DATABASE": settings.database}.items():
            monkeypatch.setenv(name, value or "")

        def program(*arguments: str) -> int:
            return main(["records", *arguments])

        assert await asyncio.to_thread(program, "list") == 0
        assert f"conversation {odd} parked" in capsys.readouterr().out
        assert await asyncio.to_thread(program, "show", "conversation", odd) == 0
        assert "a state of a newer version" in capsys.readouterr().out
        await services.database["conversations"].update_one({"_id": odd}, {"$set": {"state": "confirming"}})
        assert await asyncio.to_thread(program, "unpark", "conversation", odd) == 0
        assert await asyncio.to_thread(program, "unpark", "conversation", odd) == 1
        await sweep.ring("conversation", odd)
        await budi.until_state("expired")
        await until_parts(http, outbox="ok")
