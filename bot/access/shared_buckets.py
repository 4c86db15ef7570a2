"""The token buckets that all processes share: kept in Redis, by the clock of Redis, for as long as they are not full.

One task owns the one connection and asks for all who wait. Whoever asks waits a moment and no longer: an answer that
does not come in time is None, and for a second nobody asks again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import structlog

from bot.access.buckets import Bucket
from bot.cancelling import cancel
from bot.logs.failures import why
from bot.messaging.driver import DRIVER, Redis, RedisError
from bot.settings.rhythms import PEOPLE, LimitsRhythm

log = structlog.get_logger()

LARGEST_BATCH = 100

# A bucket is the microsecond at which it will be full again, see `rates.Buckets`. A clock of another server may be far
# behind ours of before: no bucket is emptier than a debt of one burst.
_FULL_AT = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function full_at(key, span)
  return math.min(math.max(tonumber(redis.call('GET', key) or 0), now), now + 2 * span)
end
local function keep(key, moment)
  redis.call('SET', key, string.format('%.0f', moment), 'PX', math.ceil((moment - now) / 1000))
end
"""
# KEYS are buckets, and ARGV holds two numbers for each: the microseconds to one token, and those to a full bucket.
# Takes one token from each, or from none and says after how many microseconds all will have one.
_TAKE = f"""{_FULL_AT}
local after, wait = {{}}, 0
for i, key in ipairs(KEYS) do
  local interval, span = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  after[i] = full_at(key, span) + interval
  wait = math.max(wait, after[i] - span - now)
end
if wait > 0 then return wait end
for i, key in ipairs(KEYS) do keep(key, after[i]) end
return 0
"""
# ARGV holds a third number for each: the tokens that were taken already. Says after how many microseconds each is full.
_SETTLE = f"""{_FULL_AT}
local full_in = {{}}
for i, key in ipairs(KEYS) do
  local interval, span, tokens = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local after = math.min(full_at(key, span) + tokens * interval, now + 2 * span)
  keep(key, after)
  full_in[i] = after - now
end
return full_in
"""
_Failures = (RedisError, OSError, TimeoutError)


@dataclass(frozen=True, slots=True)
class _Question:
    script: str
    keys: Sequence[str]
    numbers: Sequence[int]
    answer: asyncio.Future[Any]


class SharedBuckets:
    """`async with` it; the connection is made at the first question."""

    def __init__(self, redis_url: str, rhythm: LimitsRhythm = PEOPLE.limits) -> None:
        self._rhythm = rhythm
        self._url = redis_url
        self._waiting: deque[_Question] = deque()
        self._is_asked = asyncio.Event()
        self._away_until = 0.0
        self._task: asyncio.Task[None] | None = None

    @property
    def is_away(self) -> bool:
        """Whether Redis did not answer the last time it was asked; it is tried again after a second."""
        return asyncio.get_running_loop().time() < self._away_until

    async def __aenter__(self) -> SharedBuckets:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            await cancel(self._task)

    async def take(self, buckets: Sequence[Bucket]) -> int | None:
        """0 where each has given a token; else none has, and in so many microseconds all can. None: nobody knows."""
        numbers = [number for each in buckets for number in (each.rate.interval_us, each.rate.span_us)]
        keys, within_s = [each.key for each in buckets], self._rhythm.taken_within_s
        wait_us: int | None = await self._ask(_TAKE, keys, numbers, within_s)
        return wait_us

    async def settle(self, spent: Sequence[tuple[Bucket, int]]) -> list[int] | None:
        """Tokens that were taken already; for each bucket the microseconds until it is full. None: nobody knows."""
        keys = [bucket.key for bucket, _ in spent]
        numbers = [number for each, tokens in spent for number in (each.rate.interval_us, each.rate.span_us, tokens)]
        full_in_us: list[int] | None = await self._ask(_SETTLE, keys, numbers, self._rhythm.answered_within_s)
        return full_in_us

    async def _ask(self, script: str, keys: Sequence[str], numbers: Sequence[int], within_s: float) -> Any:
        if self.is_away:
            return None
        question = _Question(script, keys, numbers, asyncio.get_running_loop().create_future())
        self._waiting.append(question)
        self._is_asked.set()
        await asyncio.wait({question.answer}, timeout=within_s)
        if question.answer.done():
            return question.answer.result()
        question.answer.cancel()
        self._stay_away()
        return None

    def _stay_away(self) -> None:
        self._away_until = asyncio.get_running_loop().time() + self._rhythm.away_for_s

    async def _run(self) -> None:
        """Answer questions on a connection of its own, and on a new one after each failure."""
        while True:
            await self._is_asked.wait()
            redis = Redis.from_url(
                self._url,
                max_connections=1,
                driver_info=DRIVER,
                socket_connect_timeout=self._rhythm.answered_within_s,
                socket_timeout=self._rhythm.answered_within_s,
            )
            try:
                await self._answer_all(redis)
            except _Failures as error:
                log.debug("limits are decided by each process alone", why=why(error))
                self._stay_away()
                self._give_up(self._next_batch(most=len(self._waiting)))
            finally:
                await _close(redis, self._rhythm.answered_within_s)

    async def _answer_all(self, redis: Redis) -> None:
        async with asyncio.timeout(self._rhythm.answered_within_s):
            names = {script: await redis.script_load(script) for script in (_TAKE, _SETTLE)}
        while True:
            await self._is_asked.wait()
            batch = self._next_batch()
            try:
                async with asyncio.timeout(self._rhythm.answered_within_s):
                    pipeline = redis.pipeline(transaction=False)
                    for each in batch:
                        pipeline.evalsha(names[each.script], len(each.keys), *each.keys, *each.numbers)
                    answers = await pipeline.execute()
            except BaseException:
                self._give_up(batch)
                raise
            for each, answer in zip(batch, answers, strict=True):
                if not each.answer.done():
                    each.answer.set_result(answer)

    def _next_batch(self, most: int = LARGEST_BATCH) -> list[_Question]:
        batch = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        if not self._waiting:
            self._is_asked.clear()
        return [each for each in batch if not each.answer.done()]

    def _give_up(self, batch: Sequence[_Question]) -> None:
        for each in batch:
            if not each.answer.done():
                each.answer.set_result(None)


async def _close(redis: Redis, within_s: float) -> None:
    """Close without waiting for a server that does not answer."""
    try:
        async with asyncio.timeout(within_s):
            await redis.aclose()
    except _Failures:
        pass
