"""The command line: `python -m bot` serves; the other commands do what their names say."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable

import uvloop

from bot.access.tokens import LIVES, Tokens
from bot.app import serve
from bot.cli import api_keys, diagram, notifications, simulated, webhooks
from bot.cli.demo import seed, seed_catalogue
from bot.clock import Clock
from bot.errors import Refusal
from bot.identity import key_of, new_id
from bot.logs.failures import why
from bot.logs.setup import configure
from bot.runtime.embedded import ServerFailed
from bot.runtime.ending import leave
from bot.runtime.launch import environment_of, with_servers
from bot.runtime.supervisor import run_together
from bot.schemas.fields import parse_phone
from bot.services import connected, migrate
from bot.settings import vapid
from bot.settings.loading import SettingsError, load_settings
from bot.settings.settings import Settings
from bot.store.driver import PyMongoError
from bot.store.indexes import CannotBuild
from bot.store.therapists import PhoneTaken, TherapistRecord, Therapists
from bot.store.token_families import TokenFamilies


def _serve(settings: Settings, _: argparse.Namespace) -> int:
    """One process, or WEB_CONCURRENCY of them on the same port; each migrates nothing and shares nothing."""
    with with_servers(settings) as ready:
        if settings.mongodb_uri is None:
            asyncio.run(_prepare(ready))
        if settings.web_concurrency == 1:
            serve(ready)
            return 0
        workers = {f"web {number + 1}": ("bot", "web") for number in range(settings.web_concurrency)}
        return run_together(workers, environment_of(ready))


def _web(settings: Settings, _: argparse.Namespace) -> int:
    serve(settings, reuse_port=True)
    return 0


def _migrate(settings: Settings, _: argparse.Namespace) -> int:
    with with_servers(settings) as ready:
        asyncio.run(_prepare(ready))
    sys.stdout.write("indexes and catalogue are in place\n")
    return 0


async def _prepare(settings: Settings) -> None:
    await migrate(settings)
    async with connected(settings) as database:
        await seed_catalogue(database)
        if settings.demo:
            await seed(database)


def _add_therapist(settings: Settings, arguments: argparse.Namespace) -> int:
    try:
        phone = parse_phone(arguments.phone, settings.default_region)
    except ValueError as error:
        sys.stderr.write(f"--phone {error}\n")
        return 2
    therapist = TherapistRecord(
        id=new_id("t"),
        name=arguments.name,
        phone=phone,
        photo=arguments.photo,
        rating=5.0,
        rating_count=0,
        gender=arguments.gender,
        specialties=tuple(arguments.specialty),
        languages=tuple(arguments.language),
        durations=(60, 90, 120),
        latitude=arguments.latitude,
        longitude=arguments.longitude,
        is_available=False,
        is_simulated=False,
        locale=settings.default_locale,
        visits=0,
    )

    async def add() -> None:
        async with connected(ready) as database:
            await Therapists(database["therapists"]).add(therapist)

    with with_servers(settings) as ready:
        try:
            asyncio.run(add())
        except PhoneTaken:
            sys.stderr.write(f"--phone {phone} belongs to another therapist\n")
            return 1
    sys.stdout.write(f"{therapist.id} {therapist.name} can sign in with {phone} at /therapist\n")
    return 0


def _sign_therapist_out(settings: Settings, arguments: argparse.Namespace) -> int:
    """Their tokens open nothing any more; running processes close their connections within seconds."""
    try:
        phone = parse_phone(arguments.phone, settings.default_region)
    except ValueError as error:
        sys.stderr.write(f"the phone number {error}\n")
        return 2

    async def sign_out() -> TherapistRecord | None:
        async with connected(ready) as database:
            clock = Clock(database)
            await clock.measure()
            therapist = await Therapists(database["therapists"]).with_phone(phone)
            if therapist is not None:
                families = TokenFamilies(database["token_families"])
                await families.end(key_of("therapist", therapist.id), clock.now(), LIVES["therapist"])
            return therapist

    with with_servers(settings) as ready:
        therapist = asyncio.run(sign_out())
    if therapist is None:
        sys.stderr.write(f"nobody has the phone number {phone}\n")
        return 1
    sys.stdout.write(f"{therapist.id} {therapist.name} is signed out everywhere\n")
    return 0


def _demo(settings: Settings, _: argparse.Namespace) -> int:
    """Everything at once: servers, data, one web process, the workers and the simulated therapists."""
    settings = settings.model_copy(update={"demo": True})
    with with_servers(settings) as ready:
        asyncio.run(_prepare(ready))
        address = f"http://127.0.0.1:{ready.port}"
        sys.stdout.write(_WELCOME.format(address=address))
        sys.stdout.flush()
        environment = environment_of(ready, JANJI_DEMO="true", JANJI_LOG_LEVEL=ready.log_level)
        commands = {"web": ("bot",), "workers": ("workers",), "simulation": ("bot", "simulate")}
        return run_together(commands, environment)


_WELCOME = """
  Janji is starting.

    shop and chat      {address}/
    therapist console  {address}/therapist   (sign in with the number it shows; the code appears on the page)

  Simulated therapists around Jakarta and Bali answer by themselves. Stop with Ctrl-C.

