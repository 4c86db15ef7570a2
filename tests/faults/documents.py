"""A look into the database in addition: what was committed, in its order, and whether the documents agree at last."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bot.cancelling import cancel
from bot.services import Services
from bot.store.driver import PyMongoError
from tests.agreement import read
from tests.commits import RECORDED, Replay, keep_images
from tests.faults.witness import Witness

READ_WITHIN_S = 20.0
AGREED_WITHIN_S = 15.0


class Follower:
    """Replays every commit as it comes, over the death of the database."""

    def __init__(self, services: Services, witness: Witness) -> None:
        self._database = services.database
        self._witness = witness
        self._replay = Replay()
        self._position: dict[str, Any] = {}
        self._marks: dict[Any, asyncio.Event] = defaultdict(asyncio.Event)

    async def begin(self) -> None:
        await keep_images(self._database, True)
        self._position = {"start_at_operation_time": (await self._database.command("ping"))["operationTime"]}

    async def follow(self) -> None:
        wanted = [{"$match": {"ns.coll": {"$in": [*RECORDED, "marks"]}}}]
        while True:
            try:
                async with self._database.watch(wanted, full_document="required", **self._position) as stream:
                    async for change in stream:
                        self._take(change)
                        self._position = {"resume_after": change["_id"]}
            except (PyMongoError, OSError):
                await asyncio.sleep(0.2)

    def _take(self, change: Any) -> None:
        collection = change["ns"]["coll"]
        if collection == "marks":
            self._marks[change["documentKey"]["_id"]].set()
            return
        try:
            self._replay.step(collection, change["fullDocument"])
        except AssertionError as error:
            self._witness.accuse("commits", str(error))
        except KeyError as missing:
            self._witness.accuse("commits", f"{change['documentKey']['_id']} names what is not there: {missing}")

    async def until_read(self) -> None:
        """Until everything that was committed before this call has been replayed."""
        mark = (await self._database["marks"].insert_one({})).inserted_id
        async with asyncio.timeout(READ_WITHIN_S):
            await self._marks[mark].wait()
        try:
            self._replay.end()
        except AssertionError as error:
            self._witness.accuse("commits", str(error))


@asynccontextmanager
async def followed(services: Services, witness: Witness) -> AsyncIterator[Follower]:
    follower = Follower(services, witness)
    await follower.begin()
    following = asyncio.create_task(follower.follow())
    try:
        yield follower
    finally:
        await cancel(following)


async def look_for_disagreement(services: Services, witness: Witness) -> None:
    """With nothing under way, conversation, search, booking, hold and slot say the same, and every outbox is empty."""
    loop = asyncio.get_running_loop()
    until = loop.time() + AGREED_WITHIN_S
    while True:
        try:
            (await read(services)).assert_agreed()
        except (AssertionError, PyMongoError) as error:
            if loop.time() > until:
                witness.accuse("agreement", str(error)[:1000])
                return
        else:
            return
        await asyncio.sleep(0.3)
