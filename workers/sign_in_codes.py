"""The code that a therapist signs in with, as a short message; a number that is nobody's gets none.

It is no row of the ledger: a code is worth minutes, and whoever did not get it asks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from bot.providers.messages import NotSent, Sms
from bot.providers.opening import open_channels
from bot.providers.sms import SmsChannel
from bot.services import Post
from bot.store.breakers import SIGN_IN
from bot.store.sign_ins import CODE_LIVES
from bot.words import Words
from conversations.replies import N_
from conversations.values import Locale

log = structlog.get_logger()

TEXT = N_("{code} is your Janji code, good for {minutes} minutes. Give it to nobody.")


async def send_code(post: Post, nonce: str) -> None:
    """The code that was made from this nonce, as long as it has not been used."""
    phone = await post.sign_ins.phone_of(nonce)
    therapist = await post.therapists.with_phone(phone) if phone else None
    if phone is None or therapist is None:
        return
    text = text_of(post.words, therapist.locale, post.tokens.sign_in_code(phone, nonce))
    async with open_channels(post.settings, post.clock.now) as channels:
        if channels.sms is not None:
            error = await _send(
                channels.sms, Sms(to=phone, text=text), post.settings.rhythms.workers.code_again_after_s
            )
            await _remember(post, error)


def text_of(words: Words, locale: Locale, code: str) -> str:
    return words.say(locale, TEXT, {"code": code, "minutes": str(round(CODE_LIVES.total_seconds() / 60))})


async def _remember(post: Post, error: NotSent | None) -> None:
    """Whether codes arrive stands on the status page; that one number can get none says nothing about the others."""
    if error is None:
        await post.breakers.succeeded(SIGN_IN)
        return
    log.error("a sign-in code could not be sent", code=error.verdict.code)
    if error.verdict.kind != "permanent":
        is_misconfigured = error.verdict.kind == "config"
        await post.breakers.failed(SIGN_IN, error.verdict.code, post.clock.now(), is_misconfigured=is_misconfigured)


async def _send(channel: SmsChannel, message: Sms, pauses_s: Sequence[float]) -> NotSent | None:
    """What may be over soon is tried again at once, and the same code twice does no harm; else why it did not leave."""
    pauses = iter(pauses_s)
    while True:
        try:
            await channel.send(message)
        except NotSent as error:
            pause_s = next(pauses, None)
            if error.verdict.kind != "retry" or pause_s is None:
                return error
        else:
            return None
        await asyncio.sleep(pause_s)
