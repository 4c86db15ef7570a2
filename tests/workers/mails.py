"""Bookings and people for tests of letters, and every notice that can be told to either side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from conversations.money.amounts import Money
from conversations.notice_texts import TEXTS
from conversations.notices import BOOKING_CANCELLED, REMINDER, BookingFacts, Person, Side
from conversations.values import Locale
from workers.letters import Links, Matter

NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
SENDER = "no-reply@janji.example"
BUDI = Person("guest:c_1", "Budi Santoso", "id", "Asia/Jakarta", "+6281234567890", "budi@mail.example")
AYU = Person("therapist:t_ayu", "Ayu Lestari", "en", "Asia/Makassar", "+6281234567891", "ayu@mail.example")
VISIT = BookingFacts(
    booking_id="b_4c1f7a2e9d3b6058",
    reference="JNJ-4C1F",
    revision=2,
    status="confirmed",
    starts_at=NOW + timedelta(hours=29),
    duration=90,
    customer=BUDI,
    therapist=AYU,
    service_names={"en": "Balinese massage", "id": "Pijat Bali"},
    brand="Janji",
    price=Money(36_000_000, "IDR"),
    address="Jl. Sultan Agung 7, Guntur, Jakarta Selatan 12980",
    conversation_id="c_1",
)
LINKS = Links(
    chat="https://janji.example/chat",
    preferences="https://janji.example/preferences?token=a.b&side=customer",
    unsubscribe="https://janji.example/unsubscribe?token=a.b&kind=reminder",
    app_store="https://apps.example/janji",
    play_store="https://play.example/janji",
)
CASES: list[tuple[str, Side]] = [("reminder_24h" if kind == REMINDER else kind, side) for kind, side in TEXTS]


def matter(kind: str, side: Side, locale: Locale = "en", of: BookingFacts = VISIT, **others: Any) -> Matter:
    """A notice to one of the two, in a language; a booking whose cancellation is told of is cancelled."""
    person = of.person(side)
    assert person is not None
    booking_facts = replace(of, status="cancelled") if kind == BOOKING_CANCELLED else of
    known = {"row_id": "n_1", "links": LINKS, "now": NOW, "person": replace(person, locale=locale), **others}
    return Matter(kind=kind, side=side, booking_facts=booking_facts, **known)


def cancellations() -> Iterator[tuple[str, BookingFacts]]:
    """Each way the money of a cancelled booking may go."""
    price = VISIT.price
    assert price is not None
    cancelled = replace(VISIT, status="cancelled")
    yield "nothing_paid", cancelled
    yield "refunded", replace(cancelled, refund=price)
    yield "partly_refunded", replace(cancelled, refund=Money(price.amount // 2, price.currency))
    yield "kept", replace(cancelled, refund=Money(0, price.currency))
    yield "all_kept", replace(cancelled, refund=Money(0, price.currency), price=None)
