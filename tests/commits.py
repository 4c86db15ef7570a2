"""What was committed to the database, in the order in which it was: clocks of processes are never compared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot.services import Services

RECORDED = ("therapists", "searches", "conversations", "reservations")


@dataclass(slots=True)
class Commits:
    """Each change with the document as it stood right after it; complete when the recording has ended."""

    changes: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)


@asynccontextmanager
async def recorded(services: Services) -> AsyncIterator[Commits]:
    """Everything committed inside is there afterwards."""
    database = services.database
    await keep_images(database, True)
    try:
        beginning = (await database.command("ping"))["operationTime"]
        commits = Commits()
        yield commits
        end = await database["marks"].insert_one({})
        wanted = [{"$match": {"ns.coll": {"$in": [*RECORDED, "marks"]}}}]
        async with database.watch(wanted, full_document="required", start_at_operation_time=beginning) as stream:
            async for change in stream:
                if change["documentKey"]["_id"] == end.inserted_id:
                    break
                commits.changes.append((change["ns"]["coll"], change["fullDocument"]))
    finally:
        await keep_images(database, False)


async def keep_images(database: Any, enabled: bool) -> None:
    for collection in RECORDED:
        await database.command({"collMod": collection, "changeStreamPreAndPostImages": {"enabled": enabled}})


class Replay:
    """The documents as they stood after each commit, and what must hold of every step from one to the next."""

    def __init__(self) -> None:
        self._holds: dict[str, Mapping[str, Any]] = {}
        self._asked_at: dict[str, datetime | None] = {}
        self._fences: dict[str, int] = defaultdict(int)
        self._searches: dict[str, Mapping[str, Any]] = {}
        self._visits: dict[str, str] = {}
        self._reservations: dict[str, Mapping[str, Any]] = {}

    def follow(self, commits: Commits) -> None:
        for collection, document in commits.changes:
            self.step(collection, document)
        self.end()

    def step(self, collection: str, document: Mapping[str, Any]) -> None:
        """One commit, with the document as it stood right after it."""
        match collection:
            case "therapists":
                self._therapist(document)
            case "searches":
                self._search(document)
            case "conversations":
                self._conversation(document)
            case "reservations":
                self._reservations[document["_id"]] = document

    def end(self) -> None:
        offers = [offer for search in self._searches.values() for offer in search["offers"]]
        fences = {(offer["therapist_id"], offer["fence"]) for offer in offers}
        assert len(fences) == len(offers), "two offers stand on one hold"

    def _therapist(self, row: Mapping[str, Any]) -> None:
        """A therapist whom a guest is deciding about, or who was just asked, is not held for anybody else."""
        hold = row["hold"] or {}
        if hold and hold["fence"] != self._fences[row["_id"]]:
            assert hold["fence"] == self._fences[row["_id"]] + 1, f"{row['_id']} skipped a fence: {hold}"
            self._fences[row["_id"]] = hold["fence"]
            before = self._holds.get(row["_id"])
            assert not before or before["until"] <= row["last_offer_at"], f"{hold} took the place of {before}"
            for search in self._searches.values():
                chosen = _chosen(search)
                is_kept = search["state"] == "found" and chosen and chosen["therapist_id"] == row["_id"]
                assert not is_kept, f"{row['_id']} is held for {hold} while {search['_id']} has found them"
        self._holds[row["_id"]] = hold
        self._asked_at[row["_id"]] = row["last_offer_at"]

    def _search(self, search: Mapping[str, Any]) -> None:
        """An offer is made, and a therapist found, only by the search that holds the therapist at this commit.

        A commit that is late may make an offer whose moment has passed and whose therapist is asked by somebody else by
        then; no answer to it counts any more.
        """
        before = self._searches.get(search["_id"], {"offers": (), "state": "new"})
        offers = [each for each in search["offers"][len(before["offers"]) :] if not self._has_lapsed(each)]
        chosen = _chosen(search)
        if search["state"] == "found" and before["state"] != "found" and chosen:
            offers.append(chosen)
        for offer in offers:
            hold = self._holds[offer["therapist_id"]]
            assert (hold.get("offer_id"), hold.get("fence")) == (offer["offer_id"], offer["fence"]), (
                f"{search['_id']} ({search['state']}) counts on {offer} while the hold is {hold}"
            )
        self._searches[search["_id"]] = search

    def _has_lapsed(self, offer: Mapping[str, Any]) -> bool:
        hold, asked_at = self._holds[offer["therapist_id"]], self._asked_at[offer["therapist_id"]]
        return hold.get("fence", 0) > offer["fence"] and asked_at is not None and asked_at >= offer["until"]

    def _conversation(self, conversation: Mapping[str, Any]) -> None:
        """A therapist visits one guest at a time, and only with the slot that was written before."""
        if conversation["state"] != "active":
            self._visits.pop(conversation["_id"], None)
            return
        therapist_id = conversation["therapist"]["id"]
        others = [other for other, visited_by in self._visits.items() if visited_by == therapist_id]
        assert others in ([], [conversation["_id"]]), f"{therapist_id} visits {conversation['_id']} and {others}"
        self._visits[conversation["_id"]] = therapist_id
        reservation = self._reservations[conversation["reservation_id"]]
        assert reservation["active"], f"{conversation['_id']} is active without its slot"
        assert reservation["therapist_id"] == therapist_id


def _chosen(search: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((offer for offer in search["offers"] if offer["offer_id"] == search["chosen_offer_id"]), None)
