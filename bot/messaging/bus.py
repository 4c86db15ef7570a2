"""Hints between processes over Redis: what one has just written, the others hear in a millisecond, or not at all.

Nothing relies on it. It never blocks whoever publishes, holds two connections, and notices one that is only half alive:
every read has an end, and a ping that is not answered closes the connection.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import cache
from types import TracebackType
from typing import Any

import structlog

from bot.cancelling import cancel
from bot.clock import Now, machine_now
from bot.logs.failures import why
from bot.messaging.driver import DRIVER, PubSub, Redis, RedisError
from bot.settings.rhythms import PEOPLE, BusRhythm
from bot.store.driver import decode_documents, encode_document

log = structlog.get_logger()

CHANNEL = "janji:bus"
SENDER_BYTES = 16
# A busy process takes some tens of milliseconds for each turn of its loop, and sends one batch in each.
LARGEST_BATCH = 512 * 1024
MOST_WAITING = 10_000

Handler = Callable[[Mapping[str, Any]], None]
_Failures = (RedisError, OSError, TimeoutError)


class Bus:
    """`publish(kind, document)` reaches the `on(kind, …)` handlers of all other processes, most of the time.

    Only processes of one namespace hear each other. Redis does not keep pub/sub apart by database number, and an entry
    of another database would be read here, and counted, as one of ours.
    """

    def __init__(
        self, redis_url: str, *, namespace: str = "", now: Now = machine_now, rhythm: BusRhythm = PEOPLE.bus
    ) -> None:
        self._rhythm = rhythm
        self._url = redis_url
        self._now = now
        self._channel = f"{CHANNEL}:{namespace}" if namespace else CHANNEL
        self._process = secrets.token_bytes(SENDER_BYTES)
        self._handlers: dict[str, Handler] = {}
        self._waiting: deque[bytes] = deque(maxlen=MOST_WAITING)
        self._is_waiting = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._can_publish = False
        self._is_listening = False
        self._alone_until = 0.0
        self._greets = False
        self._batches_heard = 0
        self._published_at: float | None = None
        self._pinged_at: float | None = None
        self.away_since: datetime | None = now()
        self._is_told = False
        """Since when hints have not gone both ways; None while they do."""
        self.published = 0
        self.dropped = 0
        self.received = 0

    @property
    def healthy(self) -> bool:
        """Whether hints go out and come in, as far as the last attempts told."""
        return self._can_publish and self._is_listening

    @property
    def is_alone(self) -> bool:
        """Whether nobody else listened a moment ago."""
        return time.monotonic() < self._alone_until

    @property
    def waiting(self) -> int:
        """How many hints have not been sent yet."""
        return len(self._waiting)

    @property
    def owed_s(self) -> float:
        """How long Redis has owed an answer to what it was told last, 0 where it has answered."""
        asked_at = [at for at in (self._published_at, self._pinged_at) if at is not None]
        return time.monotonic() - min(asked_at) if asked_at else 0.0

    def on(self, kind: str, handler: Handler) -> None:
        self._handlers[kind] = handler

    def publish(self, kind: str, document: Mapping[str, Any] | bytes) -> None:
        """Take the hint along with the next batch; the oldest ones go when too many wait. Bytes are encoded already.

        Where no other process listens nothing is said.
        """
        if self.is_alone:
            return
        if len(self._waiting) == MOST_WAITING:
            self.dropped += 1
        encoded = document if isinstance(document, bytes) else encode_document(document)
        self._waiting.append(_head_of(kind) + encoded)
        self._is_waiting.set()

    async def __aenter__(self) -> Bus:
        self._tasks = [asyncio.create_task(self._keep(self._publish)), asyncio.create_task(self._keep(self._listen))]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await cancel(*self._tasks)

    async def _keep(self, work: Callable[[Redis], Awaitable[None]]) -> None:
        """Do the work on a connection of its own, and on a new one after each failure."""
        while True:
            # One connection, every wait on it bounded by us: redis-py's own limits do not hold for pub/sub.
            redis = Redis.from_url(
                self._url,
                single_connection_client=True,
                socket_connect_timeout=self._rhythm.publish_within_s,
                driver_info=DRIVER,
            )
            try:
                await work(redis)
            except _Failures as error:
                self._tell(error)
            finally:
                await _close(redis, self._rhythm.publish_within_s)
            await asyncio.sleep(self._rhythm.reconnect_after_s * random.uniform(0.75, 1.5))

    async def _publish(self, redis: Redis) -> None:
        count = 0
        try:
            async with asyncio.timeout(self._rhythm.publish_within_s):
                await redis.ping()  # otherwise a failure would be remembered until there is something to publish
            while True:
                self._note(can_publish=True)
                self.published += count
                count = 0
                self._published_at = None
                await self._is_waiting.wait()
                batch, count = self._next_batch()
                self._published_at = time.monotonic()
                heard, we_listened = self._batches_heard, self._is_listening
                async with asyncio.timeout(self._rhythm.publish_within_s):
                    listeners = await redis.publish(self._channel, batch)
                # Who began to listen, or stopped, meanwhile cannot tell whether they are among those who were counted.
                ours = we_listened and self._is_listening
                if listeners <= ours and heard == self._batches_heard:
                    self._alone_until = time.monotonic() + self._rhythm.alone_for_s
        except _Failures:
            self._note(can_publish=False)
            self.dropped += count
            raise
        finally:
            self._published_at = None

    def _note(self, *, can_publish: bool | None = None, is_listening: bool | None = None) -> None:
        """What an attempt has told, and since when it has not gone well."""
        self._can_publish = self._can_publish if can_publish is None else can_publish
        self._is_listening = self._is_listening if is_listening is None else is_listening
        if self.healthy:
            self.away_since, self._is_told = None, False
        elif self.away_since is None:
            self.away_since = self._now()

    def _tell(self, error: BaseException) -> None:
        """Once for each outage: what is wrong with an address, a password or a certificate is read here."""
        tell = log.debug if self._is_told else log.warning
        self._is_told = True
        tell("redis is away", why=why(error))

    def _next_batch(self) -> tuple[bytes, int]:
        batch = bytearray(self._process)
        if self._greets:
            batch += _GREETING
            self._greets = False
        count = 0
        while self._waiting and (count == 0 or len(batch) + len(self._waiting[0]) <= LARGEST_BATCH):
            batch += self._waiting.popleft()
            count += 1
        if not self._waiting:
            self._is_waiting.clear()
        return bytes(batch), count

    async def _listen(self, redis: Redis) -> None:
        pubsub = redis.pubsub()
        try:
            async with asyncio.timeout(self._rhythm.publish_within_s * 2):
                await pubsub.subscribe(self._channel)
            heard_at = pinged_at = time.monotonic()
            while True:
                async with asyncio.timeout(self._rhythm.read_for_s + self._rhythm.publish_within_s):
                    message = await pubsub.get_message(timeout=self._rhythm.read_for_s)
                now = time.monotonic()
                if message is not None:
                    heard_at = now
                    self._pinged_at = None
                    if not self._is_listening:
                        self._begin_to_listen()
                    if message["type"] == "message":
                        self._hear(message["data"])
                if now - heard_at > self._rhythm.silent_at_most_s:
                    raise TimeoutError("no answer to a ping")
                if now - pinged_at > self._rhythm.ping_every_s:
                    pinged_at = now
                    self._pinged_at = self._pinged_at or now
                    async with asyncio.timeout(self._rhythm.publish_within_s):
                        await pubsub.ping()
        finally:
            self._pinged_at = None
            self._note(is_listening=False)
            await _close(pubsub, self._rhythm.publish_within_s)

    def _begin_to_listen(self) -> None:
        """Redis has confirmed it: only now what the others answer to our greeting would reach us."""
        self._note(is_listening=True)
        self._greets = True
        self._is_waiting.set()

    def _hear(self, batch: bytes) -> None:
        """A batch begins with who sent it; what we said ourselves is not even decoded."""
        if batch.startswith(self._process):
            return
        self._alone_until = 0.0
        self._batches_heard += 1
        try:
            documents = decode_documents(batch[SENDER_BYTES:])
            for head, document in zip(documents, documents, strict=True):
                handler = self._handlers.get(head["kind"])
                if handler is not None:
                    self.received += 1
                    handler(document)
        except Exception:
            # Whatever anybody says on this channel, a process that stops listening would not notice it.
            log.exception("a hint could not be used")


@cache
def _head_of(kind: str) -> bytes:
    """Each hint is two documents: what it is about, and what it says."""
    return encode_document({"kind": kind})


_GREETING = _head_of("hello") + encode_document({})
"""Of who has begun to listen: whoever thought that they were alone hears it."""


async def _close(resource: Redis | PubSub, within_s: float) -> None:
    """Close without waiting for a server that does not answer."""
    try:
        async with asyncio.timeout(within_s):
            await resource.aclose()
    except _Failures:
        pass
