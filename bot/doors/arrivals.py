"""Coming in, on whichever transport: who the token says somebody is, their language, and their first snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from zoneinfo import available_timezones

from bot.auth import new_id
from bot.doors.answers import refusal
from bot.doors.snapshots import Snapshot, guest_snapshot, therapist_snapshot
from bot.payloads import GuestConnect, TherapistConnect
from bot.services import Services
from conversations import events as on
from conversations.values import Locale


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who came in: `subject` is a conversation's id for guests, a therapist's for therapists."""

    subject: str
    locale: Locale
    timezone: str | None
    snapshot: Snapshot


async def admit_guest(services: Services, connect: GuestConnect, locale: Locale) -> Arrival:
    """Anybody may come in: without a token, or with one that opens nothing, a new conversation begins."""
    timezone = known_timezone(connect.timezone)
    conversation_id, token = services.tokens.subject("guest", connect.token), connect.token
    if conversation_id is None or token is None:
        conversation_id = new_id("c")
        token = services.tokens.sign("guest", conversation_id)
    else:
        await _remember_language(services, conversation_id, locale, timezone)
    snapshot = await guest_snapshot(
        services, conversation_id, since=connect.since, epoch=connect.epoch, locale=locale, token=token
    )
    return Arrival(conversation_id, locale, timezone, snapshot)


async def admit_therapist(services: Services, connect: TherapistConnect, locale: Locale) -> Arrival:
    """Raises `unauthorized` without a therapist's token."""
    therapist_id = services.tokens.subject("therapist", connect.token)
    if therapist_id is None:
        raise refusal("unauthorized")
    snapshot = await therapist_snapshot(services, therapist_id, since=connect.since, epoch=connect.epoch, locale=locale)
    return Arrival(therapist_id, locale, None, snapshot)


async def _remember_language(services: Services, conversation_id: str, locale: Locale, timezone: str | None) -> None:
    """Messages that are sent to the guest later speak the language that was chosen last."""
    stored = await services.conversations.load(conversation_id)
    if stored is not None:
        await services.turns.take("conversation", conversation_id, on.LocaleChosen(locale, timezone))


def known_timezone(name: str | None) -> str | None:
    return name if name in _timezones() else None


@cache
def _timezones() -> frozenset[str]:
    """The names that there are; looking them up reads many files, so it is done once."""
    return frozenset(available_timezones())
