"""The peer of notifications: one RQ job for each message, which sends it and does nothing else.

The message is written already: nobody looks at a booking, at wishes or at a ledger.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence

from redis import Redis
from rq import Queue

from benchmarks.provider import ACCOUNT, SENDER, TOKEN
from bot.clock import machine_now
from bot.providers.messages import Sms
from bot.providers.sms import SmsChannel

QUEUE = "plain"
PROVIDER_URL = "PROVIDER_URL"
TIMEOUT_S = 10.0
ENQUEUED_AT_ONCE = 500


def send(to: str, text: str, status_url: str) -> None:
    """The job: the same channel as ours, to the same provider."""
    asyncio.run(_send(Sms(to=to, text=text, status_url=status_url)))


async def _send(message: Sms) -> None:
    channel = SmsChannel(ACCOUNT, TOKEN, SENDER, api_url=os.environ[PROVIDER_URL], now=machine_now, timeout_s=TIMEOUT_S)
    try:
        await channel.send(message)
    finally:
        await channel.close()


def enqueue(redis_url: str, messages: Sequence[Mapping[str, str]]) -> None:
    """A job for each message, many of them in one go; their results are kept by nobody."""
    with Redis.from_url(redis_url) as connection:
        queue = Queue(QUEUE, connection=connection)
        for start in range(0, len(messages), ENQUEUED_AT_ONCE):
            queue.enqueue_many(
                Queue.prepare_data(send, (each["To"], each["Body"], each["StatusCallback"]), result_ttl=0)
                for each in messages[start : start + ENQUEUED_AT_ONCE]
            )
