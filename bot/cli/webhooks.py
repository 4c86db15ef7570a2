"""`python -m bot webhook`: tells other systems what happens here, lists them, forgets them, and tells them again."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, TypeVar

from bot.clock import DatabaseClock
from bot.integrations.public_addresses import check_url
from bot.runtime.launch import with_servers
from bot.schemas.views import moment
from bot.services import connected
from bot.settings.settings import Settings
from bot.store.webhooks import EVENT_TYPES, Endpoint, Webhooks

T = TypeVar("T")


def add_parser(commands: Any) -> None:
    """The command and its four words."""
    words = commands.add_parser("webhook", help="systems that are told what happens")
    words = words.add_subparsers(metavar="word", required=True)
    add = words.add_parser("add", help="tell a system from now on, and show the secret that signs it, once")
    add.set_defaults(run=_add)
    add.add_argument("url")
    add.add_argument("--event", action="append", default=[], choices=EVENT_TYPES, help="all where none is named")
    words.add_parser("list", help="all systems, without their secrets").set_defaults(run=_list)
    remove = words.add_parser("remove", help="tell a system nothing any more")
    remove.set_defaults(run=_remove)
    remove.add_argument("id")
    replay = words.add_parser("replay", help="tell again; a system that was disabled is not any more")
    replay.set_defaults(run=_replay)
    replay.add_argument("id", help="of a delivery, or with --since of a system")
    replay.add_argument("--since", type=_moment, help="everything from this moment on, like 2026-12-01T03:00:00Z")


def _add(settings: Settings, arguments: argparse.Namespace) -> int:
    try:
        url = check_url(arguments.url, may_be_private=settings.webhooks_to_private_addresses)
    except ValueError as error:
        sys.stderr.write(f"url {error}\n")
        return 2
    endpoint = _with_webhooks(settings, lambda webhooks, now: webhooks.add(url, arguments.event, now))
    sys.stdout.write(f"{endpoint.secret}\n")
    sys.stderr.write(f"{endpoint.id} is told of {', '.join(endpoint.event_types)}: the secret is shown only now\n")
    return 0


def _list(settings: Settings, _: argparse.Namespace) -> int:
    endpoints = _with_webhooks(settings, lambda webhooks, _: webhooks.all())
    sys.stdout.writelines(f"{_line(each)}\n" for each in endpoints)
    return 0


def _remove(settings: Settings, arguments: argparse.Namespace) -> int:
    if not _with_webhooks(settings, lambda webhooks, _: webhooks.remove(arguments.id)):
        sys.stderr.write(f"there is no system {arguments.id}\n")
        return 1
    sys.stdout.write(f"{arguments.id} is told nothing any more\n")
    return 0


def _replay(settings: Settings, arguments: argparse.Namespace) -> int:
    def replay(webhooks: Webhooks, now: datetime) -> Awaitable[int]:
        if arguments.since is not None:
            return webhooks.replay_since(arguments.id, arguments.since, now)
        return webhooks.replay(arguments.id, now)

    count = _with_webhooks(settings, replay)
    sys.stdout.write(f"told again: {count}\n")
    return 0 if count else 1


def _with_webhooks(settings: Settings, work: Callable[[Webhooks, datetime], Awaitable[T]]) -> T:
    async def run() -> T:
        async with connected(ready) as database:
            clock = DatabaseClock(database)
            await clock.measure()
            return await work(Webhooks(database["webhook_endpoints"], database["webhook_deliveries"]), clock.now())

    with with_servers(settings) as ready:
        return asyncio.run(run())


def _moment(text: str) -> datetime:
    """Raises ValueError, which argparse turns into a line of its own."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError
    return at


def _line(endpoint: Endpoint) -> str:
    state = "told"
    if endpoint.disabled_at:
        state = f"disabled {moment(endpoint.disabled_at)} because {endpoint.disabled_why}"
    elif endpoint.failing_since:
        state = f"failing since {moment(endpoint.failing_since)}"
    return f"{endpoint.id}  {endpoint.url}  {' '.join(endpoint.event_types)}  {state}"
