"""Notices in short, in the reader's language: what a feed keeps of one, and its title and body for whoever reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from string import Formatter
from typing import Any

from bot.schemas.views import in_language
from bot.words import Words
from conversations.money.amounts import Money
from conversations.notice_texts import A_VISIT, SETTLEMENTS, TEXTS, Text, settlement_of, text_of
from conversations.notices import BOOKING_CANCELLED, BookingFacts, Person, Side, Urgency
from conversations.values import Locale

Params = Mapping[str, Any]
LONGEST_NAME = 60


def notice_data(
    kind: str,
    side: Side,
    booking_facts: BookingFacts,
    reader: Person,
    urgency: Urgency,
    sound: str | None,
    now: datetime,
) -> dict[str, Any]:
    """The data of a `notification` entry: values alone, which are put into words when somebody reads them."""
    params = notice_params(side, booking_facts, reader, now)
    return {"kind": kind, "side": side, "params": params, "sound": sound, "urgency": urgency}


def app_offer_data(booking_facts: BookingFacts) -> dict[str, Any]:
    """The data of a `card` entry that offers the app: it can be taken as long as the visit stands as it does."""
    return {"card": "app_download", "revision": booking_facts.conversation_revision, "buttons": []}


def notice_params(side: Side, booking_facts: BookingFacts, reader: Person, now: datetime) -> dict[str, Any]:
    """What the short text of any kind may mention; `said_at` is when, for a day that is called today."""
    other = booking_facts.person("therapist" if side == "customer" else "customer")
    settlement, kept = settlement_of(booking_facts) if side == "customer" else (None, None)
    return {
        "service": dict(booking_facts.service_names),
        "other": other.name if other else None,
        "reference": booking_facts.reference,
        "amount": _raw_money(booking_facts.price),
        "settlement": settlement,
        "refund": _raw_money(booking_facts.refund),
        "kept": _raw_money(kept),
        "duration": booking_facts.duration,
        "starts_at": booking_facts.starts_at,
        "timezone": reader.timezone,
        "said_at": now,
    }


def notice_text(words: Words, kind: str, side: Side, params: Params, locale: Locale) -> tuple[str, str] | None:
    """Title and body, the body without what is not known; None of an unknown kind."""
    text = text_of(kind, side)
    return said(words, text, said_values(words, params, locale), locale) if text else None


def said(words: Words, text: Text, values: Params, locale: Locale) -> tuple[str, str]:
    """Title and body with these values; whoever has other room for them brings shorter ones."""
    is_known = all(values[name] for _, name, _, _ in Formatter().parse(text.body) if name)
    body = words.say(locale, text.body if is_known else text.bare, values)
    settlement = settlement_text(words, values, locale) if text is TEXTS[BOOKING_CANCELLED, "customer"] else None
    return words.say(locale, text.title), f"{body} {settlement}" if settlement else body


def settlement_text(words: Words, values: Params, locale: Locale) -> str | None:
    """What becomes of the money, where there is something to say."""
    text = SETTLEMENTS.get(values.get("settlement") or "")
    return words.say(locale, text, values) if text else None


def shortened(text: str, length: int) -> str:
    """The text with at most so many characters; what is cut off is shown by an ellipsis."""
    return text if len(text) <= length else f"{text[: max(length - 1, 0)].rstrip()}…"


def said_values(words: Words, params: Params, locale: Locale) -> dict[str, Any]:
    """The parameters as they stand in sentences."""
    service = in_language(params.get("service") or {}, locale) or words.say(locale, A_VISIT)
    return {
        "service": shortened(service, LONGEST_NAME),
        "other": shortened(params.get("other") or "", LONGEST_NAME),
        "reference": params.get("reference"),
        "duration": params.get("duration"),
        "settlement": params.get("settlement"),
        "when": _when(words, params, locale),
        **{name: _money(words, params.get(name), locale) for name in ("amount", "refund", "kept")},
    }


def _raw_money(money: Money | None) -> dict[str, Any] | None:
    return asdict(money) if money else None


def _money(words: Words, raw: Params | None, locale: Locale) -> str | None:
    return words.money(locale, Money(raw["amount"], raw["currency"])) if raw else None


def _when(words: Words, params: Params, locale: Locale) -> str | None:
    starts_at, said_at, zone = params.get("starts_at"), params.get("said_at"), params.get("timezone") or ""
    if starts_at is None:
        return None
    return words.when_from(locale, starts_at, zone, said_at) if said_at else words.when(locale, starts_at, zone)
