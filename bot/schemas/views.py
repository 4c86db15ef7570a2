"""Bookings, offers, therapists and services in the shapes of the public contract, for one reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, assert_never, overload

from bot.errors import Refusal
from bot.identity import Audience
from bot.schemas.shapes import (
    BookingOfGuest,
    BookingOfTherapist,
    DescribedService,
    Distance,
    DurationPrice,
    Earning,
    KnownDistance,
    MenuService,
    MoneyAmount,
    NamedService,
    Offer,
    PersonInBooking,
    Priced,
    TherapistProfile,
)
from bot.words import Words
from conversations.booking import Booking, Status
from conversations.money.amounts import Money, split
from conversations.replies import N_, REFUSALS
from conversations.values import Locale, Service

Raw = Mapping[str, Any]

# What therapists usually say of themselves; the words stand in their documents, and others are shown as they are.
THERAPIST_WORDS = (
    N_("Balinese"),
    N_("Deep tissue"),
    N_("Swedish"),
    N_("Thai"),
    N_("Shiatsu"),
    N_("Traditional Javanese"),
    N_("Reflexology"),
    N_("Aromatherapy"),
    N_("Hot stone"),
    N_("Lymphatic drainage"),
    N_("Sports"),
    N_("Prenatal"),
    N_("Relaxation"),
    N_("English"),
    N_("Bahasa Indonesia"),
    N_("Javanese"),
    N_("Japanese"),
    N_("Mandarin"),
)

_NOTHING_EARNED = (Status.CANCELLED, Status.EXPIRED, Status.NO_SHOW)


def raw_booking(booking: Booking) -> dict[str, Any]:
    """A booking as it is kept in entries, before it is put into anybody's language; its moments stay datetimes.

    Until the visit is completed `earnings` and `commission` say how its price will be shared.
    """
    visit = booking.visit
    assert visit is not None, "a booking is shown only after it was opened with a visit"
    commission, earnings = _shares(booking, visit.price)
    therapist = booking.therapist
    return {
        "id": booking.id,
        "status": booking.state.value,
        "conversation_id": booking.conversation_id,
        "service": {"id": visit.service_id, "names": visit.service_names},
        "duration": visit.duration,
        "price": asdict(visit.price),
        "location": asdict(visit.location) if visit.location else None,
        "name": visit.contact.name if visit.contact else None,
        "phone": visit.contact.phone if visit.contact else None,
        "notes": visit.notes,
        "gender_preference": visit.gender_preference,
        "therapist": _person(asdict(therapist)) if therapist else None,
        "progress": booking.progress,
        "created_at": booking.created_at,
        "starts_at": None,
        "arrives_by": booking.arrives_by,
        "earnings": asdict(earnings),
        "commission": asdict(commission),
    }


@overload
def booking_view(words: Words, raw: Raw, locale: Locale, audience: Literal["guest"]) -> BookingOfGuest: ...
@overload
def booking_view(words: Words, raw: Raw, locale: Locale, audience: Literal["therapist"]) -> BookingOfTherapist: ...
@overload
def booking_view(words: Words, raw: Raw, locale: Locale, audience: Audience) -> BookingOfGuest | BookingOfTherapist: ...
def booking_view(words: Words, raw: Raw, locale: Locale, audience: Audience) -> BookingOfGuest | BookingOfTherapist:
    """The guest sees what was ordered and who comes; the therapist also what the guest noted and what it earns."""
    view: BookingOfGuest = {
        "id": kept(raw, "id"),
        "status": kept(raw, "status"),
        "service": _service_name(kept(raw, "service") or {}, locale),
        "duration": kept(raw, "duration"),
        **price_view(words, kept(raw, "price"), locale),
        "location": kept(raw, "location"),
        "name": kept(raw, "name"),
        "phone": kept(raw, "phone"),
        "therapist": _person(raw["therapist"]) if kept(raw, "therapist") else None,
        "progress": kept(raw, "progress"),
        "created_at": moment_or_none(kept(raw, "created_at")),
        "starts_at": moment_or_none(kept(raw, "starts_at")),
        "arrives_by": moment_or_none(kept(raw, "arrives_by")),
    }
    if audience == "guest":
        return view
    if audience != "therapist":
        assert_never(audience)
    return {
        **view,
        "guest": {"name": kept(raw, "name"), "phone": kept(raw, "phone")},
        "notes": kept(raw, "notes"),
        **earnings_view(words, kept(raw, "earnings"), locale),
        "feed": f"conversation:{raw.get('conversation_id')}",
    }


def offer_view(words: Words, raw: Raw, locale: Locale) -> Offer:
    booking = kept(raw, "booking") or {}
    return {
        "offer_id": kept(raw, "offer_id"),
        "booking": {
            "service_name": _service_name(kept(booking, "service") or {}, locale)["name"],
            "duration": kept(booking, "duration"),
            "address": kept(booking, "address"),
        },
        "guest": {"name": kept(kept(raw, "guest") or {}, "name")},
        **distance_view(words, kept(raw, "distance_km"), locale),
        "respond_by": kept_moment(raw, "respond_by"),
        **earnings_view(words, kept(raw, "earnings"), locale),
        "attempt": kept(raw, "attempt"),
        "waiting_until": kept_moment(raw, "waiting_until"),
    }


def therapist_view(words: Words, therapist: Any, locale: Locale) -> TherapistProfile:
    """A therapist as guests see one, from a dataclass or from what an entry keeps of it."""
    known = therapist if isinstance(therapist, Mapping) else _public_fields(therapist)
    return {
        "id": kept(known, "id"),
        "name": kept(known, "name"),
        "photo": kept(known, "photo"),
        "rating": kept(known, "rating"),
        "rating_count": kept(known, "rating_count"),
        "specialties": [words.say_if_known(locale, each) for each in kept(known, "specialties") or ()],
        "languages": [words.say_if_known(locale, each) for each in kept(known, "languages") or ()],
        "gender": kept(known, "gender"),
    }


def service_view(words: Words, service: Service, locale: Locale) -> MenuService:
    """A service of the menu with its prices."""
    described = {"id": service.id, "names": service.names, "descriptions": service.descriptions}
    prices = [{"minutes": each.minutes, "price": asdict(each.price)} for each in service.prices]
    return {**service_words(described, locale), "durations": durations_view(words, prices, locale)}


def service_words(raw: Raw, locale: Locale) -> DescribedService:
    """Id, name and description of a service from an entry."""
    return {**_service_name(raw, locale), "description": in_language(raw.get("descriptions") or {}, locale)}


def durations_view(words: Words, prices: Any, locale: Locale) -> list[DurationPrice]:
    return [{"minutes": kept(each, "minutes"), **price_view(words, each.get("price"), locale)} for each in prices or ()]


def price_view(words: Words, raw: Raw | None, locale: Locale) -> Priced:
    """A price, and beside it what to show."""
    amount, text = _money(words, raw, locale)
    return {"price": amount, "price_text": text}


def earnings_view(words: Words, raw: Raw | None, locale: Locale) -> Earning:
    """What a visit earns, and beside it what to show."""
    amount, text = _money(words, raw, locale)
    return {"earnings": amount, "earnings_text": text}


def _money(words: Words, raw: Raw | None, locale: Locale) -> tuple[Any, Any]:
    """An amount and its text; nothing where an old entry has kept none, which no shape admits."""
    if raw is None:
        return None, None
    money: MoneyAmount = {"amount": raw["amount"], "currency": raw["currency"]}
    return money, words.money(locale, Money(raw["amount"], raw["currency"]))


def distance_view(words: Words, km: float | None, locale: Locale) -> Distance:
    if km is None:
        return {"distance_km": None, "distance_text": None}
    known = known_distance_view(words, km, locale)
    return {"distance_km": known["distance_km"], "distance_text": known["distance_text"]}


def known_distance_view(words: Words, km: float, locale: Locale) -> KnownDistance:
    return {"distance_km": round(km, 1), "distance_text": words.distance(locale, km)}


def error_view(words: Words, refusal: Refusal, locale: Locale) -> dict[str, Any]:
    """The error object of the contract in the reader's language, with the reasons at its fields."""
    error = refusal.as_error(problem_text(words, locale, refusal.code, refusal.message))
    error["fields"] = {field: words.say_if_known(locale, reason) for field, reason in refusal.fields.items()}
    return error


