"""`/api/status` and the page `/status`: whether bookings and messages are going on, in words and for programs.

Anybody may ask: they are told which part is well, which is not and for how long, and nothing about anybody's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bot import __version__
from bot.runtime.vitals import Part, PartName, PartState, State
from bot.schemas.views import moment
from bot.services import Services
from bot.web.http.exchange import SERVICES, json_response, locale_of
from bot.web.operations.status_page import page_of
from conversations.replies import N_
from conversations.values import Locale

TITLES: Mapping[State, str] = {
    "operational": N_("Everything works"),
    "degraded": N_("Some things are slower than usual"),
    "down": N_("No bookings just now"),
}
SENTENCES: Mapping[State, str] = {
    "operational": N_("Bookings and messages are going on."),
    "degraded": N_("Bookings and messages are going on. What is slow catches up by itself."),
    "down": N_("Bookings and messages have to wait a moment. Nothing that was confirmed is lost."),
}
LABELS: Mapping[PartName, str] = {
    "mongodb": N_("Bookings and messages"),
    "redis": N_("Live delivery"),
    "alarms": N_("Countdowns"),
    "outbox": N_("Follow-ups"),
    "workers": N_("Background work"),
    "notifications": N_("Reminders and news"),
    "sign_in": N_("Signing in"),
    "process": N_("This server"),
}
WORDS: Mapping[PartName, Mapping[PartState, str]] = {
    "mongodb": {
        "ok": N_("Are taken and kept."),
        "away": N_("The database has not answered for {age}."),
    },
    "redis": {
        "ok": N_("What is written arrives at once."),
        "delayed": N_("Slow: what is written arrives up to two seconds later."),
        "away": N_("Away for {age}: what is written arrives up to two seconds later."),
    },
    "alarms": {
        "ok": N_("Are on time."),
        "delayed": N_("One is {age} late."),
    },
    "outbox": {
        "ok": N_("What was decided has been done."),
        "delayed": N_("Something that was decided has waited for {age}."),
    },
    "workers": {
        "ok": N_("Is being done."),
        "delayed": N_("Has waited for {age}."),
        "away": N_("Waits until a worker is back."),
    },
    "notifications": {
        "ok": N_("Are sent on time."),
        "delayed": N_("One is {age} late."),
        "away": N_("One way to send them has failed for {age}. What has to go that way waits."),
    },
    "sign_in": {
        "ok": N_("Codes are sent."),
        "delayed": N_("A code could not be sent. Whoever asks again gets another try."),
        "away": N_("No code could be sent for {age}."),
    },
    "process": {
        "ok": N_("Answers without delay."),
        "delayed": N_("Was busy for {age} at a stretch."),
    },
}
UNKNOWN = N_("Could not be asked just now.")
STATES: Mapping[PartState, str] = {
    "ok": N_("Well"),
    "delayed": N_("Slow"),
    "away": N_("Away"),
    "unknown": N_("Unknown"),
}


async def _view(services: Services, locale: Locale) -> dict[str, Any]:
    report, words = await services.vitals.report(), services.words
    now, timezone = services.clock.now(), services.settings.default_timezone
    return {
        "state": report.state,
        "title": words.say(locale, TITLES[report.state]),
        "text": words.say(locale, SENTENCES[report.state]),
        "parts": [_part_view(services, part, locale) for part in report.parts],
        "version": __version__,
        "commit": services.settings.commit,
        "uptime_s": round(services.vitals.uptime_s),
        "as_of_text": words.say(locale, N_("As of {when}"), {"when": words.when(locale, now, timezone)}),
        "server_time": moment(now),
    }


def _part_view(services: Services, part: Part, locale: Locale) -> dict[str, Any]:
    words = services.words
    age = {} if part.age_s is None else {"age": words.age(locale, part.age_s)}
    return {
        "name": part.name,
        "state": part.state,
        "label": words.say(locale, LABELS[part.name]),
        "state_text": words.say(locale, STATES[part.state]),
        "text": words.say(locale, WORDS[part.name].get(part.state, UNKNOWN), age),
        "age_s": None if part.age_s is None else round(part.age_s, 1),
    }


async def status(request: web.Request) -> web.Response:
    view = await _view(request.app[SERVICES], locale_of(request))
    return json_response(view, headers={"Cache-Control": "no-store"})


async def status_page(request: web.Request) -> web.Response:
    services, locale = request.app[SERVICES], locale_of(request)
    return page_of(await _view(services, locale), services.words, locale)


ROUTES = [web.get("/api/status", status), web.get("/status", status_page)]
