"""Puts the menu into a new installation and, for a demonstration, its therapists too; again changes nothing."""

from __future__ import annotations

from contextlib import suppress

from bot.cli.demo_data import CATALOGUE, THERAPISTS
from bot.store.catalogue import Catalogue
from bot.store.driver import Database
from bot.store.therapists import PhoneTaken, Therapists


async def seed_catalogue(database: Database) -> None:
    """The example's menu into a catalogue that is empty; one that an operator has changed stays as they left it."""
    catalogue = Catalogue(database["services"])
    if not await catalogue.all():
        await catalogue.add_missing(CATALOGUE)


async def seed(database: Database) -> None:
    """The therapists of the demonstration; whoever has one of their phone numbers already stays as they are."""
    therapists = Therapists(database["therapists"])
    for therapist in THERAPISTS:
        with suppress(PhoneTaken):
            await therapists.add(therapist)
