"""The command line: `python -m bot` serves; the other commands do what their names say."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable

from bot.app import check_port, serve
from bot.cli import api_keys, demonstration, diagram, migration, notifications, records, therapists, webhooks
from bot.errors import Refusal
from bot.logs.failures import why
from bot.logs.setup import configure
from bot.runtime.embedded import ServerFailed
from bot.runtime.ending import leave
from bot.runtime.launch import environment_of, with_servers
from bot.runtime.supervisor import run_together
from bot.settings import vapid
from bot.settings.loading import SettingsError, load_settings
from bot.settings.settings import Settings
from bot.store.driver import PyMongoError
from bot.store.indexes import CannotBuild
from bot.store.migrations import NewerSchema


def _serve(settings: Settings, _: argparse.Namespace) -> int:
    """One process, or WEB_CONCURRENCY of them on the same port; each migrates nothing and shares nothing."""
    with with_servers(settings) as ready:
        if settings.mongodb_uri is None:
            # A private server of ours, to try the program out.
            asyncio.run(migration.prepare(ready, with_menu=True))
        if settings.web_concurrency == 1:
            serve(ready)
            return 0
        check_port(ready.host, ready.port)
        workers = {f"web {number + 1}": ("bot", "web") for number in range(settings.web_concurrency)}
        return run_together(workers, environment_of(ready))


def _web(settings: Settings, _: argparse.Namespace) -> int:
    serve(settings, reuse_port=True)
    return 0


def _diagram(_: Settings, __: argparse.Namespace) -> int:
    sys.stdout.write(diagram.write_into_readme())
    return 0


def _contracts(_: Settings, __: argparse.Namespace) -> int:
    from bot.contract import catalogue  # whose models take a third of a second, which no other command shall wait

    sys.stdout.write(catalogue.write())
    return 0


def _vapid_keys(_: Settings, __: argparse.Namespace) -> int:
    private_key = vapid.new_private_key()
    sys.stdout.write(
        f"# public, for pages: {vapid.public_key_of(private_key)}\nJANJI_VAPID_PRIVATE_KEY={private_key}\n"
    )
    return 0


Command = Callable[[Settings, argparse.Namespace], int]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bot", description="Janji: bookings in a chat.")
    parser.set_defaults(run=_serve)
    commands = parser.add_subparsers(metavar="command")
    for name, run, text in (
        ("web", _web, "one web process of several on the same port"),
        ("demo", demonstration.run, "start everything with example data and simulated therapists"),
        ("simulate", demonstration.simulate_therapists, "the simulated therapists alone"),
        ("diagram", _diagram, "print the state diagram into the README"),
        ("vapid-keys", _vapid_keys, "make a key pair for Web Push, as a line for the environment"),
        ("contracts", _contracts, "write the catalogue of events, docs/events.md"),
    ):
        commands.add_parser(name, help=text).set_defaults(run=run)
    migration.add_parser(commands)
    therapists.add_parser(commands)
    api_keys.add_parser(commands)
    webhooks.add_parser(commands)
    notifications.add_parser(commands)
    records.add_parser(commands)
    return parser


def main(arguments: list[str]) -> int:
    parsed = _parser().parse_args(arguments)
    run: Command = parsed.run
    try:
        settings = load_settings()
        configure(settings)
        return run(settings, parsed)
    except (SettingsError, ServerFailed, NewerSchema, Refusal) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except CannotBuild as error:
        sys.stderr.write(f"{error}: {why(error.__cause__ or error)}\n")
        return 1
    except PyMongoError as error:
        sys.stderr.write(f"MongoDB cannot be used: {why(error)}\n")
        return 1


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
