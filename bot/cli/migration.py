"""`migrate`: what the database needs before anybody comes; doing it again changes nothing."""

from __future__ import annotations

import argparse
import asyncio
import sys

from bot.cli.demo import seed, seed_catalogue
from bot.runtime.launch import with_servers
from bot.services import connected, migrate
from bot.settings.settings import Settings


def run(settings: Settings, _: argparse.Namespace) -> int:
    with with_servers(settings) as ready:
        asyncio.run(prepare(ready))
    sys.stdout.write("indexes and catalogue are in place\n")
    return 0


async def prepare(settings: Settings) -> None:
    await migrate(settings)
    async with connected(settings) as database:
        await seed_catalogue(database)
        if settings.demo:
            await seed(database)
