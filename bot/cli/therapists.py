"""`therapist add`, `code` and `sign-out`: who works here, who cannot get in, and whose phone was lost."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
from typing import Any

from bot.access.tokens import LIVES
from bot.clock import DatabaseClock
from bot.identity import key_of, new_id
from bot.runtime.launch import with_servers
from bot.schemas.fields import parse_phone
from bot.services import connected, open_post
from bot.settings.settings import Settings
from bot.store.sign_ins import CODE_IS_FRESH
from bot.store.therapists import PhoneTaken, TherapistRecord, Therapists
from bot.store.token_families import TokenFamilies


def add_parser(commands: Any) -> None:
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
    code = therapist.add_parser("code", help="print a code to sign in with, for a therapist whose own does not arrive")
    code.set_defaults(run=_print_code)
    code.add_argument("phone")
    sign_out = therapist.add_parser("sign-out", help="end every session of a therapist, as after a lost phone")
    sign_out.set_defaults(run=_sign_therapist_out)
    sign_out.add_argument("phone")


def _add_therapist(settings: Settings, arguments: argparse.Namespace) -> int:
    phone = _phone_of(settings, arguments)
    if phone is None:
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


def _phone_of(settings: Settings, arguments: argparse.Namespace) -> str | None:
    """The number of the command, None where it is none; then it has been said why."""
    try:
        return parse_phone(arguments.phone, settings.default_region)
    except ValueError as error:
        sys.stderr.write(f"the phone number {error}\n")
        return None


def _print_code(settings: Settings, arguments: argparse.Namespace) -> int:
    """The code that a short message would bring; read it to nobody but the person whose number it is."""
    phone = _phone_of(settings, arguments)
    if phone is None:
        return 2

    async def issue() -> tuple[TherapistRecord, str] | None:
        async with connected(ready) as database:
            post = await open_post(ready, database)
            therapist = await post.therapists.with_phone(phone)
            if therapist is None:
                return None
            issued = await post.sign_ins.issue(phone, secrets.token_hex(16), post.clock.now())
            return therapist, post.tokens.sign_in_code(phone, issued.nonce)

    with with_servers(settings) as ready:
        issued = asyncio.run(issue())
    if issued is None:
        sys.stderr.write(f"nobody has the phone number {phone}\n")
        return 1
    therapist, code = issued
    minutes = round(CODE_IS_FRESH.total_seconds() / 60)
    sys.stdout.write(f"{code} is the code of {therapist.id} {therapist.name}, good for at least {minutes} minutes\n")
    return 0


def _sign_therapist_out(settings: Settings, arguments: argparse.Namespace) -> int:
    """Their tokens open nothing any more; running processes close their connections within seconds."""
    phone = _phone_of(settings, arguments)
    if phone is None:
        return 2

    async def sign_out() -> TherapistRecord | None:
        async with connected(ready) as database:
            clock = DatabaseClock(database)
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
