"""The records that turns change: conversations, searches and bookings, each with a version, an outbox and its answers.

A save writes the new state and the effects in one document update, and only while the version is the one that was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic

from bot.store.codec import from_document, to_document
from bot.store.driver import Collection, Document, DuplicateKeyError
from bot.store.kinds import AnyEffect, R, RecordKind
from bot.store.together import Together

# Answers to the last commands are kept in the record itself, so that a repeated command is known in the same read.
ANSWERS_KEPT = 64


@dataclass(frozen=True, slots=True)
class OutboxItem:
    """An effect that was saved with the state that wants it, and not yet performed. `id` is its idempotency key."""

    id: str
    effect: AnyEffect
    at: datetime


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command was answered, kept under `key` (sender and client_id) with a digest of what it said."""

    key: str
    digest: str
    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stored(Generic[R]):
    """A record as it was read or saved, with what stands beside it in its document."""

    record: R
    outbox: tuple[OutboxItem, ...] = ()
    answers: tuple[Answer, ...] = field(default=(), repr=False)

    def answer_to(self, key: str) -> Answer | None:
        return next((answer for answer in self.answers if answer.key == key), None)


class Unreadable(Exception):
    """A document makes no sense to this version of the program: a newer one wrote it, or somebody by hand."""

    def __init__(self, kind: str, record_id: str) -> None:
        super().__init__(f"the {kind} {record_id} cannot be read")
        self.record_id = record_id


@dataclass(frozen=True, slots=True)
class Parked:
    """A record that is left alone until somebody has looked at it."""

    id: str
    at: datetime
    why: str


