"""`python -m bot apikey`: gives other systems keys, lists them, and takes them back."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from bot.clock import DatabaseClock
from bot.runtime.launch import with_servers
from bot.schemas.views import moment
from bot.services import connected
from bot.settings.settings import Settings
from bot.store.api_keys import SCOPES, ApiKey, ApiKeys


def add_parser(commands: Any) -> None:
    """The command and its three words."""
    words = commands.add_parser("apikey", help="keys of other systems").add_subparsers(metavar="word", required=True)
    add = words.add_parser("add", help="make a key and show it, once")
    add.set_defaults(run=_add)
    add.add_argument("--name", required=True, help="whose key it is")
    add.add_argument("--scope", required=True, action="append", choices=SCOPES)
    words.add_parser("list", help="all keys, without their secrets").set_defaults(run=_list)
    revoke = words.add_parser("revoke", help="let a key open nothing any more")
    revoke.set_defaults(run=_revoke)
    revoke.add_argument("id")


def _add(settings: Settings, arguments: argparse.Namespace) -> int:
    async def add() -> tuple[ApiKey, str]:
        async with connected(ready) as database:
            clock = DatabaseClock(database)
            await clock.measure()
            return await ApiKeys(database["api_keys"]).issue(arguments.name, arguments.scope, clock.now())

    with with_servers(settings) as ready:
        key, text = asyncio.run(add())
    sys.stdout.write(f"{text}\n")
    sys.stderr.write(f"key {key.id} of {key.name} for {', '.join(key.scopes)}: it is shown only now\n")
    return 0


def _list(settings: Settings, _: argparse.Namespace) -> int:
    async def read() -> list[ApiKey]:
        async with connected(ready) as database:
            return await ApiKeys(database["api_keys"]).all()

    with with_servers(settings) as ready:
        keys = asyncio.run(read())
    sys.stdout.writelines(f"{_line(key)}\n" for key in keys)
    return 0


def _revoke(settings: Settings, arguments: argparse.Namespace) -> int:
    async def revoke() -> bool:
        async with connected(ready) as database:
            clock = DatabaseClock(database)
            await clock.measure()
            return await ApiKeys(database["api_keys"]).revoke(arguments.id, clock.now())

    with with_servers(settings) as ready:
        is_revoked = asyncio.run(revoke())
    if not is_revoked:
        sys.stderr.write(f"there is no key {arguments.id} that opens anything\n")
        return 1
    sys.stdout.write(f"key {arguments.id} opens nothing any more\n")
    return 0


def _line(key: ApiKey) -> str:
    used = f"last used {moment(key.last_used_at)}" if key.last_used_at else "never used"
    ended = f", revoked {moment(key.revoked_at)}" if key.revoked_at else ""
    return f"{key.id}  {key.name}  {' '.join(key.scopes)}  made {moment(key.created_at)}, {used}{ended}"
