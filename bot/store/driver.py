"""The MongoDB driver: the only module that imports one, and the one that evens out where the two differ.

`motor` is the driver that was asked for; `pymongo` is MongoDB's own successor to it. Their collections share every
coroutine that Janji uses except `aggregate`, which is awaited in one and not in the other.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any, Literal

from bson import CodecOptions, decode_iter, encode
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern

DUPLICATE_KEY = 11000

type_codec: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True, tzinfo=UTC)

Document = dict[str, Any]
Database = Any
Collection = Any
DriverName = Literal["motor", "pymongo"]

__all__ = [
    "AutoReconnect",
    "BulkWriteError",
    "Collection",
    "ConnectionFailure",
    "Database",
    "Document",
    "DriverName",
    "DuplicateInBatch",
    "DuplicateKeyError",
    "NetworkTimeout",
    "PyMongoError",
    "aggregate",
    "close",
    "connect",
    "decode_documents",
    "encode_document",
    "insert_in_order",
    "read_database",
]


def connect(driver: DriverName, uri: str, *, timeout_s: float = 5.0, pool_size: int = 50) -> Any:
    """A client of the named driver; every operation gives up after `timeout_s` unless it says otherwise."""
    options: dict[str, Any] = {
        "appname": "janji",
        "maxPoolSize": pool_size,
        "serverSelectionTimeoutMS": int(timeout_s * 1000),
        "connectTimeoutMS": int(timeout_s * 1000),
        "timeoutMS": int(timeout_s * 1000),
        "retryWrites": True,
        "uuidRepresentation": "standard",
    }
    if driver == "motor":
        from motor.motor_asyncio import AsyncIOMotorClient

        return AsyncIOMotorClient(uri, **options)
    from pymongo import AsyncMongoClient

    return AsyncMongoClient(uri, **options)


def read_database(client: Any, name: str) -> Database:
    """The database as everybody uses it: majority in both directions, from the primary, aware datetimes in UTC."""
    return client.get_database(
        name,
        codec_options=type_codec,
        write_concern=WriteConcern(w="majority", j=True),
        read_concern=ReadConcern("majority"),
        read_preference=ReadPreference.PRIMARY,
    )


async def aggregate(collection: Collection, pipeline: Sequence[Document], **options: Any) -> list[Document]:
    """All documents of an aggregation, on either driver."""
    cursor = collection.aggregate(list(pipeline), **options)
    if inspect.isawaitable(cursor):
        cursor = await cursor
    return [document async for document in cursor]


class DuplicateInBatch(Exception):
    """An ordered batch stopped at a duplicate key; `written` documents before it are durable."""

    def __init__(self, written: int) -> None:
        super().__init__(f"stopped after {written}")
        self.written = written


async def insert_in_order(collection: Collection, documents: Sequence[Document]) -> None:
    """Insert all of them in this order; raises `DuplicateInBatch` at the first duplicate key.

    Any other fault, or a doubt whether a majority has what was written, is told by its codes alone: the driver's own
    error quotes the document, and ends up in a log.
    """
    try:
        await collection.insert_many(documents, ordered=True)
    except BulkWriteError as error:
        faults, doubts = error.details["writeErrors"], error.details["writeConcernErrors"]
        if faults and faults[0]["code"] == DUPLICATE_KEY and not doubts:
            raise DuplicateInBatch(faults[0]["index"]) from None
        codes = [fault["code"] for fault in (*faults, *doubts)]
        raise OperationFailure(f"a batch was not written, codes {codes}", codes[0] if codes else None) from None


def encode_document(document: Mapping[str, Any]) -> bytes:
    """BSON, which keeps moments as moments; several documents one behind the other are a stream of them."""
    return encode(document)


def decode_documents(stream: bytes) -> Iterator[Document]:
    """The documents of a stream that `encode_document` made."""
    return decode_iter(stream, type_codec)


async def close(client: Any) -> None:
    """Close the client, on either driver; Motor's way waits for the server, and everything else with it."""
    if inspect.iscoroutinefunction(client.close):
        await client.close()
    else:
        await asyncio.to_thread(client.close)