class Records(Generic[R]):
    """One collection of records of one kind. What cannot be read raises `Unreadable`."""

    def __init__(self, collection: Collection, kind: RecordKind[R, Any]) -> None:
        self._collection = collection
        self.kind = kind
        self._together = Together(self.load_several)

    def fresh(self, record_id: str) -> Stored[R]:
        """The record that nothing has happened to yet; it is stored by its first turn."""
        return Stored(self.kind.record(record_id))  # type: ignore[call-arg]

    async def load_several(self, record_ids: Sequence[str]) -> dict[str, Stored[R] | Unreadable]:
        """Those of them that there are, by their ids.

        One that cannot be read is its own reader's trouble, and not that of all who ask at the same moment.
        """
        cursor = self._collection.find({"_id": {"$in": list(record_ids)}})
        return {document["_id"]: self._read_or_tell(document) async for document in cursor}

    async def load(self, record_id: str) -> Stored[R] | None:
        document = await self._collection.find_one({"_id": {"$eq": record_id}})
        return self._read(document) if document else None

    async def load_with_others(self, record_id: str) -> Stored[R] | None:
        """As `load`, in one question for all who ask at this moment, as they do when a crowd comes back."""
        found = await self._together.one(record_id)
        return None if found is None else _readable(found)

    async def find(self, query: Document, *, limit: int, newest_first: bool = True) -> list[R]:
        order = [("created_at", -1 if newest_first else 1)]
        cursor = self._collection.find(query).sort(order).limit(limit)
        return [self._read(document).record async for document in cursor]

    async def save(
        self, before: R, after: R, effects: Sequence[AnyEffect], now: datetime, answer: Answer | None = None
    ) -> Stored[R] | None:
        """The record as it now stands, or None where somebody else has changed it since `before` was read."""
        version = before.version + 1
        items = [
            {"id": f"{before.id}:{version}:{place}", "at": now, "effect": to_document(effect, self.kind.effects)}
            for place, effect in enumerate(effects)
        ]
        changes = to_document(after) | {"version": version, "updated_at": now}
        changes.pop("id")
        answers: list[Document] = [to_document(answer)] if answer else []
        if before.version == 0:
            return await self._insert(before.id, changes | {"outbox": items, "answers": answers})
        pushed: Document = {"outbox": {"$each": items}, "answers": {"$each": answers, "$slice": -ANSWERS_KEPT}}
        document = await self._collection.find_one_and_update(
            {"_id": before.id, "version": before.version},
            {"$set": changes, "$push": pushed},
            return_document=True,
        )
        return self._read(document) if document else None

    async def _insert(self, record_id: str, fields: Document) -> Stored[R] | None:
        document = {"_id": record_id, **fields}
        try:
            await self._collection.insert_one(document)
        except DuplicateKeyError:
            if await self._collection.find_one({"_id": record_id}, {"_id": 1}) is None:
                raise  # not this record: another unique index says no, and that must be seen
            return None
        return self._read(document)

    async def amend_answer(self, record_id: str, key: str, answer: dict[str, Any]) -> None:
        """Replace a preliminary answer by the one that was really given, once the effects have told."""
        await self._collection.update_one(
            {"_id": record_id, "answers.key": key}, {"$set": {"answers.$.answer": answer}}
        )

    async def forget_answers(self, record_id: str) -> None:
        """Whatever was answered to commands so far: whoever sends one of them again gets no answer from memory."""
        await self._collection.update_one({"_id": record_id}, {"$set": {"answers": []}})

    async def of_conversation(self, conversation_id: str) -> list[str]:
        """The ids of all records that belong to a conversation."""
        cursor = self._collection.find({"conversation_id": {"$eq": conversation_id}}, {"_id": 1})
        return [document["_id"] async for document in cursor]

    async def performed(self, record_id: str, effect_ids: Sequence[str]) -> None:
        """These effects have been done: they leave the outbox."""
        await self._collection.update_one({"_id": record_id}, {"$pull": {"outbox": {"id": {"$in": list(effect_ids)}}}})

    async def overdue(self, now: datetime, limit: int = 200, *, but: Sequence[str] = ()) -> list[str]:
        """The ids of records whose moment has passed, the longest overdue first, `but` these."""
        return await self._oldest("expires_at", now, limit, but)

    async def unperformed(self, saved_before: datetime, limit: int = 100, *, but: Sequence[str] = ()) -> list[str]:
        """The ids of records with effects that somebody saved and, for whatever reason, did not perform."""
        return await self._oldest("outbox.at", saved_before, limit, but)

    async def longest_overdue(self, now: datetime) -> datetime | None:
        """The moment of the record that is overdue for the longest time, None where none is."""
        found = await self._first("expires_at", now)
        return found["expires_at"] if found else None

    async def longest_unperformed(self, now: datetime) -> datetime | None:
        """When the effect was saved that has waited for the longest time, None where none waits."""
        found = await self._first("outbox.at", now)
        return min(item["at"] for item in found["outbox"]) if found else None

    async def _first(self, field: str, until: datetime) -> Document | None:
        query, only = {field: {"$lte": until}}, {"_id": 0, field: 1}
        query |= _NOT_PARKED
        found: Document | None = await self._collection.find_one(query, only, sort=[(field, 1)])
        return found

    async def _oldest(self, field: str, until: datetime, limit: int, but: Sequence[str]) -> list[str]:
        """Those to leave out are left out of the question: enough of them would fill the answer and hide all others."""
        query: Document = {field: {"$lte": until}, **_NOT_PARKED}
        if but:
            query["_id"] = {"$nin": list(but)}
        cursor = self._collection.find(query, {"_id": 1}).sort(field, 1).limit(limit)
        return [document["_id"] async for document in cursor]

    # --- what cannot be read --------------------------------------------------------------------------------------

    async def park(self, record_id: str, why: str, now: datetime) -> bool:
        """Nobody rings it or performs its effects any more, until somebody has looked; whether it was not so before."""
        parked = {"$set": {"parked": {"at": now, "why": why}}}
        done = await self._collection.update_one({"_id": record_id, **_NOT_PARKED}, parked)
        return bool(done.modified_count)

    async def unpark(self, record_id: str) -> bool:
        done = await self._collection.update_one(
            {"_id": {"$eq": record_id}, "parked": {"$exists": True}}, {"$unset": {"parked": ""}}
        )
        return bool(done.modified_count)

    async def parked(self, limit: int = 100) -> list[Parked]:
        """Those that are left alone, the longest first."""
        cursor = (
            self._collection.find({"parked.at": {"$exists": True}}, {"parked": 1}).sort("parked.at", 1).limit(limit)
        )
        return [Parked(each["_id"], each["parked"]["at"], each["parked"]["why"]) async for each in cursor]

    async def raw(self, record_id: str) -> Document | None:
        """The document as it stands, for who looks at it."""
        return await self._collection.find_one({"_id": {"$eq": record_id}})

    def _read(self, document: Document) -> Stored[R]:
        try:
            return self._decoded(document)
        except Exception as error:  # whatever a document of another version may lead to
            raise Unreadable(self.kind.name, document["_id"]) from error

    def _read_or_tell(self, document: Document) -> Stored[R] | Unreadable:
        try:
            return self._read(document)
        except Unreadable as unreadable:
            return unreadable

    def _decoded(self, document: Document) -> Stored[R]:
        fields = dict(document)
        fields["id"] = fields.pop("_id")
        fields.pop("parked", None)
        outbox = tuple(
            OutboxItem(item["id"], from_document(item["effect"], self.kind.effects), item["at"])
            for item in fields.pop("outbox", ())
        )
        answers: tuple[Answer, ...] = tuple(from_document(answer, Answer) for answer in fields.pop("answers", ()))
        return Stored(from_document(fields, self.kind.record), outbox, answers)


_NOT_PARKED: Document = {"parked": {"$exists": False}}


def _readable(found: Stored[R] | Unreadable) -> Stored[R]:
    if isinstance(found, Unreadable):
        raise found
    return found
