"""Numbered changes of what stands in the database, and the fence: an older program does not start on a newer database.

Readers come before writers: a release first learns to read what the next one will write, and only the next writes it.
So old and new processes may run side by side while a release is rolled, and a step back is safe by one release.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.store.driver import Database


class NewerSchema(Exception):
    """The database was changed by a newer program."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One change; `run` may be begun again after it was interrupted, and must then come to the same."""

    number: int
    what: str
    run: Callable[[Database], Awaitable[None]]


async def _as_it_stands(database: Database) -> None:
    """The indexes are all that there is to do."""


MIGRATIONS: tuple[Migration, ...] = (Migration(1, "records, feeds and ledgers as in 1.0.0", _as_it_stands),)
NEWEST = MIGRATIONS[-1].number


async def schema_of(database: Database) -> int:
    """The number of the last change that was made, 0 where none ever was."""
    found = await database["meta"].find_one({"_id": "schema"})
    return int(found["number"]) if found else 0


async def check(database: Database) -> None:
    """Raises `NewerSchema` where this program could not read what stands there, or would write what nobody expects."""
    number = await schema_of(database)
    if number > NEWEST:
        raise NewerSchema(
            f"The database has schema {number}, and this program knows {NEWEST}: a newer release has changed it. "
            "Start that release, or a newer one."
        )


async def apply(database: Database, tell: Callable[[str], None]) -> None:
    """Make the changes that were not made yet, one after the other; again changes nothing."""
    await check(database)
    for migration in MIGRATIONS[await schema_of(database) :]:
        tell(f"schema {migration.number}: {migration.what}")
        await migration.run(database)
        # A newer release may have gone further meanwhile, and its fence stays where it is.
        raised = {"$max": {"number": migration.number}}
        await database["meta"].update_one({"_id": "schema"}, raised, upsert=True)
