"""Thousands of people who resemble one: the documents that one story left, copied under new ids."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.store.driver import Database, Document, decode_documents, encode_document

ID = re.compile(rb"\b[a-z]_[0-9a-f]{24,32}\b")
AT_ONCE = 500

Names = Mapping[bytes, bytes]
Change = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy's new names, and what becomes of the values that are no documents or lists."""

    names: Names
    change: Change | None = None

    def name_of(self, old: str) -> str:
        return self.names[old.encode()].decode()


@dataclass(frozen=True, slots=True)
class Model:
    """The encoded documents of one story, by collection, and all ids in them."""

    documents: Mapping[str, Sequence[bytes]]
    ids: frozenset[bytes]

    def new_names(self) -> dict[bytes, bytes]:
        """A new id for each, as long as the old one, so that they can be exchanged in an encoded document."""
        return {old: old[:2] + secrets.token_hex(len(old) // 2 - 1).encode() for old in self.ids}

    async def insert(self, database: Database, copies: Sequence[Copy]) -> None:
        for collection, documents in self.documents.items():
            for start in range(0, len(copies), AT_ONCE):
                several = copies[start : start + AT_ONCE]
                await database[collection].insert_many(
                    [_copied(document, copy) for copy in several for document in documents], ordered=False
                )


async def read_model(database: Database, queries: Mapping[str, Document]) -> Model:
    """What the queries find, by collection."""
    documents = {
        collection: [encode_document(document) async for document in database[collection].find(query)]
        for collection, query in queries.items()
    }
    return Model(documents, frozenset(_ids(documents.values())))


def _ids(documents: Iterable[Sequence[bytes]]) -> Iterable[bytes]:
    return (found for several in documents for document in several for found in ID.findall(document))


def _copied(document: bytes, copy: Copy) -> Document:
    for old, new in copy.names.items():
        document = document.replace(old, new)
    decoded = next(decode_documents(document))
    changed: Document = _changed(decoded, copy.change) if copy.change else decoded
    return changed


def _changed(value: Any, change: Change) -> Any:
    if isinstance(value, dict):
        return {key: _changed(each, change) for key, each in value.items()}
    return [_changed(each, change) for each in value] if isinstance(value, list) else change(value)
