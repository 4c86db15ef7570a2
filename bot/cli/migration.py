"""`migrate`: what the database needs before anybody comes; doing it again changes nothing."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from bot.cli.demo import seed, seed_catalogue
from bot.runtime.launch import with_servers
from bot.services import connected, migrate
from bot.settings.settings import Settings


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("migrate", help="build the indexes; again changes nothing")
    parser.add_argument(
        "--example-menu", action="store_true", help="fill an empty catalogue with the example's services"
    )
    parser.set_defaults(run=run)


def run(settings: Settings, arguments: argparse.Namespace) -> int:
    with with_servers(settings) as ready:
        asyncio.run(prepare(ready, with_menu=arguments.example_menu))
    sys.stdout.write("the indexes are in place\n")
    return 0


async def prepare(settings: Settings, *, with_menu: bool = False) -> None:
    """The example's services come into an empty catalogue and only where they are wanted: who deleted some meant it."""
    await migrate(settings, lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201 - whoever releases waits
    async with connected(settings) as database:
        if settings.demo or with_menu:
            await seed_catalogue(database)
        if settings.demo:
            await seed(database)
