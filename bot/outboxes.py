"""Performs what turns have saved: the effects of one record in their order, those of different records side by side.

An effect leaves the outbox when it has been performed. What fails stays there, and the sweep brings it back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from bot.errors import Outage
from bot.store.driver import PyMongoError
from bot.store.records import OutboxItem
from bot.turns import Kind, Room

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Performed:
    """Of the effects that were waiting: which are done, and which may wait for the sweep while others go on."""

    done: tuple[str, ...] = ()
    postponed: tuple[str, ...] = ()


Perform = Callable[[Room, str, Sequence[OutboxItem]], Awaitable[Performed]]

# A record whose effects keep failing is tried again after 1, 2, 4 … seconds, at most a minute.
LONGEST_PAUSE_S = 60.0


@dataclass(slots=True)
class _Box:
    """What waits for one record. `done` are performed effects that may still stand in the document."""

    waiting: dict[str, OutboxItem] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    task: asyncio.Task[None] | None = None


class Outboxes:
    """`perform(room, record_id, items)` performs a first part of the items, at least one, and says which."""

    def __init__(self, kinds: Mapping[Room, Kind], perform: Perform) -> None:
        self._kinds = kinds
        self._perform = perform
        self._boxes: dict[tuple[Room, str], _Box] = {}
        self._failing: dict[tuple[Room, str], tuple[int, float]] = {}
        self.failures = 0

    def put(self, room: Room, record_id: str, items: Sequence[OutboxItem]) -> None:
        """Perform these, after whatever of the same record is waiting already."""
        box = self._boxes.setdefault((room, record_id), _Box())
        for item in items:
            if item.id not in box.done:
                box.waiting.setdefault(item.id, item)
        box.waiting = dict(sorted(box.waiting.items(), key=lambda pair: place_of(pair[0])))
        if box.task is None:
            if not box.waiting:
                del self._boxes[room, record_id]
                return
            box.task = asyncio.create_task(self._drain(room, record_id, box))

    def put_again(self, room: Room, record_id: str, items: Sequence[OutboxItem]) -> None:
        """What the sweep found unperformed; a record that keeps failing is left alone for a growing while."""
        _, not_before = self._failing.get((room, record_id), (0, 0.0))
        if time.monotonic() >= not_before:
            self.put(room, record_id, items)

    async def settled(self, room: Room, record_id: str, timeout_s: float) -> None:
        """Until what waits for this record now has been performed or has failed, or the time is over."""
        box = self._boxes.get((room, record_id))
        if box is not None and box.task is not None:
            await asyncio.wait((box.task,), timeout=timeout_s)

    async def close(self, timeout_s: float = 2.0) -> None:
        """Let what is under way finish; what is left stands in the documents."""
        tasks = [box.task for box in self._boxes.values() if box.task]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=timeout_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _drain(self, room: Room, record_id: str, box: _Box) -> None:
        try:
            while box.waiting:
                items = list(box.waiting.values())
                performed = await self._perform(room, record_id, items)
                for effect_id in (*performed.done, *performed.postponed):
                    del box.waiting[effect_id]
                box.done.update(performed.done)
                if not box.waiting and box.done:
                    # Effects that turn up while these are being taken out go round once more.
                    await self._kinds[room].records.performed(record_id, sorted(box.done))
            self._failing.pop((room, record_id), None)
        except (PyMongoError, Outage, OSError) as error:
            self._pause(room, record_id)
            log.warning("effects wait for the sweep", room=room, id=record_id, why=f"{type(error).__name__}: {error}")
            await self._take_out_done(room, record_id, box)
        except Exception:
            self.failures += 1
            self._pause(room, record_id)
            log.exception("an effect failed", room=room, id=record_id, left=[*box.waiting])
            await self._take_out_done(room, record_id, box)
        finally:
            box.task = None
            del self._boxes[room, record_id]

    async def _take_out_done(self, room: Room, record_id: str, box: _Box) -> None:
        """What came before the failure is not performed again with each new try, unless this fails as well."""
        if box.done:
            with suppress(PyMongoError, OSError):
                await self._kinds[room].records.performed(record_id, sorted(box.done))

    def _pause(self, room: Room, record_id: str) -> None:
        times, _ = self._failing.get((room, record_id), (0, 0.0))
        pause_s = min(2.0**times, LONGEST_PAUSE_S)
        self._failing[room, record_id] = (times + 1, time.monotonic() + pause_s)


def place_of(effect_id: str) -> tuple[int, int]:
    """The order of effects: by the version that wanted them, then by their place in it."""
    _, version, place = effect_id.rsplit(":", 2)
    return int(version), int(place)
