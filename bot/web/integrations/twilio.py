"""What Twilio tells us: what became of a short message, and that somebody wants no more of them.

It signs the address that it was told to call, so behind a router that takes TLS off only our public address will do.
"""

from __future__ import annotations

from collections.abc import Mapping

from aiohttp import web

from bot.integrations.incoming import TWILIO
from bot.providers.twilio_signature import is_signed_by_twilio
from bot.store.preferences import phone_id
from bot.web.http.exchange import SERVICES
from bot.web.integrations.webhooks import WEBHOOKS, keep, not_signed, secret_or_refuse

# No answer of ours in words: Twilio sends one by itself, and would send whatever stood here.
NOTHING_TO_SAY = '<?xml version="1.0" encoding="UTF-8"?><Response/>'
# What Twilio itself takes for an end and a new beginning (https://help.twilio.com/articles/223134027), and what people
# write in Indonesia. BATAL is not among them: it means a booking as often as not.
STOP_WORDS = frozenset(
    {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "optout", "revoke", "berhenti", "unreg", "keluar"}
)
START_WORDS = frozenset({"start", "unstop", "yes", "mulai", "lanjut", "lanjutkan"})
OPT_OUT_TYPES: Mapping[str, str] = {"STOP": "stop", "START": "start"}


async def status(request: web.Request) -> web.Response:
    """`n` in the address is the notification's id; an older word than the last changes nothing."""
    services, form = request.app[SERVICES], await _signed_form(request)
    row_id, said = request.query.get("n", ""), form.get("MessageStatus", "")
    await services.delivery_reports.take(row_id, form.get("MessageSid", ""), said, form.get("ErrorCode"))
    return _nothing_to_say()


async def inbound(request: web.Request) -> web.Response:
    """A word that ends short messages to its sender's number, or lets them begin again; all others are left."""
    form = await _signed_form(request)
    word = word_of(form)
    if word is not None and form.get("From"):
        await keep(request, TWILIO, form.get("MessageSid"), word, {"subject_id": phone_id(form["From"])})
    return _nothing_to_say()


def word_of(form: Mapping[str, str]) -> str | None:
    """`stop` or `start`: as Twilio has understood it, else as we do."""
    known = OPT_OUT_TYPES.get(form.get("OptOutType", ""))
    if known is not None:
        return known
    written = form.get("Body", "").strip().strip(".!").casefold()
    if written in STOP_WORDS:
        return "stop"
    return "start" if written in START_WORDS else None


async def _signed_form(request: web.Request) -> Mapping[str, str]:
    """The fields of the form, where Twilio has signed them with our token."""
    settings = request.app[SERVICES].settings
    token = secret_or_refuse(settings.twilio_auth_token)
    url = f"{settings.public_url or request.url.origin()}{request.path_qs}"
    try:
        form = await request.post()
    except ValueError as error:  # what Twilio writes is UTF-8
        raise not_signed(request, TWILIO) from error
    if not is_signed_by_twilio(token, url, form, request.headers):
        raise not_signed(request, TWILIO)
    return {name: value for name, value in form.items() if isinstance(value, str)}


def _nothing_to_say() -> web.Response:
    return web.Response(text=NOTHING_TO_SAY, content_type="text/xml")


ROUTES = [web.post(f"{WEBHOOKS}/twilio-status", status), web.post(f"{WEBHOOKS}/twilio-inbound", inbound)]
