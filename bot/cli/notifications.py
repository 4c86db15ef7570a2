"""`python -m bot notifications`: lists what waits and what is dead, shows one, tries it again or gives it up."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson

from bot.clock import DatabaseClock
from bot.integrations.delivery_desk import DEAD, WAITING, DeliveryDesk
from bot.runtime.launch import with_servers
from bot.services import connected
from bot.settings.settings import Settings
from bot.store.breakers import Breakers
from bot.store.inbox import Inbox
from bot.store.notifications import Notifications, Status

STATUSES: Mapping[str, tuple[Status, ...]] = {"pending": WAITING, "dead": DEAD}
MOST_LISTED = 1_000


def add_parser(commands: Any) -> None:
    """The command and its four words."""
    parser = commands.add_parser("notifications", help="what people are told, and what became of it")
    words = parser.add_subparsers(metavar="word", required=True)
    listing = words.add_parser("list", help="what waits, or with --status dead what could not be told")
    listing.set_defaults(run=_list)
    listing.add_argument("--status", choices=tuple(STATUSES), default="pending")
    listing.add_argument("--limit", type=_count, default=50)
    listing.add_argument("--offset", type=int, default=0)
    for name, text in (
        ("show", "everything that is known of one"),
        ("retry", "try a dead one again"),
        ("discard", "give up one that is dead or waits"),
    ):
        word = words.add_parser(name, help=text)
        word.set_defaults(run=_one(name))
        word.add_argument("id")


def _count(text: str) -> int:
    if not 1 <= int(text) <= MOST_LISTED:
        raise ValueError
    return int(text)


def _list(settings: Settings, arguments: argparse.Namespace) -> int:
    statuses, limit, offset = STATUSES[arguments.status], arguments.limit, max(0, arguments.offset)
    page = _at_the_desk(settings, lambda desk: desk.page(statuses, limit, offset))
    sys.stdout.writelines(f"{_line(each)}\n" for each in page["notifications"])
    sys.stderr.write(f"{len(page['notifications'])} of {page['total']}\n")
    return 0


def _one(name: str) -> Callable[[Settings, argparse.Namespace], int]:
    def run(settings: Settings, arguments: argparse.Namespace) -> int:
        view = _at_the_desk(settings, lambda desk: getattr(desk, name)(arguments.id))
        sys.stdout.write(orjson.dumps(view, option=orjson.OPT_INDENT_2).decode() + "\n")
        return 0

    return run


def _at_the_desk(settings: Settings, ask: Callable[[DeliveryDesk], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        async with connected(ready) as database:
            clock = DatabaseClock(database)
            await clock.measure()
            ledger = Notifications(database["notifications"])
            desk = DeliveryDesk(ready, ledger, Breakers(database["breakers"]), Inbox(database["inbox"]), clock.now)
            return await ask(desk)

    with with_servers(settings) as ready:
        return asyncio.run(run())


def _line(view: Mapping[str, Any]) -> str:
    reason = f"  {view['reason']}" if view["reason"] else ""
    told = f"{view['id']}  {view['status']:8} {view['kind']} to the {view['side']} by {view['channel']}"
    return f"{told}, due {view['due_at']}, {view['attempts']} attempts{reason}"
