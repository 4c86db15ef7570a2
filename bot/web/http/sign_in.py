"""Therapists sign in with their phone number and a code of six digits."""

from __future__ import annotations

import hmac
import secrets
from typing import Any

import structlog

from bot.access.limits import Asker
from bot.errors import Outage, Refusal
from bot.schemas.views import moment
from bot.services import Services
from conversations.replies import N_

log = structlog.get_logger()


class SigningIn:
    """Sends codes and takes them; a number that nobody has is answered like any other.

    How often is limited for a number *and* an address, so that whoever tries a stranger's number locks out himself.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    async def send_code(self, phone: str, address: str) -> dict[str, Any]:
        services = self._services
        await services.limits.take("codes", Asker(address, phone=phone))
        issued = await services.sign_ins.issue(phone, secrets.token_hex(16), services.clock.now())
        code = services.tokens.sign_in_code(phone, issued.nonce)
        shown = {"code": code} if services.settings.show_sign_in_codes else {}
        log.info("sign-in code", phone=_masked(phone), **shown)
        if services.settings.sends_codes:
            await self._have_it_sent(issued.nonce)
        return {
            "ok": True,
            "expires_at": moment(issued.expires_at),
            "demo_code": code if services.settings.demo else None,
        }

    async def _have_it_sent(self, nonce: str) -> None:
        """Whose number it is, if anybody's, is for the worker to find out: here it would take a time that tells."""
        if not await self._services.jobs.enqueue("critical", "workers.jobs.send_sign_in_code", f"code-{nonce}", nonce):
            raise Outage("no worker can be told to send a code")

    async def confirm(self, phone: str, code: str, address: str) -> dict[str, Any]:
        services = self._services
        await services.limits.take("guesses", Asker(address, phone=phone))
        alive = await services.sign_ins.tried(phone, services.clock.now())
        right = [nonce for nonce in alive if hmac.compare_digest(services.tokens.sign_in_code(phone, nonce), code)]
        if not alive or (right and not await services.sign_ins.use(phone, right[0])):
            raise Refusal("unauthorized", N_("This code can't be used any more. Please ask for a new one."))
        therapist = await services.therapists.with_phone(phone) if right else None
        if therapist is None:
            raise Refusal("unauthorized", N_("This code is not right."), fields={"code": N_("is not right")})
        log.info("a therapist signed in", who=services.tokens.pseudonym("therapist", therapist.id))
        return {
            "ok": True,
            "token": await services.access.sign_in(therapist.id),
            "therapist": {"id": therapist.id, "name": therapist.name, "photo": therapist.photo},
        }


def _masked(phone: str) -> str:
    """As much of a number as a log may keep: enough to tell two complaints apart."""
    return f"{phone[:3]}…{phone[-2:]}"
