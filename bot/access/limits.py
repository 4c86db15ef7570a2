"""How often people may do things: which buckets there are, whose they are, and who decides when Redis is away.

Two ways lead to the same kind of bucket. `take` is for what is rare and costs us much, like connecting or a sign-in
code: the bucket in Redis decides, for all processes at once. `spend` is for what is frequent, like messages: this
process decides at once and settles with the others in batches. Why this is sound stands in `docs/decisions/0007`.
"""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from types import TracebackType
from typing import Literal

from bot.access.buckets import Bucket, Buckets
from bot.access.shared_buckets import SharedBuckets
from bot.cancelling import cancel
from bot.errors import Refusal
from bot.settings.rates import Rate
from bot.settings.settings import Settings
from conversations.replies import N_, REFUSALS

Kind = Literal["connects", "streams", "commands", "messages", "signals", "codes", "guesses", "desk"]
Scope = Literal["token", "address", "phone", "phone_and_address"]

# The setting `limit_<kind>_per_<scope>` says how fast the tokens of each come.
SCOPES: Mapping[Kind, tuple[Scope, ...]] = {
    "connects": ("token", "address"),
    "streams": ("token", "address"),
    "commands": ("token", "address"),
    "messages": ("token", "address"),
    "signals": ("token", "address"),
    "codes": ("phone_and_address", "phone", "address"),
    "guesses": ("phone_and_address", "phone", "address"),
    "desk": ("token", "address"),
}
_WORDS: Mapping[Kind, str] = {
    "codes": N_("Too many codes were asked for. Please try again later."),
    "guesses": N_("Too many codes were tried. Please try again later."),
}
SETTLED_AT_ONCE = 100
KNOWN_ASKERS = 20_000
# One home or one phone has a whole network of this size in IPv6, and could come from another address each time.
IPV6_NETWORK_BITS = 64


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, as far as is known: the client's address, whom the token opens, the phone number it is about."""

    address: str
    subject: str = ""
    phone: str = ""


class RateLimits:
    """`async with` it. Both `take` and `spend` raise `too_many_requests` with the time to try again."""

    def __init__(self, settings: Settings, redis_url: str, *, namespace: str) -> None:
        self._rates = {
            (kind, scope): rate_of(settings, kind, scope) for kind, scopes in SCOPES.items() for scope in scopes
        }
        self._key = hashlib.sha256(settings.secret.encode()).digest()
        self._prefix = f"janji:limits:{namespace}"
        self._own = Buckets(_now_us)
        self._rhythm = settings.rhythms.limits
        self._shared = SharedBuckets(redis_url, settings.rhythms.limits)
        self._spent: dict[Bucket, int] = {}
        self._has_spent = asyncio.Event()
        self._settling: asyncio.Task[None] | None = None
        self._bucket = lru_cache(KNOWN_ASKERS)(self._make_bucket)
        self._buckets = lru_cache(KNOWN_ASKERS)(self._find_buckets)
        self.refused: Counter[str] = Counter()
        """How many requests of each kind were refused."""
        self.decided_alone = 0
        """How many were decided by this process alone, since Redis did not answer in time."""
        self.settled = 0
        """How many times what was spent from a bucket here was told to the others."""

    @property
    def is_alone(self) -> bool:
        return self._shared.is_away

    async def __aenter__(self) -> RateLimits:
        await self._shared.__aenter__()
        self._settling = asyncio.create_task(self._settle_for_ever())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._settling is not None:
            await cancel(self._settling)
        await self._shared.__aexit__(kind, error, trace)

    async def take(self, kind: Kind, asker: Asker) -> None:
        """Take one from each bucket of the asker, or none: in all processes together no more than the burst."""
        buckets = self._buckets(kind, asker)
        wait_us: int | None = self._own.wait_us(buckets)  # who took too much here took too much of all: no need to ask
        if not wait_us:
            wait_us = await self._shared.take(buckets)
            if wait_us is None:
                self.decided_alone += 1
                wait_us = self._own.wait_us(buckets)
        if wait_us:
            raise self._refusal(kind, wait_us)
        self._own.note(buckets)

    def spend(self, kind: Kind, asker: Asker) -> None:
        """The same at once, by what this process knows; what others spent is known a quarter of a second later."""
        buckets = self._buckets(kind, asker)
        wait_us = self._own.take(buckets)
        if wait_us:
            raise self._refusal(kind, wait_us)
        for bucket in buckets:
            self._spent[bucket] = self._spent.get(bucket, 0) + 1
        self._has_spent.set()

    def _refusal(self, kind: Kind, wait_us: int) -> Refusal:
        self.refused[kind] += 1
        return too_fast(wait_us / 1_000_000, _WORDS.get(kind, REFUSALS["too_many_requests"]))

    async def _settle_for_ever(self) -> None:
        while True:
            await self._has_spent.wait()
            await asyncio.sleep(self._rhythm.settle_every_s)
            self._has_spent.clear()
            spent, self._spent = list(self._spent.items()), {}
            for start in range(0, len(spent), SETTLED_AT_ONCE):
                await self._settle(spent[start : start + SETTLED_AT_ONCE])

    async def _settle(self, spent: Sequence[tuple[Bucket, int]]) -> None:
        """Tell the others what was spent here, and hear what they did; what they can't be told is forgotten."""
        full_in_us = await self._shared.settle(spent)
        if full_in_us is None:
            return
        for (bucket, _), moment_us in zip(spent, full_in_us, strict=True):
            self._own.hear(bucket, moment_us + self._spent.get(bucket, 0) * bucket.rate.interval_us)
        self.settled += len(spent)

    def _find_buckets(self, kind: Kind, asker: Asker) -> tuple[Bucket, ...]:
        """The asker's buckets; there is none for what is not known of them."""
        subjects = ((scope, _subject_of(scope, asker)) for scope in SCOPES[kind])
        return tuple(self._bucket(kind, scope, subject) for scope, subject in subjects if subject is not None)

    def _make_bucket(self, kind: Kind, scope: Scope, subject: str) -> Bucket:
        """Nobody who sees its key in Redis learns an address or a phone number."""
        digest = hashlib.blake2b(f"{scope}:{subject}".encode(), key=self._key, digest_size=12).hexdigest()
        return Bucket(f"{self._prefix}:{kind}:{scope}:{digest}", self._rates[kind, scope])


def too_fast(wait_s: float, words: str = REFUSALS["too_many_requests"]) -> Refusal:
    """A tenth of a second is as exact as anybody needs, and never too early."""
    return Refusal("too_many_requests", words, retry_after_s=math.ceil(wait_s * 10) / 10)


def rate_of(settings: Settings, kind: Kind, scope: Scope) -> Rate:
    rate: Rate = getattr(settings, f"limit_{kind}_per_{scope}")
    return rate


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, or the network that an IPv6 client may choose its address from."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if not isinstance(ip, IPv6Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(IPv6Address(int(ip) >> (128 - IPV6_NETWORK_BITS) << (128 - IPV6_NETWORK_BITS)))


def _subject_of(scope: Scope, asker: Asker) -> str | None:
    network = network_of(asker.address)
    match scope:
        case "token":
            return asker.subject or None
        case "address":
            return network
        case "phone":
            return asker.phone or None
        case "phone_and_address":
            return f"{asker.phone} {network}" if asker.phone else None


def _now_us() -> int:
    return time.monotonic_ns() // 1000
