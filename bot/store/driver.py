"""The MongoDB driver: the only module that imports one, and the one that evens out where the two differ.

`motor` is the driver that was asked for; `pymongo` is MongoDB's own successor to it. Their collections share every
coroutine that Janji uses except `aggregate`, which is awaited in one and not in the other.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from datetime import UTC
from typing import Any, Literal

from bson import CodecOptions
from pymongo import ReadPreference, WriteConcern
from pymongo.errors import AutoReconnect, ConnectionFailure, DuplicateKeyError, NetworkTimeout, PyMongoError
from pymongo.read_concern import ReadConcern

type_codec: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True, tzinfo=UTC)

Document = dict[str, Any]
Database = Any
Collection = Any
DriverName = Literal["motor", "pymongo"]

__all__ = [
    "AutoReconnect",
    "Collection",
    "ConnectionFailure",
    "Database",
    "Document",
    "DriverName",
    "DuplicateKeyError",
    "NetworkTimeout",
    "PyMongoError",
    "aggregate",
    "close",
    "connect",
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


async def close(client: Any) -> None:
    """Close the client, on either driver."""
    done = client.close()
    if inspect.isawaitable(done):
        await done
