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
    settings = settings.model_copy(update={"demo": True})
    with with_servers(settings) as ready:
        asyncio.run(prepare(ready))
        address = f"http://127.0.0.1:{ready.port}"
        sys.stdout.write(WELCOME.format(address=address))
        sys.stdout.flush()
        environment = environment_of(ready, JANJI_DEMO="true", JANJI_LOG_LEVEL=ready.log_level)
        commands = {"web": ("bot",), "workers": ("workers",), "simulation": ("bot", "simulate")}
        return run_together(commands, environment)


def simulate_therapists(settings: Settings, _: argparse.Namespace) -> int:
    async def simulate() -> int:
        async with connected(settings) as database:
            clock = DatabaseClock(database)
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
