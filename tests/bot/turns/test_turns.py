"""Turns, outboxes, the sweep and alarms on a real database: what is saved is done, in order, and told once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, MutableMapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo
import pytest
from structlog.testing import capture_logs

from bot.errors import Outage, Refusal
from bot.runtime.embedded import Servers
from bot.services import connected
from bot.store.driver import Database
from bot.store.kinds import RecordKind, RecordName
from bot.store.records import ANSWERS_KEPT, OutboxItem, Records
from bot.turns.alarms import Alarms
from bot.turns.outboxes import Outboxes, Performed
from bot.turns.sweep import LEFT_BEHIND, Sweep
from bot.turns.turns import MOST_TRIES, Command, Sender, Take, Turns
from conversations import effects as do
from conversations import events as on
from tests.agreement import eventually
from tests.house import settings_for

# A sweep takes so many records of a kind at once.
MORE_THAN_A_SWEEP_TAKES = 101
WRITER = Sender("guest", "d1")
NOON = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
DIARY = "d1"


@dataclass(frozen=True, slots=True)
class Diary:
    """A record as simple as one can be: every word that is written wants itself said."""

    id: str
    version: int = 0
    state: str = "open"
    expires_at: datetime | None = None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Write:
    """The words are said one by one; the diary rings at `rings_at`."""

    words: tuple[str, ...]
    rings_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    record: Diary
    effects: tuple[do.Say, ...] = ()
    refusal: str | None = None


def decide(diary: Diary, event: Any, now: datetime) -> Decision:
    match event:
        case Write() if "unspeakable" in event.words:
            return Decision(diary, refusal="not_now")
        case Write():
            written = replace(diary, words=diary.words + event.words, expires_at=event.rings_at)
            return Decision(written, tuple(do.Say(word) for word in event.words))
        case on.DeadlinePassed() if diary.expires_at is not None and diary.expires_at <= now:
            if "broken" in diary.words:
                raise RuntimeError("this diary cannot be rung")
            return Decision(replace(diary, state="closed", expires_at=None), (do.Say("closed"),))
    return Decision(diary)


@dataclass(slots=True)
class Speaker:
    """Performs the effects one by one; what is in `fails` fails, in `waits` waits, in `later` is put off."""

    said: list[str] = field(default_factory=list)
    fails: dict[str, Exception] = field(default_factory=dict)
    waits: dict[str, asyncio.Event] = field(default_factory=dict)
    later: set[str] = field(default_factory=set)
    asked: int = 0

    async def __call__(self, name: RecordName, record_id: str, items: Sequence[OutboxItem], take: Take) -> Performed:
        self.asked += 1
        item = items[0]
        word = item.effect.key
        if word in self.waits:
            await self.waits[word].wait()
        if word in self.fails:
            raise self.fails[word]
        if word in self.later:
            return Performed(postponed=(item.id,))
        self.said.append(word)
        return Performed(done=(item.id,))


DIARIES: RecordKind[Diary, Any] = RecordKind(
    "conversation", "diaries", Diary, do.Effect, decide, ring=on.DeadlinePassed()
)


def pseudonym(audience: str, subject: str) -> str:
    return f"{audience}:{subject}!"


class Process:
    """Everything that a process has for its turns; `now` is set by the test."""

    def __init__(self, database: Database) -> None:
        self.records: Records[Diary] = Records(database["diaries"], DIARIES)
        self.speaker = Speaker()
        self.now = NOON
        self.rung: list[str] = []
        kept: dict[RecordName, Records[Any]] = {DIARIES.name: self.records}
        self.outboxes = Outboxes(kept, self.speaker)
        self.alarms = Alarms(lambda: self.now, lambda key: self.rung.append(key[1]))
        self.turns = Turns(kept, lambda: self.now, self.alarms, self.outboxes, pseudonym)
        self.sweep = Sweep(kept, self.turns, self.outboxes, lambda: self.now)

    async def write(self, *words: str, diary: str = DIARY, **more: Any) -> Any:
        outcome = await self.turns.take(DIARIES, diary, Write(words, **more), by=WRITER)
        return outcome.record

    async def settled(self, diary: str = DIARY) -> list[str]:
        """What has been said, once nothing is under way any more."""
        await self.outboxes.settled("conversation", diary, timeout_s=20.0)
        return self.speaker.said

    async def sweeps(self, diary: str = DIARY) -> list[str]:
        await self.sweep.once()
        return await self.settled(diary)

    async def outbox(self, diary: str = DIARY) -> list[str]:
        """The words that stand in the document and are still to be said."""
        stored = await self.records.load(diary)
        return [item.effect.key for item in stored.outbox] if stored else []


@pytest.fixture
async def diaries(servers: Servers, database: str) -> AsyncIterator[Database]:
    async with connected(settings_for(servers, database)) as connection:
        yield connection


@pytest.fixture
async def process(diaries: Database) -> AsyncIterator[Process]:
    async for one in _running(diaries):
        yield one


@pytest.fixture
async def other(diaries: Database) -> AsyncIterator[Process]:
    """A second process on the same database."""
    async for one in _running(diaries):
        yield one


async def _running(database: Database) -> AsyncIterator[Process]:
    one = Process(database)
    yield one
    one.alarms.stop()
    await one.outboxes.close(timeout_s=0.0)


# --- turns ------------------------------------------------------------------------------------------------------------


async def test_a_turn_is_saved_and_its_effects_are_performed_and_leave_the_document(process: Process) -> None:
    diary = await process.write("one", "two")
    assert (diary.version, diary.words) == (1, ("one", "two"))
    assert await process.settled() == ["one", "two"]
    assert await process.outbox() == []


async def test_turns_of_two_processes_at_once_are_all_taken_one_after_the_other(
    process: Process, other: Process
) -> None:
    words = [str(number) for number in range(10)]
    await asyncio.gather(*(each.write(word) for word in words for each in (process, other)))
    stored = await process.records.load(DIARY)
    assert stored is not None
    assert stored.record.version == 20
    assert Counter(stored.record.words) == Counter(words * 2)
    await process.settled()
    await other.settled()
    assert await process.outbox() == []
    assert set(process.speaker.said + other.speaker.said) == set(words)


async def test_a_turn_that_always_loses_is_told_to_come_again(
    process: Process, servers: Servers, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await process.write("one")
    await process.settled()
    tries = 0
    with pymongo.MongoClient[Any](servers.mongodb_uri) as somebody_else:

        def lose(diary: Diary, event: Any, now: datetime) -> Decision:
            nonlocal tries
            tries += 1
            somebody_else[database]["diaries"].update_one({"_id": DIARY}, {"$inc": {"version": 1}})
            return decide(diary, event, now)

        hammered = replace(DIARIES, decide=lose)
        turns = Turns({hammered.name: process.records}, lambda: NOON, process.alarms, process.outboxes, pseudonym)
        with pytest.raises(Outage), capture_logs() as lines:
            await turns.take(hammered, DIARY, Write(("two",)), by=WRITER)
    assert tries == MOST_TRIES
    assert [(line["log_level"], line["result"], line["retries"]) for line in lines] == [
        ("warning", "failed", tries - 1)
    ]
    assert await process.settled() == ["one"]


async def test_an_event_that_changes_nothing_or_is_refused_is_not_saved(process: Process) -> None:
    await process.write("one")
    ring = await process.turns.take(DIARIES, DIARY, on.DeadlinePassed(), by=WRITER)
    refused = await process.turns.take(DIARIES, DIARY, Write(("unspeakable",)), by=WRITER)
    assert (ring.refusal, ring.record.version) == (None, 1)
    assert (refused.refusal, refused.record.version) == ("not_now", 1)
    assert await process.settled() == ["one"]


# --- the log ----------------------------------------------------------------------------------------------------------


def without_duration(line: MutableMapping[str, Any]) -> dict[str, Any]:
    assert line["took_ms"] >= 0
    return {name: value for name, value in line.items() if name != "took_ms"}


LINE = {
    "event": "turn",
    "log_level": "info",
    "who": "guest:d1!",
    "_event": "Write",
    "room": "conversation",
    "record": DIARY,
    "conversation": DIARY,
    "from": "open",
    "to": "open",
    "result": "taken",
    "effects": {},
}


async def test_a_turn_is_one_line_however_it_ends(process: Process) -> None:
    with capture_logs() as lines:
        await process.write("one", "two", rings_at=NOON)
        await process.turns.take(DIARIES, DIARY, Write(("unspeakable",)), by=WRITER)
        await process.turns.take(DIARIES, DIARY, Write(("three",)), said_by_guest("c1", "three"), by=WRITER)
        await process.turns.take(DIARIES, DIARY, Write(("three",)), said_by_guest("c1", "three"), by=WRITER)
        with pytest.raises(Refusal):
            await process.turns.take(DIARIES, DIARY, Write(("four",)), said_by_guest("c1", "four"), by=WRITER)
        process.now -= timedelta(seconds=1)
        await process.turns.take(DIARIES, DIARY, Write((), rings_at=NOON), by="search")
        await process.sweep.ring("conversation", DIARY)
        process.now = NOON
        await process.sweep.ring("conversation", DIARY)
    ring = {**LINE, "who": "clock", "_event": "DeadlinePassed"}
    assert [without_duration(line) for line in lines] == [
        {**LINE, "effects": {"Say": 2}},
        {**LINE, "result": "refused", "code": "not_now"},
        {**LINE, "effects": {"Say": 1}},
        {**LINE, "result": "repeated"},
        {**LINE, "result": "refused", "code": "invalid"},
        {**LINE, "who": "search"},
        {**ring, "result": "unchanged"},
        {**ring, "to": "closed", "effects": {"Say": 1}},
    ]


async def test_a_turn_that_was_slower_than_others_says_how_often_it_began_again(
    process: Process, other: Process, servers: Servers, database: str
) -> None:
    with capture_logs() as lines:
        await asyncio.gather(*(each.write(str(word)) for word in range(10) for each in (process, other)))
    taken = Counter(line["result"] for line in lines)
    assert taken == {"taken": 20}
    retries = [line["retries"] for line in lines if "retries" in line]
    assert retries, "two processes of which neither is ever late would prove nothing"
    assert min(retries) >= 1


async def test_a_turn_that_fails_is_an_error_without_what_was_said(process: Process) -> None:
    await process.write("broken", rings_at=NOON)
    with capture_logs() as lines:
        await process.sweep.ring("conversation", DIARY)
    turn, ring = lines
    failed = {"_event": "DeadlinePassed", "who": "clock", "result": "failed", "error": "RuntimeError"}
    assert without_duration(turn) == {**LINE, **failed, "log_level": "error"}
    assert (ring["event"], ring["log_level"]) == ("a ring failed", "error")


async def test_a_turn_that_is_given_up_while_it_waits_for_its_place_has_its_line(process: Process) -> None:
    async with process.turns._locks.holding(("conversation", DIARY)):
        with capture_logs() as lines, pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await process.write("one")
    (line,) = lines
    given_up = {"from": None, "to": None, "result": "failed", "error": "CancelledError", "log_level": "warning"}
    assert without_duration(line) == {**LINE, **given_up}


# --- answers ----------------------------------------------------------------------------------------------------------


def said_by_guest(key: str, content: str) -> Command:
    return Command(f"guest:{key}", content, lambda diary: {"ok": True, "words": list(diary.words)})


async def test_a_repeated_command_gets_its_first_answer_and_does_nothing(process: Process, other: Process) -> None:
    command = said_by_guest("c1", "one")
    first = await process.turns.take(DIARIES, DIARY, Write(("one",)), command, by=WRITER)
    await process.settled()
    await process.write("two")
    again = [await each.turns.take(DIARIES, DIARY, Write(("one",)), command, by=WRITER) for each in (process, other)]
    assert first.repeated is None
    assert [each.repeated for each in again] == [{"ok": True, "words": ["one"]}] * 2
    assert await process.settled() == ["one", "two"]
    assert (await other.records.load(DIARY)).record.version == 2  # type: ignore[union-attr]


async def test_the_id_of_a_command_that_said_something_else_is_invalid(process: Process) -> None:
    await process.turns.take(DIARIES, DIARY, Write(("one",)), said_by_guest("c1", "one"), by=WRITER)
    with pytest.raises(Refusal) as refused:
        await process.turns.take(DIARIES, DIARY, Write(("two",)), said_by_guest("c1", "two"), by=WRITER)
    assert refused.value.code == "invalid"
    assert "client_id" in refused.value.fields
    assert await process.settled() == ["one"]


async def test_a_refused_command_may_be_tried_again_under_its_id(process: Process) -> None:
    refused = await process.turns.take(DIARIES, DIARY, Write(("unspeakable",)), said_by_guest("c1", "one"), by=WRITER)
    taken = await process.turns.take(DIARIES, DIARY, Write(("one",)), said_by_guest("c1", "one"), by=WRITER)
    assert (refused.refusal, taken.refusal, taken.repeated) == ("not_now", None, None)


async def test_the_last_answers_are_kept_and_the_oldest_go(process: Process) -> None:
    for number in range(ANSWERS_KEPT + 1):
        word = str(number)
        await process.turns.take(DIARIES, DIARY, Write((word,)), said_by_guest(word, word), by=WRITER)
    stored = await process.records.load(DIARY)
    assert stored is not None
    assert [answer.key for answer in stored.answers] == [f"guest:{number}" for number in range(1, ANSWERS_KEPT + 1)]


# --- outboxes ---------------------------------------------------------------------------------------------------------


async def test_what_a_stopped_process_has_saved_is_performed_once_by_the_sweep_of_another(
    process: Process, other: Process
) -> None:
    process.speaker.waits["one"] = asyncio.Event()  # which never comes
    await process.write("one", "two")
    assert await other.sweeps() == [], "what is young is most likely under way"
    other.now += LEFT_BEHIND
    assert await other.sweeps() == ["one", "two"]
    assert await other.outbox() == []
    assert await other.sweeps() == ["one", "two"]
    assert process.speaker.said == []


async def test_effects_of_later_turns_wait_for_those_of_earlier_ones(process: Process) -> None:
    process.speaker.waits["one"] = asyncio.Event()
    await process.write("one")
    await process.write("two")
    await process.write("three")
    assert process.speaker.said == []
    process.speaker.waits["one"].set()
    assert await process.settled() == ["one", "two", "three"]
    assert await process.outbox() == []


async def test_effects_of_different_records_do_not_wait_for_each_other(process: Process) -> None:
    process.speaker.waits["one"] = asyncio.Event()
    await process.write("one")
    await process.write("two", diary="d2")
    assert await process.settled("d2") == ["two"]


async def test_a_failing_effect_keeps_its_place_and_is_tried_again(process: Process) -> None:
    process.speaker.fails["two"] = Outage("no database")
    await process.write("one", "two", "three")
    assert await process.settled() == ["one"]
    assert await process.outbox() == ["two", "three"], "what was done is not done again"
    process.speaker.fails["two"] = RuntimeError("a mistake of ours")
    await process.write("four")
    assert await process.settled() == ["one"], "nothing overtakes"
    assert process.outboxes.failures == 1
    del process.speaker.fails["two"]
    process.now += LEFT_BEHIND
    assert await process.sweeps() == ["one"], "a record that failed is left alone for a while"

    async def is_said() -> None:
        assert await process.sweeps() == ["one", "two", "three", "four"]

    await eventually(is_said)
    assert await process.outbox() == []


async def test_an_effect_that_is_put_off_blocks_no_other_and_is_performed_later(process: Process) -> None:
    process.speaker.later.add("one")
    await process.write("one", "two")
    assert await process.settled() == ["two"]
    assert await process.outbox() == ["one"]
    await process.write("three")
    assert await process.settled() == ["two", "three"]
    process.speaker.later.clear()
    process.now += LEFT_BEHIND

    async def is_said() -> None:
        assert await process.sweeps() == ["two", "three", "one"]

    await eventually(is_said)
    assert await process.outbox() == []


async def test_what_is_put_off_again_and_again_is_asked_for_less_and_less(process: Process) -> None:
    process.speaker.later.add("one")
    await process.write("one")
    await process.settled()
    process.now += LEFT_BEHIND
    asked = process.speaker.asked
    for _ in range(20):
        await process.sweeps()
    assert process.speaker.asked == asked, "it rests at first"
    process.speaker.later.clear()

    async def is_said() -> None:
        assert await process.sweeps() == ["one"]

    await eventually(is_said)
    assert await process.outbox() == []


async def test_effects_that_can_never_be_performed_hold_up_no_other_record(process: Process, other: Process) -> None:
    process.speaker.waits["impossible"] = process.speaker.waits["fine"] = asyncio.Event()  # which never comes
    for number in range(MORE_THAN_A_SWEEP_TAKES):
        await process.write("impossible", diary=f"a{number}")
    await process.write("fine", diary="b")
    other.speaker.fails["impossible"] = RuntimeError("a mistake of ours")
    other.now += LEFT_BEHIND
    await other.sweeps("b")
    assert await other.sweeps("b") == ["fine"]
    assert other.outboxes.failures >= 100


async def test_a_record_that_cannot_be_read_holds_up_no_other(
    process: Process, other: Process, diaries: Database
) -> None:
    process.speaker.waits["one"] = asyncio.Event()  # which never comes
    await process.write("one", diary="a")
    await process.write("one", diary="b", rings_at=NOON)
    of_another_version = {"$set": {"outbox.0.effect": {"kind": "Whistle"}, "expires_at": NOON}}
    await diaries["diaries"].update_one({"_id": "a"}, of_another_version)
    other.now += LEFT_BEHIND
    # At least once, in their order: a ring and the look behind it may both find what the other is about to perform.
    assert list(dict.fromkeys(await other.sweeps("b"))) == ["one", "closed"]
    assert (other.outboxes.failures, other.sweep.failures) == (1, 1)


async def test_closing_lets_what_is_under_way_finish_and_leaves_the_rest_to_others(
    process: Process, other: Process
) -> None:
    process.speaker.waits["stuck"] = asyncio.Event()
    await process.write("one")
    await process.write("two", "stuck", diary="d2")
    await process.outboxes.close(timeout_s=0.5)
    assert sorted(process.speaker.said) == ["one", "two"]
    other.now += LEFT_BEHIND
    assert (await other.sweeps("d2"))[-1] == "stuck"
    assert await other.outbox("d2") == []


# --- the sweep and alarms ---------------------------------------------------------------------------------------------


async def test_a_ring_comes_true_when_it_is_due_and_never_before_or_twice(process: Process, other: Process) -> None:
    await process.write("one", rings_at=NOON + timedelta(seconds=1))
    await process.sweep.ring("conversation", DIARY)
    assert await process.sweeps() == ["one"]
    process.now = other.now = NOON + timedelta(seconds=1)
    await asyncio.gather(process.sweep.once(), other.sweep.once())
    await process.settled()
    await other.settled()
    assert sorted(process.speaker.said + other.speaker.said) == ["closed", "one"]
    stored = await process.records.load(DIARY)
    assert stored is not None
    assert (stored.record.state, stored.record.version) == ("closed", 2)


async def test_a_record_that_cannot_be_rung_does_not_keep_others_from_being_rung(process: Process) -> None:
    await process.write("broken", rings_at=NOON)
    await process.write("fine", diary="d2", rings_at=NOON + timedelta(seconds=1))
    process.now += timedelta(seconds=1)
    assert "closed" in await process.sweeps("d2")


async def test_a_turn_sets_the_alarm_of_its_record_and_the_next_one_moves_it(process: Process) -> None:
    await process.write("one", rings_at=NOON + timedelta(hours=1))
    await process.write("two", rings_at=NOON + timedelta(hours=2))
    await process.write("three", diary="d2", rings_at=NOON + timedelta(hours=1))
    await process.write("four", diary="d2")
    assert len(process.alarms) == 1


async def test_an_alarm_rings_at_its_moment_and_only_if_it_still_stands() -> None:
    rings: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    alarms = Alarms(lambda: datetime.now(UTC), rings.put_nowait)
    now = datetime.now(UTC)
    alarms.set(("search", "taken away"), now + timedelta(milliseconds=20))
    alarms.set(("search", "moved"), now + timedelta(milliseconds=20))
    alarms.set(("search", "second"), now + timedelta(milliseconds=60))
    alarms.set(("search", "first"), now + timedelta(milliseconds=40))
    alarms.set(("search", "taken away"), None)
    alarms.set(("search", "moved"), now + timedelta(milliseconds=80))
    alarms.set(("search", "overdue"), now - timedelta(hours=1))
    async with asyncio.timeout(20):
        rung = [(await rings.get())[1] for _ in range(4)]
    assert rung == ["overdue", "first", "second", "moved"]
    assert datetime.now(UTC) >= now + timedelta(milliseconds=80)
    assert len(alarms) == 0
    assert rings.empty()
