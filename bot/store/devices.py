"""Devices: where people can be reached while no page of ours is open, by Firebase or by Web Push."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from bot.store.driver import Collection, Cursor, Document
from conversations.values import Locale

DeviceKind = Literal["fcm", "webpush"]

MOST_PER_PERSON = 10
# A page says where it can be reached each time it is opened; Firebase forgets who was silent for as long.
KEPT_FOR = timedelta(days=270)


@dataclass(frozen=True, slots=True)
class Device:
    """`person_id` is `guest:<conversation id>` or `therapist:<id>`; `fcm` has a token, `webpush` a subscription.

    A subscription is what the browser gives: `endpoint` and `keys` with `p256dh` and `auth`.
    """

    id: str
    person_id: str
    kind: DeviceKind
    token: str | None
    subscription: Mapping[str, Any] | None
    locale: Locale


def fcm_device(person_id: str, token: str, locale: Locale) -> Device:
    return Device(device_id("fcm", token), person_id, "fcm", token, None, locale)


def webpush_device(person_id: str, subscription: Mapping[str, Any], locale: Locale) -> Device:
    return Device(
        device_id("webpush", subscription["endpoint"]), person_id, "webpush", None, dict(subscription), locale
    )


def device_id(kind: DeviceKind, address: str) -> str:
    """The same for the same token or endpoint, whoever it belongs to at the moment; in logs it tells nobody where."""
    return f"d_{hashlib.blake2b(f'{kind}:{address}'.encode(), digest_size=16).hexdigest()}"


class Devices:
    """The collection `devices`; a TTL index removes what was not heard of for `KEPT_FOR`."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def of(self, person_id: str) -> list[Device]:
        """The newest first."""
        return [_device(each) async for each in self._newest_first(person_id)]

    async def with_any(self, person_ids: Sequence[str]) -> list[str]:
        """Those of these people who have a device at all."""
        found: list[str] = await self._collection.distinct("person_id", {"person_id": {"$in": list(person_ids)}})
        return found

    async def keep(self, device: Device, now: datetime) -> None:
        """Whoever has it now is its person, and nobody else any more; beyond the most per person the oldest go."""
        fields: Document = {
            "person_id": device.person_id,
            "kind": device.kind,
            "token": device.token,
            "subscription": None if device.subscription is None else dict(device.subscription),
            "locale": device.locale,
            "kept_at": now,
        }
        await self._collection.update_one({"_id": {"$eq": device.id}}, {"$set": fields}, upsert=True)
        beyond = [each["_id"] async for each in self._newest_first(device.person_id).skip(MOST_PER_PERSON)]
        if beyond:
            await self._collection.delete_many({"_id": {"$in": beyond}, "person_id": {"$eq": device.person_id}})

    async def remove(self, device_id: str, *, person_id: str | None = None) -> bool:
        """Whether it was there; with a person only where it is theirs."""
        its = {} if person_id is None else {"person_id": {"$eq": person_id}}
        removed = await self._collection.delete_one({"_id": {"$eq": device_id}, **its})
        return bool(removed.deleted_count)

    async def remove_of(self, person_id: str) -> None:
        await self._collection.delete_many({"person_id": {"$eq": person_id}})

    def _newest_first(self, person_id: str) -> Cursor:
        return self._collection.find({"person_id": {"$eq": person_id}}).sort([("kept_at", -1), ("_id", 1)])


def _device(document: Document) -> Device:
    return Device(
        document["_id"],
        document["person_id"],
        document["kind"],
        document["token"],
        document["subscription"],
        document["locale"],
    )
