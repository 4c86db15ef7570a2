"""Messages that wait: who is away is told of them elsewhere, once until they read; who is there is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from bot.runtime.embedded import Servers
from bot.store.notifications import Row
from bot.store.read_marks import ReadMarks
from tests.agreement import eventually
from tests.clients import Guest, Therapist, guest, therapist
from tests.house import House, house_of, settings_for

pytestmark = pytest.mark.slow


@pytest.fixture
async def house(servers: Servers, database: str) -> AsyncIterator[House]:
    """Nobody is patient here: a message waits at once, and who has gone is away at once."""
    async with house_of(settings_for(servers, database, unread_after_s=0.1, presence_grace_s=0.1)) as running:
        yield running


async def book(budi: Guest, console: Therapist) -> str:
    await budi.search()
    await console.accept()
    await budi.accept()
    return str((await console.until_booking("active"))["id"])


async def waiting(house: House, booking_id: str) -> list[Row]:
    rows = await house.services.notifications.of_booking(booking_id)
    return [row for row in rows if row.kind == "message_waiting"]


async def until_waited(house: House, budi: Guest, seq: int) -> None:
    """Until this message is so old that its reader would be told of it elsewhere."""
    marks, now = ReadMarks(house.services.database["entries"]), house.services.clock.now

    async def is_old() -> None:
        until = now() - timedelta(seconds=house.services.settings.unread_after_s)
        newest = await marks.last_messages([budi.session["feed"]], until - timedelta(hours=1), until)
        assert seq in newest.values()

    await eventually(is_old)


async def test_a_therapist_whose_console_is_closed_is_told_once_until_they_read(house: House) -> None:
    sari = await house.add_therapist()
    token = house.token_of(sari)
    async with guest(house.url) as budi:
        async with therapist(house.url, token) as console:
            booking_id = await book(budi, console)
        await budi.do("message", text="hello?")

        async def is_told() -> None:
            await house.services.unread.once()
            told = [(row.side, row.person_id, row.channel) for row in await waiting(house, booking_id)]
            assert told == [("therapist", f"therapist:{sari.id}", "push")]

        await eventually(is_told)
        ack = await budi.do("message", text="are you there?")
        await until_waited(house, budi, ack["seq"])
        await house.services.unread.once()
        assert len(await waiting(house, booking_id)) == 1
        async with therapist(house.url, token) as console:
            await console.signal("read", booking_id=booking_id, seq=ack["seq"])
        ack = await budi.do("message", text="and now?")

        async def told_again() -> None:
            await house.services.unread.once()
            assert ack["seq"] in [row.seq for row in await waiting(house, booking_id)]

        await eventually(told_again)


async def test_who_is_there_is_told_of_nothing(house: House) -> None:
    sari = await house.add_therapist()
    async with guest(house.url) as budi, therapist(house.url, house.token_of(sari)) as console:
        booking_id = await book(budi, console)
        await console.do("message", booking_id=booking_id, text="on my way")
        ack = await budi.do("message", text="thanks")
        await until_waited(house, budi, ack["seq"])
        await house.services.unread.once()
        assert await waiting(house, booking_id) == []