"""


def _simulate(settings: Settings, _: argparse.Namespace) -> int:
    async def simulate() -> int:
        async with connected(settings) as database:
            clock = Clock(database)
            await clock.measure()
            therapists = await Therapists(database["therapists"]).simulated()
            families = TokenFamilies(database["token_families"])
            versions = {each.id: (await families.get(key_of("therapist", each.id))).version for each in therapists}
        tokens = Tokens(settings.secret, clock.now)
        base_url = f"http://127.0.0.1:{settings.port}"
        if not therapists:
            sys.stderr.write("there are no simulated therapists in this database\n")
            return 1

        def token_of(therapist_id: str) -> str:
            return tokens.sign("therapist", therapist_id, version=versions[therapist_id])

        await simulated.run(base_url, therapists, token_of)
        return 0

    return uvloop.run(simulate())


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
        ("migrate", _migrate, "build the indexes and the catalogue; again changes nothing"),
        ("demo", _demo, "start everything with example data and simulated therapists"),
        ("simulate", _simulate, "the simulated therapists alone"),
        ("diagram", _diagram, "print the state diagram into the README"),
        ("vapid-keys", _vapid_keys, "make a key pair for Web Push, as a line for the environment"),
        ("contracts", _contracts, "write the catalogue of events, docs/events.md"),
    ):
        commands.add_parser(name, help=text).set_defaults(run=run)
    therapist = commands.add_parser("therapist", help="therapists").add_subparsers(metavar="command", required=True)
    add = therapist.add_parser("add", help="add a therapist, who can then sign in")
    add.set_defaults(run=_add_therapist)
    add.add_argument("--name", required=True)
    add.add_argument("--phone", required=True)
    add.add_argument("--gender", required=True, choices=("female", "male"))
    add.add_argument("--latitude", required=True, type=float)
    add.add_argument("--longitude", required=True, type=float)
    add.add_argument("--photo", default="/photos/01.svg")
    add.add_argument("--specialty", action="append", default=[])
    add.add_argument("--language", action="append", default=[])
    sign_out = therapist.add_parser("sign-out", help="end every session of a therapist, as after a lost phone")
    sign_out.set_defaults(run=_sign_therapist_out)
    sign_out.add_argument("phone")
    api_keys.add_parser(commands)
    webhooks.add_parser(commands)
    notifications.add_parser(commands)
    return parser


def main(arguments: list[str]) -> int:
    parsed = _parser().parse_args(arguments)
    run: Command = parsed.run
    try:
        settings = load_settings()
        configure(settings)
        return run(settings, parsed)
    except (SettingsError, ServerFailed, Refusal) as error:
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
