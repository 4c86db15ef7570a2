"""`demo` and `simulate`: everything at once, with therapists who answer by themselves."""

from __future__ import annotations

import argparse
import asyncio
import sys

import uvloop

from bot.access.tokens import Tokens
from bot.cli import simulated
from bot.cli.migration import prepare
from bot.clock import DatabaseClock
from bot.identity import key_of
from bot.runtime.launch import environment_of, with_servers
from bot.runtime.supervisor import run_together
from bot.services import connected
from bot.settings.kinds import is_on_this_machine
from bot.settings.settings import Settings
from bot.store.therapists import Therapists
from bot.store.token_families import TokenFamilies

WELCOME = """
  Janji is starting.

    shop and chat      {address}/
    therapist console  {address}/therapist   (sign in with the number it shows; the code appears on the page)

  Simulated therapists around Jakarta and Bali answer by themselves. Stop with Ctrl-C.

"""


def run(settings: Settings, _: argparse.Namespace) -> int:
    """Everything at once: servers, data, one web process, the workers and the simulated therapists."""
    if settings.mongodb_uri is not None and not is_on_this_machine(settings.mongodb_uri):
        sys.stderr.write(
            "MONGODB_URI names another machine: a demonstration shows codes to everybody and starts beside none.\n"
        )
        return 2
    settings = settings.model_copy(update={"demo": True, "host": host_of(settings)})
    with with_servers(settings) as ready:
        asyncio.run(prepare(ready))
        address = address_of(ready)
        sys.stdout.write(WELCOME.format(address=address))
        sys.stdout.flush()
        environment = environment_of(ready, JANJI_DEMO="true", JANJI_HOST=ready.host, JANJI_LOG_LEVEL=ready.log_level)
        commands = {"web": ("bot",), "workers": ("workers",), "simulation": ("bot", "simulate")}
        return run_together(commands, environment)


def host_of(settings: Settings) -> str:
    """A PORT alone opens a server to everybody; a demonstration is open only where somebody names the host."""
    return settings.host if "host" in settings.model_fields_set else "127.0.0.1"


def address_of(settings: Settings) -> str:
    """Where this machine reaches it; one that listens everywhere does so at the loopback too."""
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(settings.host, settings.host)  # noqa: S104 - read, not listened on
    return f"http://[{host}]:{settings.port}" if ":" in host and host[0] != "[" else f"http://{host}:{settings.port}"


def simulate_therapists(settings: Settings, _: argparse.Namespace) -> int:
    async def simulate() -> int:
        async with connected(settings) as database:
            clock = DatabaseClock(database)
            await clock.measure()
            therapists = await Therapists(database["therapists"]).simulated()
            families = TokenFamilies(database["token_families"])
            versions = {each.id: (await families.get(key_of("therapist", each.id))).version for each in therapists}
        tokens = Tokens(settings.secret, clock.now)
        base_url = address_of(settings)
        if not therapists:
            sys.stderr.write("there are no simulated therapists in this database\n")
            return 1

        def token_of(therapist_id: str) -> str:
            return tokens.sign("therapist", therapist_id, version=versions[therapist_id])

        await simulated.run(base_url, therapists, token_of)
        return 0

    return uvloop.run(simulate())
