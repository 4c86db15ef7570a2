"""Performs what turns have saved: the effects of one record in their order, those of different records side by side.

An effect leaves the outbox when it has been performed. What fails stays there, and the sweep brings it back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from bot.cancelling import cancel
from bot.errors import Outage
from bot.logs.failures import why
from bot.settings.rhythms import PEOPLE, TurnsRhythm
from bot.store.driver import PyMongoError
from bot.store.kinds import RecordName
from bot.store.records import OutboxItem, Records
from bot.turns.backoff import LONGEST_PAUSE_S, Backoff
from bot.turns.turns import Take

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Performed:
    """Of the effects that were waiting: which are done, and which may wait for the sweep while others go on."""

    done: tuple[str, ...] = ()
    postponed: tuple[str, ...] = ()


Perform = Callable[[RecordName, str, Sequence[OutboxItem], Take], Awaitable[Performed]]


@dataclass(slots=True)
class _Box:
    """What waits for one record. `done` are performed effects that may still stand in the document."""

    waiting: dict[str, OutboxItem] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    task: asyncio.Task[None] | None = None


class Outboxes:
    """`perform(name, record_id, items, take)` performs a first part of the items, at least one, and says which."""

    def __init__(
        self, records: Mapping[RecordName, Records[Any]], perform: Perform, rhythm: TurnsRhythm = PEOPLE.turns
    ) -> None:
        self._rhythm = rhythm
        self._records = records
        self._perform = perform
        self._boxes: dict[tuple[RecordName, str], _Box] = {}
        self._backoff: Backoff[tuple[RecordName, str]] = Backoff()
        self.failures = 0

    @property
    def busy(self) -> int:
        """Of how many records something is being performed here."""
        return len(self._boxes)

    def put(self, name: RecordName, record_id: str, items: Sequence[OutboxItem], take: Take) -> None:
        """Perform these, after whatever of the same record is waiting already."""
        box = self._boxes.setdefault((name, record_id), _Box())
        for item in items:
            if item.id not in box.done:
                box.waiting.setdefault(item.id, item)
        box.waiting = dict(sorted(box.waiting.items(), key=lambda pair: place_of(pair[0])))
        if box.task is None:
            if not box.waiting:
                del self._boxes[name, record_id]
                return
            box.task = asyncio.create_task(self._drain(name, record_id, box, take))

    def put_again(self, name: RecordName, record_id: str, items: Sequence[OutboxItem], take: Take) -> None:
        """What the sweep found unperformed; a record that keeps failing is left alone for a growing while."""
        if not self._backoff.is_resting((name, record_id)):
            self.put(name, record_id, items, take)

    def resting(self, name: RecordName) -> list[str]:
        """The records of a kind that `put_again` would leave alone now."""
        return [record_id for each, record_id in self._backoff.resting() if each == name]

    def fail(self, name: RecordName, record_id: str) -> None:
        """Count a failure that is a fault of ours: trying again at once would fail again."""
        self.failures += 1
        self._backoff.failed((name, record_id), LONGEST_PAUSE_S)

    async def settled(self, name: RecordName, record_id: str, timeout_s: float) -> None:
        """Until what waits for this record now has been performed or has failed, or the time is over."""
        box = self._boxes.get((name, record_id))
        if box is not None and box.task is not None:
            await asyncio.wait((box.task,), timeout=timeout_s)

    async def close(self, timeout_s: float) -> None:
        """Let what is under way finish; what is left stands in the documents."""
        tasks = [box.task for box in self._boxes.values() if box.task]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=timeout_s)
            await cancel(*late)

    async def _drain(self, name: RecordName, record_id: str, box: _Box, take: Take) -> None:
        is_postponed = False
        try:
            while box.waiting:
                items = list(box.waiting.values())
                performed = await self._perform(name, record_id, items, take)
                for effect_id in (*performed.done, *performed.postponed):
                    del box.waiting[effect_id]
                is_postponed = is_postponed or bool(performed.postponed)
                box.done.update(performed.done)
                if not box.waiting and box.done:
                    # Effects that turn up while these are being taken out go round once more.
                    await self._records[name].performed(record_id, sorted(box.done))
            self._settle((name, record_id), is_postponed)
        except (PyMongoError, Outage, OSError) as error:
            self._backoff.failed((name, record_id), self._rhythm.again_after_outage_s)
            log.warning("effects wait for the sweep", room=name, id=record_id, why=why(error))
            await self._take_out_done(name, record_id, box)
        except Exception:
            self.fail(name, record_id)
            log.exception("an effect failed", room=name, id=record_id, left=[*box.waiting])
            await self._take_out_done(name, record_id, box)
        finally:
            box.task = None
            del self._boxes[name, record_id]

    async def _take_out_done(self, name: RecordName, record_id: str, box: _Box) -> None:
        """What came before the failure is not performed again with each new try, unless this fails as well."""
        if box.done:
            with suppress(PyMongoError, OSError):
                await self._records[name].performed(record_id, sorted(box.done))

    def _settle(self, key: tuple[RecordName, str], is_postponed: bool) -> None:
        if is_postponed:
            self._backoff.failed(key, self._rhythm.again_after_postponed_s)
        else:
            self._backoff.succeeded(key)


def place_of(effect_id: str) -> tuple[int, int]:
    """The order of effects: by the version that wanted them, then by their place in it."""
    _, version, place = effect_id.rsplit(":", 2)
    return int(version), int(place)
