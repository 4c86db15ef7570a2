"""What is known of one exchange over HTTP when it fails: whether the question was written, and when to ask again.

SDKs keep both to themselves; aiohttp tells them to whoever traces it.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace

import aiohttp

from bot.providers import verdicts
from bot.providers.messages import Verdict


@dataclass(slots=True)
class Exchange:
    """`was_asked` is true as soon as the head of a request was written: from then on it may have been done."""

    was_asked: bool = False
    retry_after: str | None = None

    def after_s(self, now: datetime) -> float | None:
        return verdicts.retry_after_s(self.retry_after, now)

    def silence(self, error: BaseException) -> Verdict:
        """What it means that there was no answer. Raises the error again where it is none of the network's."""
        if isinstance(error, aiohttp.ClientConnectorCertificateError) or is_of_tls(error.__cause__):
            return verdicts.NO_TLS
        if isinstance(error, TimeoutError):
            return verdicts.of_silence("timeout", was_asked=self.was_asked)
        if isinstance(error, (aiohttp.ClientError, OSError)):
            return verdicts.of_silence("connection", was_asked=self.was_asked)
        raise error


# Whatever else an SDK raises is a fault of ours.
NO_ANSWER = (aiohttp.ClientError, OSError)  # a TimeoutError is an OSError, too

_present: ContextVar[Exchange] = ContextVar("exchange")


@contextmanager
def exchange() -> Iterator[Exchange]:
    """Whatever is asked in here with a session of `open_session` is noted."""
    noted = Exchange()
    before = _present.set(noted)
    try:
        yield noted
    finally:
        _present.reset(before)


def open_session(timeout_s: float, connector: aiohttp.BaseConnector | None = None) -> aiohttp.ClientSession:
    """A session whose requests are noted; to connect may take `timeout_s`, and all of a request twice as long."""
    tracing = aiohttp.TraceConfig()
    tracing.on_request_headers_sent.append(_asked)
    tracing.on_request_end.append(_answered)
    return aiohttp.ClientSession(
        connector=connector,
        trace_configs=[tracing],
        timeout=aiohttp.ClientTimeout(total=2 * timeout_s, sock_connect=timeout_s, sock_read=timeout_s),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


async def _asked(_: aiohttp.ClientSession, __: SimpleNamespace, ___: aiohttp.TraceRequestHeadersSentParams) -> None:
    if noted := _present.get(None):
        noted.was_asked = True


async def _answered(_: aiohttp.ClientSession, __: SimpleNamespace, answer: aiohttp.TraceRequestEndParams) -> None:
    if noted := _present.get(None):
        noted.retry_after = answer.response.headers.get("Retry-After")


def is_of_tls(error: BaseException | None) -> bool:
    """Whether the two sides found no way to speak privately; a connection that is lost meanwhile is merely lost."""
    return isinstance(error, ssl.SSLError) and not isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError))
