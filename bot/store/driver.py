"""The MongoDB driver: the only module that imports one, and the one that evens out where the two differ.

`motor` is the driver that was asked for; `pymongo` is MongoDB's own successor to it. Their collections share every
coroutine that Janji uses except `aggregate`, which is awaited in one and not in the other.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC
from importlib import import_module
from typing import Any, Literal, Protocol, cast

import pymongo
from bson import CodecOptions, decode_iter, encode
from bson.raw_bson import RawBSONDocument
from pymongo import ReadPreference, UpdateOne, WriteConcern
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    InvalidOperation,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
)
from pymongo.read_concern import ReadConcern

from bot.cancelling import cancel

DUPLICATE_KEY = 11000
# What a server says that is not up to it just now: it stops, is no primary, or did not come to an end in its time.
AWAY_CODES = frozenset(
    {
        6,
        7,
        50,
        64,
        89,
        91,
        100,
        134,
        189,
        262,
        9001,
        10107,
        11600,
        11601,
        11602,
        13435,
        13436,
    }  # named in its error_codes.yml
)
CLOSE_WITHIN_S = 0.5

type_codec: CodecOptions[dict[str, Any]] = CodecOptions(tz_aware=True, tzinfo=UTC)

Document = dict[str, Any]
Query = Mapping[str, Any]
Order = Sequence[tuple[str, int]]
DriverName = Literal["motor", "pymongo"]


class Written(Protocol):
    """What became of a write: only what is asked here, of what each kind of write answers."""

    @property
    def matched_count(self) -> int: ...
    @property
    def modified_count(self) -> int: ...
    @property
    def deleted_count(self) -> int: ...


class Cursor(Protocol):
    """The documents that a question finds, as they come."""

    def sort(self, key: str | Order, direction: int = 1, /) -> Cursor: ...
    def skip(self, count: int, /) -> Cursor: ...
    def limit(self, count: int, /) -> Cursor: ...
    def hint(self, index: str | Order, /) -> Cursor: ...
    def __aiter__(self) -> AsyncIterator[Document]: ...


class Collection(Protocol):
    """What the stores use of a collection: the coroutines that both drivers share."""

    @property
    def name(self) -> str: ...
    @property
    def database(self) -> Database: ...
    def find(self, query: Query | None = None, fields: Query | None = None, /, **options: Any) -> Cursor: ...
    def aggregate(self, pipeline: Sequence[Query], /, **options: Any) -> Cursor | Awaitable[Cursor]: ...
    async def find_one(
        self, query: Query | None = None, fields: Query | None = None, /, *, sort: Order | None = None, **options: Any
    ) -> Document | None: ...
    async def find_one_and_update(
        self,
        query: Query,
        changes: Query | Sequence[Query],
        /,
        projection: Query | None = None,
        *,
        sort: Order | None = None,
        upsert: bool = False,
        return_document: bool = False,
        **options: Any,
    ) -> Document | None: ...
    async def find_one_and_delete(self, query: Query, /, **options: Any) -> Document | None: ...
    async def insert_one(self, document: Document, /) -> object: ...
    async def insert_many(
        self, documents: Sequence[Document | RawBSONDocument], /, *, ordered: bool = True
    ) -> object: ...
    async def update_one(
        self, query: Query, changes: Query | Sequence[Query], /, *, upsert: bool = False, **options: Any
    ) -> Written: ...
    async def update_many(self, query: Query, changes: Query | Sequence[Query], /, **options: Any) -> Written: ...
    async def delete_one(self, query: Query, /) -> Written: ...
    async def delete_many(self, query: Query, /) -> Written: ...
    async def bulk_write(self, requests: Sequence[UpdateOne], /, *, ordered: bool = True) -> object: ...
    async def count_documents(self, query: Query, /, **options: Any) -> int: ...
    async def distinct(self, field: str, query: Query | None = None, /) -> list[Any]: ...
    async def create_index(self, keys: Sequence[tuple[str, int | str]], /, **options: Any) -> str: ...


class Database(Protocol):
    """Collections by their names."""

    @property
    def client(self) -> Client: ...
    @property
    def name(self) -> str: ...
    def __getitem__(self, collection: str, /) -> Collection: ...
    async def command(self, command: str | Query, /, **options: Any) -> Document: ...
    async def list_collection_names(self) -> list[str]: ...


class Client(Protocol):
    """The connections to a server; `close` is a coroutine in one driver, and holds up the loop in the other."""

    @property
    def admin(self) -> Database: ...
    def get_database(self, name: str, /, **options: Any) -> Database: ...
    def close(self) -> Awaitable[None] | None: ...


__all__ = [
    "AutoReconnect",
    "BulkWriteError",
    "Client",
    "Collection",
    "ConnectionFailure",
    "Database",
    "Document",
    "DriverName",
    "DuplicateInBatch",
    "DuplicateKeyError",
    "NetworkTimeout",
    "OperationFailure",
    "PyMongoError",
    "aggregate",
    "close",
    "connect",
    "decode_documents",
    "encode_document",
    "insert_in_order",
    "insert_new",
    "is_away",
    "load",
    "read_database",
    "update_or_insert",
    "within",
]


def load(driver: DriverName) -> None:
    """Import the named driver, for who forks: a process that is forked then has it."""
    import_module("motor.motor_asyncio" if driver == "motor" else "pymongo")


def connect(
    driver: DriverName, uri: str, *, timeout_s: float = 5.0, pool_size: int = 50, may_take_long: bool = False
) -> Client:
    """A client of the named driver; every operation gives up after `timeout_s` unless it says otherwise.

    Of one whose operations `may_take_long` only finding and reaching a server is bounded.
    """
    options: dict[str, Any] = {
        "appname": "janji",
        "maxPoolSize": pool_size,
        "serverSelectionTimeoutMS": int(timeout_s * 1000),
        "connectTimeoutMS": int(timeout_s * 1000),
        "retryWrites": True,
        "uuidRepresentation": "standard",
    }
    if not may_take_long:
        options["timeoutMS"] = int(timeout_s * 1000)
    if driver == "motor":
        from motor.motor_asyncio import AsyncIOMotorClient

        return cast(Client, AsyncIOMotorClient(uri, **options))
    from pymongo import AsyncMongoClient

    if sys.version_info < (3, 12):
        _wait_in_the_same_task()
    return cast(Client, AsyncMongoClient(uri, **options))


def _wait_in_the_same_task() -> None:
    """Until Python 3.12, `wait_for` waits for a condition in a task of its own (pymongo 4.20, lock.py).

    Who is cancelled twice then goes on while that task still wants the lock: they release one that they do not have, a
    cancellation becomes a RuntimeError, and the client may wait for itself for ever.
    """
    from pymongo.asynchronous import pool, topology

    async def wait(condition: Any, timeout_s: float | None) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                return bool(await condition.wait())
        except TimeoutError:
            return False

    modules: tuple[Any, ...] = (pool, topology)
    for module in modules:
        if hasattr(module, "_async_cond_wait"):
            module._async_cond_wait = wait


def read_database(client: Client, name: str) -> Database:
    """The database as everybody uses it: majority in both directions, from the primary, aware datetimes in UTC."""
    return client.get_database(
        name,
        codec_options=type_codec,
        write_concern=WriteConcern(w="majority", j=True),
        read_concern=ReadConcern("majority"),
        read_preference=ReadPreference.PRIMARY,
    )


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """What is asked in here ends in time, and so does the thread that asks. Raises TimeoutError or PyMongoError."""
    with pymongo.timeout(seconds):
        async with asyncio.timeout(seconds):
            yield


async def aggregate(collection: Collection, pipeline: Sequence[Document], **options: Any) -> list[Document]:
    """All documents of an aggregation, on either driver."""
    answer = collection.aggregate(list(pipeline), **options)
    cursor = await answer if isinstance(answer, Awaitable) else answer
    return [document async for document in cursor]


class DuplicateInBatch(Exception):
    """An ordered batch stopped at a duplicate key; `written` documents before it are durable."""

    def __init__(self, written: int) -> None:
        super().__init__(f"stopped after {written}")
        self.written = written


async def insert_in_order(collection: Collection, documents: Sequence[bytes]) -> None:
    """Insert all of them, encoded as they are, in this order; raises `DuplicateInBatch` at the first duplicate key.

    Any other fault, or a doubt whether a majority has what was written, is told by its codes alone: the driver's own
    error quotes the document, and ends up in a log.
    """
    try:
        await collection.insert_many([RawBSONDocument(document) for document in documents], ordered=True)
    except BulkWriteError as error:
        faults, doubts = error.details["writeErrors"], error.details["writeConcernErrors"]
        if faults and faults[0]["code"] == DUPLICATE_KEY and not doubts:
            raise DuplicateInBatch(faults[0]["index"]) from None
        codes = [fault["code"] for fault in (*faults, *doubts)]
        raise OperationFailure(f"a batch was not written, codes {codes}", codes[0] if codes else None) from None


async def insert_new(collection: Collection, documents: Sequence[Document]) -> None:
    """Insert those whose keys nobody has yet; others stay as they are. Faults are told by their codes alone."""
    with _unless_there():
        await collection.insert_many(documents, ordered=False)


async def update_or_insert(collection: Collection, updates: Sequence[tuple[Document, Document, bool]]) -> None:
    """Each is a filter, its changes, and whether to insert what the filter does not find, unless its key is there."""
    with _unless_there():
        await collection.bulk_write(
            [UpdateOne(found, changes, upsert=may_insert) for found, changes, may_insert in updates], ordered=False
        )


@contextmanager
def _unless_there() -> Iterator[None]:
    """Whatever is there already is no fault; the others are told by their codes alone."""
    try:
        yield
    except BulkWriteError as error:
        faults, doubts = error.details["writeErrors"], error.details["writeConcernErrors"]
        codes = {fault["code"] for fault in (*faults, *doubts)} - {DUPLICATE_KEY}
        if codes:
            raise OperationFailure(f"rows were not written, codes {sorted(codes)}", min(codes)) from None


def encode_document(document: Mapping[str, Any]) -> bytes:
    """BSON, which keeps moments as moments; several documents one behind the other are a stream of them."""
    return encode(document)


def decode_documents(stream: bytes) -> Iterator[Document]:
    """The documents of a stream that `encode_document` made."""
    return decode_iter(stream, type_codec)


def is_away(error: PyMongoError) -> bool:
    """Whether the server is to blame: not reached, without a primary, or too slow; else the question was wrong.

    A client that has been closed belongs to a process that stops, and whoever asks it is as little to blame.
    """
    is_its_word = isinstance(error, OperationFailure) and error.code in AWAY_CODES
    is_closed = isinstance(error, InvalidOperation) and "after close" in str(error)
    return isinstance(error, ConnectionFailure) or error.timeout or is_its_word or is_closed


async def close(client: Client) -> None:
    """Close the client, on either driver, and wait only a moment for a server that does not answer."""
    closes = client.close() if inspect.iscoroutinefunction(client.close) else _close_beside(client)
    closing = asyncio.ensure_future(closes)
    await asyncio.wait({closing}, timeout=CLOSE_WITHIN_S)
    await cancel(closing)


async def _close_beside(client: Client) -> None:
    """Motor's way waits for the server and holds up the loop: a thread does it that the process need not wait for."""
    loop, closed = asyncio.get_running_loop(), asyncio.Event()

    def close_and_tell() -> None:
        client.close()
        with suppress(RuntimeError):  # the loop did not wait so long
            loop.call_soon_threadsafe(closed.set)

    threading.Thread(target=close_and_tell, daemon=True).start()
    await closed.wait()
