"""The catalogue of services and their prices."""

from __future__ import annotations

from collections.abc import Iterable

from bot.settings.ladders import parse_rungs
from bot.store.driver import Collection, Document
from conversations.money.amounts import Money
from conversations.notices import Ladder
from conversations.values import Price, Service


def _service(document: Document) -> Service:
    prices = tuple(Price(each["minutes"], Money(each["amount"], document["currency"])) for each in document["prices"])
    return Service(document["_id"], document["names"], document["descriptions"], prices)


class Catalogue:
    """The collection `services`, in the order in which the menu shows them."""

    def __init__(self, collection: Collection) -> None:
        self._collection = collection

    async def all(self) -> list[Service]:
        return [_service(document) async for document in self._collection.find({}).sort("place", 1).limit(100)]

    async def get(self, service_id: str) -> Service | None:
        document = await self._collection.find_one({"_id": {"$eq": service_id}})
        return _service(document) if document else None

    async def ladder_of(self, service_id: str) -> Ladder | None:
        """The reminders of this service, written as in the settings; None where it has none of its own."""
        document = await self._collection.find_one({"_id": {"$eq": service_id}}, {"reminders": 1})
        reminders = (document or {}).get("reminders")
        if not reminders:
            return None
        return Ladder(parse_rungs(reminders.get("customer", "")), parse_rungs(reminders.get("therapist", "")))

    async def first(self) -> Service | None:
        """What is booked when nobody said which: the first of the menu."""
        document = await self._collection.find_one({}, sort=[("place", 1)])
        return _service(document) if document else None

    async def add_missing(self, services: Iterable[Service]) -> None:
        """Put services into an empty catalogue; what is there already stays as the operator left it."""
        for place, service in enumerate(services):
            document = {
                "names": service.names,
                "descriptions": service.descriptions,
                "currency": service.prices[0].price.currency,
                "prices": [{"minutes": each.minutes, "amount": each.price.amount} for each in service.prices],
                "place": place,
            }
            await self._collection.update_one({"_id": service.id}, {"$setOnInsert": document}, upsert=True)
