"""Read receipts go forward, and each is written once, whatever two processes believe at the same moment."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from bot.errors import Refusal
from bot.identity import Audience, conversation_feed
from bot.live.receipts import Receipts, Standing, Tail, standing_in
from bot.store.entries import Entry
from bot.store.read_marks import ReadMarks
from tests.house import House

FEED = conversation_feed("c_1")


class Outdated(ReadMarks):
    """As a process sees it that looked before anything was read."""

    async def last(self, feed: str, by: Audience) -> int:
        return 0


async def say(house: House, *senders: Audience) -> None:
    for number, sender in enumerate(senders):
        data = {"from": sender, "text": "hello", "client_id": str(number)}
        await house.services.feeds.append(FEED, f"e_{number}", "message", data)


async def receipts_of(house: House) -> list[tuple[str, int]]:
    entries = await house.services.feeds.since(FEED, 0)
    return [(entry.data["by"], entry.data["seq"]) for entry in entries if entry.type == "read"]


async def test_who_knows_nothing_of_the_last_receipt_goes_on_from_it_all_the_same(house: House) -> None:
    await say(house, *["therapist"] * 6)
    slow = Receipts(house.services.feeds, Outdated(house.services.database["entries"]))
    await house.services.receipts.read("c_1", "guest", 3)
    for seq in (2, 5, 4, 3):
        await slow.read("c_1", "guest", seq)
    await asyncio.gather(*(slow.read("c_1", "guest", seq) for seq in (6, 5, 6, 1)))
    assert await receipts_of(house) == [("guest", 3), ("guest", 5), ("guest", 6)]


async def test_a_receipt_that_passes_no_message_of_the_other_side_is_not_written(house: House) -> None:
    await say(house, "therapist", "guest", "guest")
    receipts = house.services.receipts
    await receipts.read("c_1", "guest", 1)
    for seq in (2, 3, 4):
        await receipts.read("c_1", "guest", seq)
    assert await receipts_of(house) == [("guest", 1)]
    await receipts.read("c_1", "therapist", 3)
    assert await receipts_of(house) == [("guest", 1), ("therapist", 3)]


async def test_what_is_unread_is_counted_from_where_somebody_may_read(house: House) -> None:
    await say(house, "guest", "guest", "therapist", "guest")
    receipts = house.services.receipts
    assert (await receipts.standing("c_1", "therapist")).unread == 3
    assert (await receipts.standing("c_1", "therapist", first=2)).unread == 2
    await receipts.read("c_1", "therapist", 2)
    standing = await receipts.standing("c_1", "therapist", first=2)
    assert (standing.unread, standing.read) == (1, {"guest": 0, "therapist": 2})


def line(seq: int, kind: str, by: Audience, read: int = 0) -> Entry:
    data = {"by": by, "seq": read} if kind == "read" else {"from": by, "text": "hello"}
    return Entry(f"e_{seq}", FEED, seq, datetime(2026, 12, 1, tzinfo=UTC), kind, data)


# The guest's word, the therapist's two, each side's receipt, and one more word of each.
LINES = (
    line(1, "message", "guest"),
    line(2, "message", "therapist"),
    line(3, "read", "guest", 2),
    line(4, "message", "therapist"),
    line(5, "read", "therapist", 1),
    line(6, "message", "guest"),
    line(7, "message", "therapist"),
)


@pytest.mark.parametrize(
    ("after", "side", "first", "told"),
    [
        (0, "guest", 1, Standing({"guest": 2, "therapist": 1}, 2)),
        (0, "therapist", 1, Standing({"guest": 2, "therapist": 1}, 1)),
        (0, "therapist", 7, Standing({"guest": 2, "therapist": 1}, 0)),
        (2, "guest", 1, Standing({"guest": 2, "therapist": 1}, 2)),
        # Where a receipt, or what it leaves unread, stands before the tail, that is not known.
        (2, "therapist", 1, None),
        (3, "guest", 1, None),
        (5, "therapist", 1, None),
        (7, "guest", 1, None),
    ],
)
def test_the_last_lines_tell_who_has_read_what_unless_it_stands_further_up(
    after: int, side: Audience, first: int, told: Standing | None
) -> None:
    assert standing_in(Tail(after, LINES[after:]), side, first) == told


async def test_what_the_last_lines_tell_is_what_the_database_says(house: House) -> None:
    await say(house, "guest", "therapist", "therapist", "guest", "therapist")
    receipts = house.services.receipts
    await receipts.read("c_1", "guest", 3)
    await receipts.read("c_1", "therapist", 1)
    entries = await house.services.feeds.since(FEED, 0)
    for side in ("guest", "therapist"):
        for after in range(len(entries)):
            told = standing_in(Tail(after, entries[after:]), side, 1)
            assert told in (None, await receipts.standing("c_1", side))


async def test_nobody_has_read_what_is_not_there(house: House) -> None:
    await say(house, "therapist")
    with pytest.raises(Refusal, match="check") as refused:
        await house.services.receipts.read("c_1", "guest", 2)
    assert list(refused.value.fields) == ["seq"]
    assert await receipts_of(house) == []


async def test_the_last_receipt_is_found_by_its_index(house: House) -> None:
    """However long a conversation is, one key is read."""
    query = {"feed": {"$eq": FEED}, "type": "read", "data.by": "guest"}
    found = house.services.database["entries"].find(query, {"data.seq": 1}).sort("data.seq", -1).limit(1)
    plan = str((await found.explain())["queryPlanner"]["winningPlan"])
    assert "data.by_1_data.seq_1" in plan
    assert "SORT'" not in plan
