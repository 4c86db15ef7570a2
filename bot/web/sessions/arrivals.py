"""Coming in, on whichever transport: who the token says somebody is, their language, and their first snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from zoneinfo import available_timezones

from bot.access.limits import Asker
from bot.identity import Audience, new_id
from bot.schemas.guest import GuestConnect
from bot.schemas.therapist import TherapistConnect
from bot.services import Services
from bot.store.kinds import CONVERSATION
from bot.store.tickets import Bearer
from bot.turns.turns import Sender
from bot.web.sessions.answers import refusal
from bot.web.sessions.snapshots import Snapshot, guest_snapshot, therapist_snapshot
from conversations import events as on
from conversations.values import Locale


@dataclass(frozen=True, slots=True)
class Arrival:
    """Who came in, and what they see first."""

    bearer: Bearer
    locale: Locale
    timezone: str | None
    snapshot: Snapshot


async def admit_guest(services: Services, connect: GuestConnect, locale: Locale, address: str) -> Arrival:
    """Anybody may come in: without a token, or with one that opens nothing, a new conversation begins."""
    timezone = known_timezone(connect.timezone)
    await _knock(services, "guest", connect.token, address)
    renewed = await services.access.renew(connect.token)
    if renewed is None:
        bearer = Bearer("guest", new_id("c"))
        token = services.tokens.sign("guest", bearer.subject)
    else:
        bearer, token = renewed.bearer, renewed.token
        await _remember_language(services, bearer.subject, locale, timezone)
    snapshot = await guest_snapshot(
        services,
        bearer.subject,
        since=connect.since,
        epoch=connect.epoch,
        locale=locale,
        token=token,
        is_new=renewed is None,
    )
    return Arrival(bearer, locale, timezone, snapshot)


async def admit_therapist(services: Services, connect: TherapistConnect, locale: Locale, address: str) -> Arrival:
    """Raises `unauthorized` without a therapist's token."""
    await _knock(services, "therapist", connect.token, address)
    bearer = await services.access.bearer_of("therapist", connect.token, is_arriving=True)
    if bearer is None:
        raise refusal("unauthorized")
    snapshot = await therapist_snapshot(
        services, bearer.subject, since=connect.since, epoch=connect.epoch, locale=locale
    )
    return Arrival(bearer, locale, None, snapshot)


async def _knock(services: Services, audience: Audience, token: str | None, address: str) -> None:
    """Before anything is looked up, and be the token good or not. Raises `too_many_requests`."""
    claims = services.tokens.read(audience, token)
    await services.limits.take("connects", Asker(address, claims.subject if claims else ""))


async def _remember_language(services: Services, conversation_id: str, locale: Locale, timezone: str | None) -> None:
    """Messages that are sent to the guest later speak the language that was chosen last."""
    stored = await services.conversations.load_with_others(conversation_id)
    if stored is None:
        return
    known = stored.record
    if (known.locale, known.timezone) != (locale, timezone or known.timezone):
        await services.turns.take(
            CONVERSATION, conversation_id, on.LocaleChosen(locale, timezone), by=Sender("guest", conversation_id)
        )


def known_timezone(name: str | None) -> str | None:
    return name if name in _timezones() else None


@cache
def _timezones() -> frozenset[str]:
    """The names that there are; looking them up reads many files, so it is done once."""
    return frozenset(available_timezones())