def problem_text(words: Words, locale: Locale, code: str, message: str) -> str:
    """The message of a refusal in the reader's language, or, where it has no translation, what its code says."""
    if words.knows(message):
        return words.say(locale, message)
    if message:
        words.report_gap("translation", message)
        if locale == "en":
            return message
    return words.say(locale, REFUSALS[code]) if code in REFUSALS else message or code


@lru_cache(maxsize=512)  # all entries of a batch, and all readers of an entry, share a moment
def moment(at: datetime) -> str:
    """RFC 3339 in UTC with milliseconds, which is what the database keeps: `2026-12-01T03:00:00.000Z`."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment_or_none(at: datetime | None) -> str | None:
    return None if at is None else moment(at)


def kept(raw: Raw, name: str) -> Any:
    """What an entry keeps under a name; None in one that is older than the field, whatever its shape says."""
    return raw.get(name)


def kept_moment(raw: Raw, name: str) -> Any:
    return moment_or_none(raw.get(name))


def _shares(booking: Booking, price: Money) -> tuple[Money, Money]:
    """Commission and earnings: as settled, as they will be, or nothing where no visit took place."""
    if booking.commission is not None and booking.earnings is not None:
        return booking.commission, booking.earnings
    if booking.state in _NOTHING_EARNED:
        return Money(0, price.currency), Money(0, price.currency)
    shares = split(price, booking.commission_basis_points)
    return shares.commission, shares.earnings


def _person(therapist: Raw) -> PersonInBooking:
    return {
        "id": kept(therapist, "id"),
        "name": kept(therapist, "name"),
        "photo": kept(therapist, "photo"),
        "rating": kept(therapist, "rating"),
    }


def _public_fields(therapist: Any) -> dict[str, Any]:
    names = ("id", "name", "photo", "rating", "rating_count", "specialties", "languages", "gender")
    return {name: getattr(therapist, name) for name in names}


def _service_name(raw: Raw, locale: Locale) -> NamedService:
    return {"id": kept(raw, "id"), "name": in_language(raw.get("names") or {}, locale)}


def in_language(texts: Mapping[str, str], locale: Locale) -> str:
    """What the operator wrote in the language, else in English, else in any."""
    return texts.get(locale) or texts.get("en") or next(iter(texts.values()), "")
