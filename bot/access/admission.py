"""Who may still come in with which token: a guest's is replaced each time it is used, and anybody's can be ended.

A token says by itself whose it is. What only the database knows, whether it was replaced or ended, is asked when
somebody connects, and for requests without a connection at most every few seconds; open connections are closed by
whoever ends their token. Why it is like this stands in `docs/decisions/0008-tokens-are-replaced-when-used.md`.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from bot.access.tokens import LIVES, Claims, Tokens
from bot.clock import Now
from bot.identity import Audience, key_of
from bot.messaging.bus import Bus
from bot.settings.rhythms import PEOPLE, AccessRhythm
from bot.store.driver import PyMongoError
from bot.store.tickets import Bearer
from bot.store.token_families import Family, TokenFamilies

log = structlog.get_logger()

# How long a token stays good after its successor was used: two tabs, a reload in the middle, a crash of the browser.
GRACE = timedelta(minutes=2)
MOST_KNOWN = 50_000
NOTHING_KNOWN = Family()
# Clocks of processes differ a little, and a write takes a moment: what is this much older is looked at again.
LOOK_BACK = timedelta(seconds=10)

End = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Renewed:
    """A guest who came with a token, and the token to come with the next time."""

    bearer: Bearer
    token: str


@dataclass(frozen=True, slots=True)
class _Known:
    family: Family
    until: float


@dataclass(frozen=True, slots=True, eq=False)
class _Watch:
    version: int
    end: End


class Access:
    """`forget(feeds)` is called when entries of these feeds have changed in the database."""

    def __init__(
        self,
        tokens: Tokens,
        families: TokenFamilies,
        bus: Bus,
        now: Now,
        forget: Callable[[Iterable[str]], None],
        rhythm: AccessRhythm = PEOPLE.access,
    ) -> None:
        self._rhythm = rhythm
        self._tokens = tokens
        self._families = families
        self._bus = bus
        self._now = now
        self._forget = forget
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._watches: dict[str, set[_Watch]] = {}
        bus.on("access", self._hear)

    def __len__(self) -> int:
        """How many are known here for a moment, without asking."""
        return len(self._known)

    # --- coming in ----------------------------------------------------------------------------------------------------

    async def renew(self, token: str | None) -> Renewed | None:
        """The guest whose token this is, with its successor; None for one that opens nothing (any more)."""
        claims = self._tokens.read("guest", token)
        if claims is None:
            return None
        family = await self._family_after(claims, await self._look_up(key_of("guest", claims.subject)))
        if not self._is_good(claims, family):
            log.warning("a token that was replaced was shown", who=self._tokens.pseudonym("guest", claims.subject))
            return None
        generation = max(claims.generation, family.generation) + 1
        successor = self._tokens.sign("guest", claims.subject, version=family.version, generation=generation)
        return Renewed(Bearer("guest", claims.subject, claims.version), successor)

    async def bearer_of(self, audience: Audience, token: str | None, *, is_arriving: bool = False) -> Bearer | None:
        """Who shows this token; None where it opens nothing. Who arrives is looked up, others may be known."""
        claims = self._tokens.read(audience, token)
        if claims is None:
            return None
        key = key_of(audience, claims.subject)
        family = await (self._look_up(key) if is_arriving else self._family(key))
        family = await self._family_after(claims, family)
        return Bearer(audience, claims.subject, claims.version) if self._is_good(claims, family) else None

    async def is_good(self, bearer: Bearer) -> bool:
        """Whether who was let in a moment ago, as by a ticket, may still come in."""
        return bearer.version >= (await self._family(key_of(bearer.audience, bearer.subject))).version

    async def sign_in(self, therapist_id: str) -> str:
        """A token for a therapist who has shown who they are."""
        family = await self._look_up(key_of("therapist", therapist_id))
        return self._tokens.sign("therapist", therapist_id, version=family.version)

    def _is_good(self, claims: Claims, family: Family) -> bool:
        if claims.version < family.version:
            return False
        replaced_at = family.replaced_at(claims.generation)
        return replaced_at is None or (family.remembers(claims.generation) and self._now() < replaced_at + GRACE)

    async def _family_after(self, claims: Claims, family: Family) -> Family:
        """A token that nobody has shown before replaces those before it, from now on and not from when it was made."""
        if claims.generation <= family.generation or claims.version < family.version:
            return family
        key = key_of(claims.audience, claims.subject)
        lives, is_first = LIVES[claims.audience], family == NOTHING_KNOWN
        used = await self._families.used(key, claims.generation, self._now(), lives, is_first=is_first)
        return self._keep(key, used)

    async def _family(self, key: str) -> Family:
        known = self._known.get(key)
        return known.family if known and time.monotonic() < known.until else await self._look_up(key)

    async def _look_up(self, key: str) -> Family:
        return self._keep(key, await self._families.get(key))

    def _keep(self, key: str, family: Family) -> Family:
        """Who was looked up first is let go of first: those whose time is over, and those who are too many."""
        now = time.monotonic()
        self._known[key] = _Known(family, now + self._rhythm.known_for_s)
        self._known.move_to_end(key)
        while len(self._known) > MOST_KNOWN or next(iter(self._known.values())).until <= now:
            self._known.popitem(last=False)
        return family

    # --- ending -------------------------------------------------------------------------------------------------------

    async def end(self, audience: Audience, subject: str) -> None:
        """Every token signed so far opens nothing any more, and who is connected by one is sent away everywhere."""
        key = key_of(audience, subject)
        version = await self._families.end(key, self._now(), LIVES[audience])
        self._tell(key, version, ())

    async def tell_changed(self, audience: Audience, subject: str, feeds: Iterable[str]) -> None:
        """Entries of these feeds have changed: what any process remembers of them is read again."""
        key, changed = key_of(audience, subject), tuple(feeds)
        await self._families.tell(key, changed, self._now())
        self._tell(key, 0, changed)

    def watch(self, bearer: Bearer, end: End) -> End:
        """Call `end` once this bearer's token is ended; gives what ends the watching."""
        key, watch = key_of(bearer.audience, bearer.subject), _Watch(bearer.version, end)
        self._watches.setdefault(key, set()).add(watch)

        def unwatch() -> None:
            watches = self._watches.get(key, set())
            watches.discard(watch)
            if not watches:
                self._watches.pop(key, None)

        return unwatch

    async def follow(self) -> None:
        """For ever: what was ended elsewhere, also where the bus did not carry it. An outage only delays it."""
        looked_at = self._now()
        while True:
            await asyncio.sleep(random.uniform(*self._rhythm.look_every_s))
            with suppress(PyMongoError, OSError):
                now = self._now()
                for news in await self._families.news_since(looked_at - LOOK_BACK):
                    self._apply(news.key, news.version, news.feeds)
                looked_at = now

    def _tell(self, key: str, version: int, feeds: tuple[str, ...]) -> None:
        self._apply(key, version, feeds)
        self._bus.publish("access", {"key": key, "version": version, "feeds": list(feeds)})

    def _hear(self, news: Mapping[str, Any]) -> None:
        self._apply(news["key"], news["version"], news["feeds"])

    def _apply(self, key: str, version: int, feeds: Iterable[str]) -> None:
        self._known.pop(key, None)
        self._forget(feeds)
        for watch in list(self._watches.get(key, ())):
            if watch.version < version:
                watch.end()
