"""Feed entries, which are kept as keys and values, as one reader gets them: in their language and for their eyes.

Entries outlive the code that wrote them: what is not known any more, or not yet, is shown by its key and reported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

import orjson

from bot.identity import Audience, for_audience
from bot.schemas.notice_words import notice_text
from bot.schemas.shapes import ActionButton, ChatHeader, Countdown, Offer
from bot.schemas.views import (
    Raw,
    booking_view,
    distance_view,
    durations_view,
    kept,
    kept_moment,
    moment,
    moment_or_none,
    offer_view,
    problem_text,
    service_words,
    therapist_view,
)
from bot.words import Words
from conversations import replies
from conversations.notices import Side
from conversations.replies import N_
from conversations.values import Locale

NAME_OF_THE_BOT = "Janji"
MESSAGE_DELETED = N_("This message was deleted.")
PROBLEM_TITLE = N_("That did not work")
LINES: Mapping[Audience, Mapping[str, str]] = {
    "guest": replies.LINES,
    "therapist": {**replies.LINES, **replies.LINES_FOR_THERAPIST},
}
SUBTITLES: Mapping[Audience, Mapping[str, str]] = {
    "guest": replies.SUBTITLES,
    "therapist": {
        **replies.SUBTITLES,
        "active": N_("Your guest"),
        "no_therapist": N_("Visit cancelled"),
        "expired": N_("Booking closed"),
    },
}

_SIDE_OF: Mapping[Audience, Side] = {"guest": "customer", "therapist": "therapist"}

# What people have said is neither translated nor hidden from the other side.
SAME_FOR_ALL = frozenset({"message"})


class Entry(Protocol):
    """What a feed keeps; `at` is aware and `data` is raw: keys, values and datetimes."""

    @property
    def feed(self) -> str: ...
    @property
    def seq(self) -> int: ...
    @property
    def id(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def type(self) -> str: ...
    @property
    def data(self) -> Raw: ...


class Encoded(Entry, Protocol):
    """An entry that keeps what it was encoded to, by who gets it so."""

    @property
    def frames(self) -> dict[Any, bytes]: ...


def render_entry(words: Words, entry: Entry, locale: Locale, audience: Audience) -> dict[str, Any]:
    """The entry of the contract."""
    render = _VIEWS.get(entry.type)
    if render is None:
        words.report_gap("entry type", entry.type)
    data = render(words, entry.data, locale, audience) if render else _as_json(entry.data)
    return {
        "feed": entry.feed,
        "seq": entry.seq,
        "id": entry.id,
        "at": moment(entry.at),
        "type": entry.type,
        "data": {**data, "redacted": True} if entry.data.get("redacted") else data,
    }


def encode_entry(words: Words, entry: Encoded, locale: Locale, audience: Audience) -> bytes:
    """The entry of the contract as JSON, kept with the entry for the next reader who gets the same."""
    key = None if entry.type in SAME_FOR_ALL else (audience, locale)
    encoded = entry.frames.get(key)
    if encoded is None:
        encoded = entry.frames[key] = orjson.dumps(render_entry(words, entry, locale, audience))
    return encoded


def system_view(words: Words, raw: Raw, locale: Locale, audience: Audience) -> dict[str, Any]:
    key, params = raw.get("key", ""), raw.get("params") or {}
    return {"key": key, "text": _say(words, locale, "line", LINES[audience], key, params), "params": params}


def card_view(words: Words, raw: Raw, locale: Locale, audience: Audience) -> dict[str, Any]:
    """A card with its words and buttons; buttons are the guest's only."""
    data = _DATA_OF_CARDS.get(raw.get("card", ""), _unknown_card)(words, raw, locale)
    return {
        "card": raw.get("card"),
        "revision": raw.get("revision"),
        **_words_of_card(words, raw, locale),
        **data,
        "actions": _actions(words, raw, locale, audience),
    }


