"""The people, moments and conversations that the tests of conversations are made of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from conversations import booking
from conversations import effects as do
from conversations import events as on
from conversations.conversation import Conversation, Decision
from conversations.machine import decide
from conversations.money.amounts import Money
from conversations.values import Contact, Location, Price, Rating, Service, Terms, Therapist, Visit

E = TypeVar("E")

NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
TERMS = Terms(max_attempts=3)
SERVICE = Service(
    id="balinese",
    names={"en": "Balinese massage", "id": "Pijat Bali"},
    descriptions={"en": "Slow and deep.", "id": "Pelan dan dalam."},
    prices=(Price(60, Money(25_000_000, "IDR")), Price(90, Money(35_000_000, "IDR"))),
)
PLACE = Location("Jalan Raya Ubud 1", -8.5069, 115.2625)
CONTACT = Contact("Made", "+6281234567890")
AYU = Therapist("ayu", "Ayu", "/photos/01.svg", rating=4.8, rating_count=112, gender="female", languages=("en", "id"))
BAGUS = Therapist("bagus", "Bagus", "/photos/02.svg", rating=4.6, rating_count=40, gender="male")
VISIT = Visit(
    service_id=SERVICE.id,
    service_names=SERVICE.names,
    duration=90,
    price=Money(35_000_000, "IDR"),
    location=PLACE,
    contact=CONTACT,
)

# --- what happens -----------------------------------------------------------------------------------------------------


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def book(therapist: Therapist | None = None, terms: Terms = TERMS) -> on.BookPressed:
    return on.BookPressed(SERVICE, "profile" if therapist else "menu", terms, "en", "Asia/Makassar", therapist)


def confirm(conversation: Conversation, duration: int = 90) -> on.ServiceConfirmed:
    return on.ServiceConfirmed(conversation.revision, duration, PLACE, CONTACT)


def attempt(conversation: Conversation, number: int, deadline_at: datetime) -> on.AttemptStarted:
    return on.AttemptStarted(conversation.search_id or "", number, deadline_at)


def therapist_found(
    conversation: Conversation, therapist: Therapist = AYU, offer_id: str = "o_ayu"
) -> on.TherapistFound:
    return on.TherapistFound(conversation.search_id or "", offer_id, therapist, distance_km=2.345)


def exhausted(conversation: Conversation) -> on.SearchExhausted:
    return on.SearchExhausted(conversation.search_id or "")


def lost(conversation: Conversation) -> on.TherapistLost:
    return on.TherapistLost(conversation.search_id or "", conversation.offer_id or "")


def accept(conversation: Conversation) -> on.TherapistAccepted:
    return on.TherapistAccepted(conversation.revision, conversation.offer_id or "")


def another(conversation: Conversation) -> on.AnotherWanted:
    return on.AnotherWanted(conversation.revision, conversation.offer_id or "")


def reserved(offer_id: str = "o_ayu") -> on.SlotReserved:
    return on.SlotReserved(offer_id, f"r_{offer_id}")


def taken(offer_id: str = "o_ayu") -> on.SlotTaken:
    return on.SlotTaken(offer_id)


def again(conversation: Conversation) -> on.SearchAgainPressed:
    return on.SearchAgainPressed(conversation.revision)


def news(conversation: Conversation, step: Any, minutes: int | None = None) -> on.ProgressMade:
    return on.ProgressMade(conversation.booking_id or "", _therapist_id(conversation), step, minutes)


def withdrew(conversation: Conversation) -> on.TherapistWithdrew:
    return on.TherapistWithdrew(conversation.booking_id or "", _therapist_id(conversation), "ill")


def _therapist_id(conversation: Conversation) -> str:
    return conversation.therapist.id if conversation.therapist else ""


def rated(stars: int = 5, comment: str | None = None) -> on.VisitRated:
    return on.VisitRated(Rating(stars, comment))


ERASE = on.ErasureRequested()
CANCEL = on.Cancelled("guest", "changed my mind")
RING = on.DeadlinePassed()
INDONESIAN = on.LocaleChosen("id", "Asia/Jakarta")
LOOK = on.ScreenWanted()

# --- where a conversation stands --------------------------------------------------------------------------------------


def told(conversation: Conversation, *events: Any, at: datetime = NOW) -> Conversation:
    """The conversation after these events, each of them saved."""
    for event in events:
        decision = decide(conversation, event, at)
        assert decision.refusal is None, decision.refusal
        conversation = replace(decision.record, version=conversation.version + 1)
    return conversation


def idle() -> Conversation:
    return Conversation("c_1")


def confirming(therapist: Therapist | None = None, terms: Terms = TERMS) -> Conversation:
    return told(idle(), book(therapist, terms))


def searching(therapist: Therapist | None = None, terms: Terms = TERMS) -> Conversation:
    form = confirming(therapist, terms)
    return told(form, confirm(form))


def choosing(therapist: Therapist | None = None, terms: Terms = TERMS) -> Conversation:
    """Ayu was found ten seconds into the search."""
    search = searching(therapist, terms)
    return told(search, therapist_found(search), at=after(10))


def reserving() -> Conversation:
    """The guest has accepted Ayu, and her time is being reserved."""
    choice = choosing()
    return told(choice, accept(choice), at=after(20))


def active(terms: Terms = TERMS) -> Conversation:
    choice = choosing(terms=terms)
    return told(told(choice, accept(choice), at=after(20)), reserved(), at=after(21))


def no_therapist() -> Conversation:
    search = searching()
    return told(search, exhausted(search), at=after(180))


def completed() -> Conversation:
    visit = active()
    return told(visit, news(visit, "completed"), at=after(6000))


def cancelled() -> Conversation:
    return told(searching(), CANCEL, at=after(5))


def expired() -> Conversation:
    form = confirming()
    return told(form, RING, at=after(TERMS.form_s))


def erased() -> Conversation:
    return told(cancelled(), ERASE, at=after(9))


EVERYWHERE = (
    idle(),
    confirming(),
    searching(),
    choosing(),
    active(),
    no_therapist(),
    completed(),
    cancelled(),
    expired(),
    erased(),
)

# --- what came of it --------------------------------------------------------------------------------------------------


def wanted(decision: Decision, kind: type[E]) -> list[E]:
    """The effects of this kind."""
    return [each for each in decision.effects if isinstance(each, kind)]


def kinds(decision: Decision) -> tuple[type, ...]:
    return tuple(type(each) for each in decision.effects)


def lines(decision: Decision) -> list[str]:
    """The keys of what the bot says."""
    return [each.key for each in wanted(decision, do.Say)]


def told_booking(decision: Decision) -> list[type[booking.Event]]:
    return [type(each.event) for each in wanted(decision, do.TellBooking)]


def word_to_booking(decision: Decision, kind: type[E]) -> E:
    """The one thing the booking is told."""
    [tell] = wanted(decision, do.TellBooking)
    assert isinstance(tell.event, kind)
    return tell.event


def changes_nothing(decision: Decision, conversation: Conversation) -> bool:
    return decision.record == conversation and not decision.effects
