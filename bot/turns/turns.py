"""The one motion that changes a record: load, decide, save if nobody else has, perform the effects.

Guest, therapist, clock, provider and operator all come in by `take`.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol

from bot.clock import Now
from bot.errors import Outage, Refusal
from bot.identity import Audience
from bot.store.kinds import E, R, RecordKind, RecordName
from bot.store.records import Answer, OutboxItem, Records
from bot.turns.alarms import Alarms
from bot.turns.lines import TurnLine

# A turn that has lost to others this often in a row is told to come again: something hammers this record.
MOST_TRIES = 30


@dataclass(frozen=True, slots=True)
class Command:
    """Who sent what: the same `key` gets its first answer again, and `digest` tells whether it says the same."""

    key: str
    digest: str
    answer: Callable[[Any], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Outcome(Generic[R]):
    """What a turn came to. `repeated` is the first answer to a command that had been taken before."""

    record: R
    refusal: str | None = None
    repeated: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends a command: a guest by the id of their conversation, a therapist by their own."""

    audience: Audience
    subject: str


@dataclass(frozen=True, slots=True)
class Integrator:
    """Another system: by the id of its API key, or by its name where it sends us webhooks."""

    id: str


# Who causes a turn: a person, another system, the clock, or the record of this kind whose effect it is.
Actor = Sender | Integrator | RecordName | Literal["clock"]


class Take(Protocol):
    """The one road that changes records, as it is handed to whoever performs effects; see `Turns.take`."""

    async def __call__(
        self, kind: RecordKind[R, E], record_id: str, event: E, command: Command | None = None, *, by: Actor
    ) -> Outcome[R]: ...


class Outboxes(Protocol):
    """Who performs what a turn has saved, and takes the turns to which that leads."""

    def put(self, name: RecordName, record_id: str, items: tuple[OutboxItem, ...], take: Take) -> None: ...


class Turns:
    """Takes turns on records of every kind; `pseudonym` is what the log calls a person."""

    def __init__(
        self,
        records: Mapping[RecordName, Records[Any]],
        now: Now,
        alarms: Alarms,
        outboxes: Outboxes,
        pseudonym: Callable[[Audience, str], str],
    ) -> None:
        self._records = records
        self._now = now
        self._alarms = alarms
        self._outboxes = outboxes
        self._pseudonym = pseudonym
        self._locks = _Locks()
        self.taken: Counter[RecordName] = Counter()
        self.conflicts: Counter[RecordName] = Counter()
        """How often a turn had to begin again, since somebody else had changed the record meanwhile."""

    async def take(
        self, kind: RecordKind[R, E], record_id: str, event: E, command: Command | None = None, *, by: Actor
    ) -> Outcome[R]:
        """Decide about the event and save; effects are performed afterwards, in order, and at least once.

        Raises `Refusal("invalid")` for a command id that said something else before, `Outage` when others were
        faster every time. However it ends, the log has one line of it.
        """
        line = TurnLine(self._name_of(by), type(event).__name__, kind.name, record_id)
        with line.written():
            async with self._locks.holding((kind.name, record_id)):
                return await self._take_alone(kind, record_id, event, command, line)

    async def _take_alone(
        self, kind: RecordKind[R, E], record_id: str, event: E, command: Command | None, line: TurnLine
    ) -> Outcome[R]:
        records: Records[R] = self._records[kind.name]
        self.taken[kind.name] += 1
        for _ in range(MOST_TRIES):
            stored = await records.load(record_id) or records.fresh(record_id)
            line.reads(stored.record)
            if command and (known := stored.answer_to(command.key)):
                line.result = "repeated"
                return Outcome(stored.record, repeated=_same_answer(known, command))
            now = self._now()
            decision = kind.decide(stored.record, event, now)
            if decision.refusal:
                line.result, line.code = "refused", decision.refusal
                return Outcome(stored.record, refusal=decision.refusal)
            if decision.record == stored.record and not decision.effects:
                return Outcome(stored.record)
            answer = Answer(command.key, command.digest, command.answer(decision.record)) if command else None
            saved = await records.save(stored.record, decision.record, decision.effects, now, answer)
            if saved is None:
                self.conflicts[kind.name] += 1
                continue
            line.result, line.after, line.effects = "taken", saved.record, decision.effects
            self._alarms.set((kind.name, record_id), saved.record.expires_at)
            self._outboxes.put(kind.name, record_id, saved.outbox, self.take)
            return Outcome(saved.record)
        raise Outage(f"{kind.name} {record_id} is changed by too many at once")

    def records_of(self, kind: RecordKind[R, Any]) -> Records[R]:
        return self._records[kind.name]

    def _name_of(self, actor: Actor) -> str:
        match actor:
            case Sender(audience, subject):
                return self._pseudonym(audience, subject)
            case Integrator(integrator_id):
                return f"integrator:{integrator_id}"
        return actor


def _same_answer(known: Answer, command: Command) -> dict[str, Any]:
    if known.digest != command.digest:
        raise Refusal("invalid", "Please check what you entered.", fields={"client_id": "was used for something else"})
    return known.answer


class _Locks:
    """One lock per record that is being changed in this process: neighbours wait here instead of losing a race."""

    def __init__(self) -> None:
        self._locks: dict[Any, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._users: dict[Any, int] = defaultdict(int)

    @asynccontextmanager
    async def holding(self, key: Any) -> AsyncIterator[None]:
        self._users[key] += 1
        try:
            async with self._locks[key]:
                yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._locks[key]