def state_view(words: Words, raw: Raw, locale: Locale, audience: Audience) -> dict[str, Any]:
    """Where the guest stands, as an entry and as the part of a snapshot; or whether a therapist is available."""
    if "available" in raw:
        return {"available": raw["available"]}
    countdown = raw.get("countdown") if audience == "guest" else None
    booking = raw.get("booking")
    return {
        "state": raw.get("state"),
        "revision": raw.get("revision"),
        "header": _header(words, raw, locale, audience),
        "booking": booking_view(words, booking, locale, audience) if booking else None,
        "countdown": _countdown(countdown) if countdown else None,
        "actions": _actions(words, raw, locale, audience),
    }


def notification_view(words: Words, raw: Raw, locale: Locale, audience: Audience) -> dict[str, Any]:
    """A notice as it was said to its side; the other side of a visit reads along without a sound."""
    kind, side = raw.get("kind", ""), raw.get("side", "therapist")
    title, body = _words_of_notification(words, raw, locale)
    is_meant = side == _SIDE_OF[audience]
    sound, urgency = (raw.get("sound"), raw.get("urgency")) if is_meant else (None, "low")
    return {"kind": kind, "title": title, "body": body, "sound": sound, "urgency": urgency}


def _words_of_notification(words: Words, raw: Raw, locale: Locale) -> tuple[str, str]:
    """Notices say for which side they are; other notifications are the turn's own."""
    kind, params = raw.get("kind", ""), raw.get("params") or {}
    said = notice_text(words, kind, raw["side"], params, locale) if "side" in raw else None
    if said is None and kind in replies.NOTIFICATIONS:
        title, body = replies.NOTIFICATIONS[kind]
        said = words.say(locale, title, params), words.say(locale, body, params)
    if said is None:
        words.report_gap("notification", kind)
    return said or (kind, "")


def _message_view(words: Words, raw: Raw, locale: Locale, audience: Audience) -> dict[str, Any]:
    if raw.get("redacted"):
        return {"from": raw.get("from"), "text": words.say(locale, MESSAGE_DELETED), "client_id": None}
    return {name: raw.get(name) for name in ("from", "text", "client_id")}


def _booking_entry(words: Words, raw: Raw, locale: Locale, audience: Audience) -> dict[str, Any]:
    return {"booking": booking_view(words, raw.get("booking") or {}, locale, audience)}


def _offer_entry(words: Words, raw: Raw, locale: Locale, audience: Audience) -> Offer:
    return offer_view(words, raw, locale)


def _offer_closed(words: Words, raw: Raw, locale: Locale, audience: Audience) -> dict[str, Any]:
    return {"offer_id": raw.get("offer_id"), "why": raw.get("why")}


def _offer_waiting(words: Words, raw: Raw, locale: Locale, audience: Audience) -> dict[str, Any]:
    return {"offer_id": raw.get("offer_id"), "until": kept_moment(raw, "until")}


def _receipt(words: Words, raw: Raw, locale: Locale, audience: Audience) -> dict[str, Any]:
    return {"by": raw.get("by"), "seq": raw.get("seq")}


_VIEWS: Mapping[str, Callable[[Words, Raw, Locale, Audience], Mapping[str, Any]]] = {
    "message": _message_view,
    "system": system_view,
    "card": card_view,
    "state": state_view,
    "notification": notification_view,
    "booking": _booking_entry,
    "offer": _offer_entry,
    "offer_closed": _offer_closed,
    "offer_waiting": _offer_waiting,
    "read": _receipt,
}


# --- cards ------------------------------------------------------------------------------------------------------------


def _words_of_card(words: Words, raw: Raw, locale: Locale) -> dict[str, Any]:
    card = raw.get("card", "")
    if card == "problem":
        message = problem_text(words, locale, raw.get("code", ""), raw.get("message", ""))
        return {"title": words.say(locale, PROBLEM_TITLE), "text": message}
    if card not in replies.CARDS:
        words.report_gap("card", card)
        return {"title": card, "text": ""}
    title, text = replies.CARDS["rated" if card == "rating" and raw.get("stars") else card]
    params = {"arrival": _arrival(words, raw, locale)} if "arrival" in raw else {}
    params |= {"therapist": raw["therapist"].get("name")} if raw.get("therapist") else {}
    return {"title": words.say(locale, title), "text": words.say(locale, text, params)}


