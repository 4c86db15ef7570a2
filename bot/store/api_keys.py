"""The keys of other systems: of each secret only a digest is kept, beside what its key may do."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, get_args

from bot.store.driver import Collection, Document

Scope = Literal["notifications:read", "notifications:send", "notifications:manage"]

SCOPES: tuple[Scope, ...] = get_args(Scope)
SECRET_BYTES = 32
# `jk_<id>_<secret>`: the id finds the key, and the secret, which may have an underscore in it, proves it.
SHAPE = re.compile(r"jk_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
# When a key was last used is for people who look whether it still is: it need not be written at every request.
USE_IS_WRITTEN_EVERY = timedelta(minutes=1)
NO_KEY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as everybody may see it: its secret was shown once, and nobody has it any more but its owner."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


class ApiKeys:
    """The collection `api_keys`. Revoked keys stay, so that what they did keeps a name."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def issue(self, name: str, scopes: Iterable[Scope], now: datetime) -> tuple[ApiKey, str]:
        """A new key and its text, which is never seen again.

        The secret is random and long, so that one round of SHA-256 is as good as a slow hash.
        """
        key = ApiKey(secrets.token_hex(8), name, tuple(sorted(set(scopes))), now)
        secret = secrets.token_urlsafe(SECRET_BYTES)
        await self._collection.insert_one(
            {
                "_id": key.id,
                "digest": _digest(secret),
                "name": key.name,
                "scopes": list(key.scopes),
                "created_at": key.created_at,
                "last_used_at": None,
                "revoked_at": None,
            }
        )
        return key, f"jk_{key.id}_{secret}"

    async def recognise(self, text: str, now: datetime) -> ApiKey | None:
        """Whose key this is; None where it is nobody's, or was revoked."""
        shape = SHAPE.fullmatch(text)
        if shape is None:
            return None
        document = await self._collection.find_one({"_id": shape[1]})
        kept = document["digest"] if document else NO_KEY
        if not hmac.compare_digest(kept, _digest(shape[2])) or document is None or document["revoked_at"]:
            return None
        await self._note_use(document, now)
        return _read(document)

    async def all(self) -> list[ApiKey]:
        return [_read(document) async for document in self._collection.find({}).sort("created_at", 1)]

    async def revoke(self, key_id: str, now: datetime) -> bool:
        """Whether it opened anything until now; what has begun with it goes on to its end."""
        query = {"_id": {"$eq": key_id}, "revoked_at": None}
        revoked = await self._collection.update_one(query, {"$set": {"revoked_at": now}})
        return bool(revoked.modified_count)

    async def _note_use(self, document: Document, now: datetime) -> None:
        noted_at = document["last_used_at"]
        if noted_at is None or noted_at <= now - USE_IS_WRITTEN_EVERY:
            query = {"_id": document["_id"], "last_used_at": noted_at}
            await self._collection.update_one(query, {"$set": {"last_used_at": now}})


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _read(document: Document) -> ApiKey:
    return ApiKey(
        document["_id"],
        document["name"],
        tuple(document["scopes"]),
        document["created_at"],
        document["last_used_at"],
        document["revoked_at"],
    )
