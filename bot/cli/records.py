"""`python -m bot records`: what could not be read and is left alone, and how it goes on when that is mended."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from bot.runtime.launch import with_servers
from bot.schemas.views import moment
from bot.services import connected
from bot.settings.settings import Settings
from bot.store.driver import Database
from bot.store.kinds import KINDS, RecordName
from bot.store.records import Records

BY_NAME = {kind.name: kind for kind in KINDS}


def add_parser(commands: Any) -> None:
    """The command and its three words."""
    words = commands.add_parser("records", help="records that cannot be read").add_subparsers(
        metavar="word", required=True
    )
    words.add_parser("list", help="those that are parked, and why").set_defaults(run=_list)
    for name, run, text in (("show", _show, "a record as it stands"), ("unpark", _unpark, "let it be tried again")):
        word = words.add_parser(name, help=text)
        word.set_defaults(run=run)
        word.add_argument("kind", choices=sorted(BY_NAME))
        word.add_argument("id")


def _records(database: Database, name: RecordName) -> Records[Any]:
    kind = BY_NAME[name]
    return Records(database[kind.collection], kind)


def _list(settings: Settings, _: argparse.Namespace) -> int:
    async def read() -> list[str]:
        async with connected(ready) as database:
            return [
                f"{name} {each.id} parked {moment(each.at)}: {each.why}"
                for name in sorted(BY_NAME)
                for each in await _records(database, name).parked()
            ]

    with with_servers(settings) as ready:
        lines = asyncio.run(read())
    sys.stdout.writelines(f"{line}\n" for line in lines)
    return 0


def _show(settings: Settings, arguments: argparse.Namespace) -> int:
    async def read() -> Any:
        async with connected(ready) as database:
            return await _records(database, arguments.kind).raw(arguments.id)

    with with_servers(settings) as ready:
        document = asyncio.run(read())
    if document is None:
        return _unknown(arguments)
    for name, value in document.items():
        sys.stdout.write(f"{name}: {value!r}\n")
    return 0


def _unpark(settings: Settings, arguments: argparse.Namespace) -> int:
    async def unpark() -> bool:
        async with connected(ready) as database:
            return await _records(database, arguments.kind).unpark(arguments.id)

    with with_servers(settings) as ready:
        is_done = asyncio.run(unpark())
    return 0 if is_done else _unknown(arguments)


def _unknown(arguments: argparse.Namespace) -> int:
    sys.stderr.write(f"there is no such {arguments.kind}: {arguments.id}\n")
    return 1