def _service_card(words: Words, raw: Raw, locale: Locale) -> dict[str, Any]:
    therapist = raw.get("therapist")
    return {
        "service": service_words(raw.get("service") or {}, locale),
        "therapist": {name: therapist.get(name) for name in ("id", "name", "photo")} if therapist else None,
        "durations": durations_view(words, raw.get("durations"), locale),
        "defaults": dict(raw.get("defaults") or {}),
        "expires_at": moment_or_none(raw.get("expires_at")),
    }


def _therapist_card(words: Words, raw: Raw, locale: Locale) -> dict[str, Any]:
    return {
        "offer_id": raw.get("offer_id"),
        "therapist": therapist_view(words, raw.get("therapist") or {}, locale),
        **distance_view(words, raw.get("distance_km"), locale),
        "arrival_text": _arrival(words, raw, locale),
        "expires_at": moment_or_none(raw.get("expires_at")),
    }


def _rating_card(words: Words, raw: Raw, locale: Locale) -> dict[str, Any]:
    therapist = raw.get("therapist") or {}
    return {"therapist": {name: therapist.get(name) for name in ("id", "name", "photo")}, "stars": raw.get("stars")}


def _bare_card(words: Words, raw: Raw, locale: Locale) -> dict[str, Any]:
    return {}


def _problem_card(words: Words, raw: Raw, locale: Locale) -> dict[str, Any]:
    return {"code": raw.get("code")}


def _unknown_card(words: Words, raw: Raw, locale: Locale) -> dict[str, Any]:
    known = ("card", "revision", "buttons")
    data: dict[str, Any] = _as_json({name: value for name, value in raw.items() if name not in known})
    return data


_DATA_OF_CARDS: Mapping[str, Callable[[Words, Raw, Locale], dict[str, Any]]] = {
    "service": _service_card,
    "therapist": _therapist_card,
    "no_therapist": _bare_card,
    "app_download": _bare_card,
    "rating": _rating_card,
    "problem": _problem_card,
}
TYPES_SHOWN, CARDS_SHOWN = tuple(_VIEWS), tuple(_DATA_OF_CARDS)


# --- pieces -----------------------------------------------------------------------------------------------------------


def _actions(words: Words, raw: Raw, locale: Locale, audience: Audience) -> list[ActionButton]:
    buttons = raw.get("buttons") or () if audience == "guest" else ()
    return [
        {
            "command": kept(button, "command"),
            "label": _say(words, locale, "label", replies.LABELS, button.get("label", "")),
            "style": button.get("style", "secondary"),
            "payload": dict(button.get("payload") or {}),
        }
        for button in buttons
    ]


def _header(words: Words, raw: Raw, locale: Locale, audience: Audience) -> ChatHeader:
    """The guest sees who comes, the therapist whom they visit."""
    header, state = raw.get("header") or {}, raw.get("state", "")
    who_comes = header.get("title"), header.get("photo")
    whom_to_visit = (raw.get("booking") or {}).get("name"), None
    title, photo = for_audience(audience, guest=who_comes, therapist=whom_to_visit)
    return {
        "title": title or NAME_OF_THE_BOT,
        "subtitle": _say(words, locale, "subtitle", SUBTITLES[audience], state),
        "photo": photo,
        "locked": header.get("locked", False),
    }


def _countdown(raw: Raw) -> Countdown:
    return {
        "attempt": kept(raw, "attempt"),
        "max_attempts": kept(raw, "max_attempts"),
        "deadline_at": kept_moment(raw, "deadline_at"),
    }


def _arrival(words: Words, raw: Raw, locale: Locale) -> str:
    return _say(words, locale, "arrival", replies.ARRIVALS, raw.get("arrival", ""))


def _say(words: Words, locale: Locale, what: str, texts: Mapping[str, str], key: str, params: Raw | None = None) -> str:
    """What a key says, or the key itself where nobody knows it."""
    if key in texts:
        return words.say(locale, texts[key], params)
    words.report_gap(what, key)
    return key


def _as_json(value: Any) -> Any:
    """What nobody knows how to show, with its moments as the contract writes them."""
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, Mapping):
        return {name: _as_json(each) for name, each in value.items()}
    return [_as_json(each) for each in value] if isinstance(value, list | tuple) else value
