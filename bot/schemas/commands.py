"""Every command there is, by who may say it."""

from __future__ import annotations

from collections.abc import Mapping

from bot.identity import Audience
from bot.schemas.command import Command, CountsAs
from bot.schemas.guest import GUEST_COMMANDS
from bot.schemas.therapist import THERAPIST_COMMANDS

COMMANDS: Mapping[Audience, Mapping[str, Command]] = {"guest": GUEST_COMMANDS, "therapist": THERAPIST_COMMANDS}


def counts_as(audience: Audience, name: str) -> CountsAs:
    """Which buckets a command takes from; one that nobody knows counts, too."""
    row = COMMANDS[audience].get(name)
    return row.counts_as if row is not None else "commands"
