"""Therapists sign in with their phone number and a code of six digits."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import structlog

from bot.auth import new_code
from bot.errors import Refusal
from bot.services import Services
from bot.store.sign_ins import CODES_WITHIN
from bot.views import moment
from conversations.replies import N_

log = structlog.get_logger()


class SigningIn:
    """Sends codes and takes them; a number that nobody has is answered like any other."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def send_code(self, phone: str) -> dict[str, Any]:
        services = self._services
        code = new_code()
        now = services.clock.now()
        expires_at = await services.sign_ins.issue(phone, services.tokens.code_hash(phone, code), now)
        if expires_at is None:
            raise await self._too_many(phone, now)
        if services.settings.show_sign_in_codes:
            log.info("sign-in code", phone=phone, code=code)
        else:
            log.info("sign-in code", phone=_masked(phone))
        return {
            "ok": True,
            "expires_at": moment(expires_at),
            "demo_code": code if services.settings.demo else None,
        }

    async def confirm(self, phone: str, code: str) -> dict[str, Any]:
        services = self._services
        verdict = await services.sign_ins.check(phone, services.tokens.code_hash(phone, code), services.clock.now())
        if verdict == "spent":
            raise Refusal("unauthorized", N_("This code can't be used any more. Please ask for a new one."))
        therapist = await services.therapists.with_phone(phone) if verdict == "right" else None
        if therapist is None:
            raise Refusal("unauthorized", N_("This code is not right."), fields={"code": N_("is not right")})
        log.info("a therapist signed in", therapist=therapist.id)
        return {
            "ok": True,
            "token": await services.access.sign_in(therapist.id),
            "therapist": {"id": therapist.id, "name": therapist.name, "photo": therapist.photo},
        }

    async def _too_many(self, phone: str, now: datetime) -> Refusal:
        again_at = await self._services.sign_ins.allowed_again_at(phone)
        wait = again_at - now if again_at else CODES_WITHIN
        return Refusal(
            "too_many_requests",
            N_("Too many codes were asked for. Please try again later."),
            retry_after_s=max(1.0, wait.total_seconds()),
        )


def _masked(phone: str) -> str:
    """As much of a number as a log may keep: enough to tell two complaints apart."""
    return f"{phone[:3]}…{phone[-2:]}"
