"""What people do not want to be sent, and when: by who they are, and by the number or address that it would go to.

Of a number or an address only a digest is kept: it outlives whoever had it told us, or we would write to them again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, time

from bot.store.driver import Collection, Document
from bot.store.together import Together
from conversations.notices import Channel, Person, Preferences


class PreferencesStore:
    """The collection `preferences`. Its ids are those of people, and `phone:…` and `email:…` with a digest."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection
        self._together = Together(self._read)

    async def of(self, person: Person) -> Preferences:
        """All that is known of a person: what was switched off or stopped for any of their addresses counts."""
        ids = [person.id]
        ids += [phone_id(person.phone)] if person.phone else []
        ids += [email_id(person.email)] if person.email else []
        documents = await self._together(*ids)
        return Preferences(
            off=frozenset(_named(documents.values(), "off")),
            quiet=_hours(documents.get(person.id)),
            stopped=frozenset(_named(documents.values(), "stopped")),
        )

    async def _read(self, ids: Sequence[str]) -> dict[str, Document]:
        return {each["_id"]: each async for each in self._collection.find({"_id": {"$in": list(ids)}})}

    async def chosen(self, person_id: str) -> Preferences:
        """What somebody has chosen themselves."""
        document = await self._collection.find_one({"_id": {"$eq": person_id}})
        return Preferences(off=frozenset(_named([document or {}], "off")), quiet=_hours(document))

    async def choose(self, person_id: str, off: Iterable[str], quiet: tuple[time, time] | None, now: datetime) -> None:
        """The whole choice anew."""
        hours = [f"{each:%H:%M}" for each in quiet] if quiet else None
        chosen = {"off": sorted(off), "quiet": hours, "changed_at": now}
        await self._collection.update_one({"_id": person_id}, {"$set": chosen}, upsert=True)

    async def switch_off(self, subject_id: str, what: str, now: datetime) -> None:
        """A channel or a kind less; all others stay as they are."""
        changes = {"$addToSet": {"off": what}, "$set": {"changed_at": now}}
        await self._collection.update_one({"_id": subject_id}, changes, upsert=True)

    async def stop(self, subject_id: str, channel: Channel, now: datetime) -> None:
        """Nothing at all goes to this number or address on this channel any more."""
        changes = {"$addToSet": {"stopped": channel}, "$set": {"changed_at": now}}
        await self._collection.update_one({"_id": subject_id}, changes, upsert=True)

    async def start_again(self, subject_id: str, channel: Channel, now: datetime) -> None:
        changes = {"$pull": {"stopped": channel}, "$set": {"changed_at": now}}
        await self._collection.update_one({"_id": {"$eq": subject_id}}, changes)

    async def forget(self, person_id: str) -> None:
        """What a person has chosen; that a number has said STOP is no choice of a person's."""
        await self._collection.delete_one({"_id": {"$eq": person_id}})


def phone_id(phone: str) -> str:
    return f"phone:{_digest(phone)}"


def email_id(email: str) -> str:
    """Nobody tells two people apart by the case of an address."""
    return f"email:{_digest(email.lower())}"


def _digest(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:32]


def _named(documents: Iterable[Document], field: str) -> Iterable[str]:
    return (name for document in documents for name in document.get(field) or ())


def _hours(document: Document | None) -> tuple[time, time] | None:
    hours = (document or {}).get("quiet")
    return (time.fromisoformat(hours[0]), time.fromisoformat(hours[1])) if hours else None
