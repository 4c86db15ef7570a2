"""A booking as notices see it, read from the records as they stand now, wherever the booking is kept.

Of many notices that are due at one moment, the bookings are read together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Literal, get_args

from bot.identity import key_of
from bot.store.notifications import BookingKind
from bot.store.records import Records
from bot.store.therapists import Therapists
from conversations.booking import Booking, Status
from conversations.conversation import Conversation
from conversations.external_booking import ExternalBooking
from conversations.external_booking import Status as ExternalStatus
from conversations.notices import BookingFacts, Person
from conversations.values import Locale

REFERENCE_LENGTH = 8
_STATUS_OF_EXTERNAL: Mapping[ExternalStatus, Literal["confirmed", "cancelled", "over"]] = {
    ExternalStatus.NEW: "confirmed",
    ExternalStatus.CONFIRMED: "confirmed",
    ExternalStatus.CANCELLED: "cancelled",
    ExternalStatus.OVER: "over",
}


def reference_of(booking_id: str) -> str:
    """What people call a booking on the phone."""
    return booking_id.rpartition("_")[2][:REFERENCE_LENGTH].upper()


class FactsOfBookings:
    """Finds a booking and whom it concerns."""

    def __init__(
        self,
        bookings: Records[Booking],
        external_bookings: Records[ExternalBooking],
        conversations: Records[Conversation],
        therapists: Therapists,
        *,
        brand: str,
        locale: Locale,
        timezone: str,
    ) -> None:
        self._bookings = bookings
        self._external_bookings = external_bookings
        self._conversations = conversations
        self._therapists = therapists
        self._brand = brand
        self._locale = locale
        self._timezone = timezone

    async def offered(self, booking_id: str, person_id: str) -> BookingFacts | None:
        """The booking as one sees it who is asked to take it: it stands as long as nobody has."""
        stored = await self._bookings.load_with_others(booking_id)
        if stored is None or stored.record.visit is None or stored.record.created_at is None:
            return None
        conversation = await self._conversation(stored.record)
        asked = await self._person(person_id.partition(":")[2], conversation)
        booking_facts = self._booking_facts(stored.record, conversation, asked)
        is_open = stored.record.state is Status.SEARCHING
        return replace(booking_facts, revision=0, status="confirmed" if is_open else "cancelled")

    async def find(self, room: BookingKind, booking_id: str) -> BookingFacts | None:
        """None where nobody knows the booking, or nothing has been agreed yet."""
        if room == "external_booking":
            external = await self._external_bookings.load_with_others(booking_id)
            return _facts_of_external(external.record) if external else None
        stored = await self._bookings.load_with_others(booking_id)
        if stored is None or stored.record.visit is None:
            return None
        booking = stored.record
        conversation = await self._conversation(booking)
        return self._booking_facts(booking, conversation, await self._therapist(booking, conversation))

    async def _conversation(self, booking: Booking) -> Conversation:
        known = await self._conversations.load_with_others(booking.conversation_id)
        return known.record if known else Conversation(booking.conversation_id)

    def _booking_facts(self, booking: Booking, conversation: Conversation, therapist: Person | None) -> BookingFacts:
        visit = booking.visit
        assert visit is not None, "find() looks for one"
        created_at = booking.created_at
        assert created_at is not None, "a booking with a visit has been opened"
        return BookingFacts(
            booking_id=booking.id,
            reference=reference_of(booking.id),
            revision=booking.revision,
            status=_status(booking),
            starts_at=booking.arrives_by or created_at + timedelta(hours=1),
            duration=visit.duration,
            customer=self._customer(booking, conversation),
            therapist=therapist,
            service_names=visit.service_names,
            service_id=visit.service_id,
            brand=self._brand,
            price=visit.price,
            address=visit.location.address if visit.location else None,
            conversation_id=booking.conversation_id,
            conversation_revision=conversation.revision,
            cancelled_by=booking.cancelled_by,
            paid=booking.paid,
            has_begun=booking.progress in ("arrived", "completed", "no_show"),
        )

    def _customer(self, booking: Booking, conversation: Conversation) -> Person | None:
        contact = booking.visit.contact if booking.visit else None
        if contact is None:
            return None
        return Person(
            id=key_of("guest", booking.conversation_id),
            name=contact.name,
            locale=conversation.locale,
            timezone=conversation.timezone or self._timezone,
            phone=contact.phone,
            email=contact.email,
        )

    async def _therapist(self, booking: Booking, conversation: Conversation) -> Person | None:
        return await self._person(booking.therapist.id, conversation) if booking.therapist else None

    async def _person(self, therapist: str, conversation: Conversation) -> Person | None:
        """They are where the guest is, so they live by the same clock."""
        record = await self._therapists.get_with_others(therapist)
        if record is None:
            return None
        return Person(
            id=key_of("therapist", record.id),
            name=record.name,
            locale=record.locale,
            timezone=conversation.timezone or self._timezone,
            phone=record.phone,
        )


def _facts_of_external(booking: ExternalBooking) -> BookingFacts | None:
    """As the other system told of it; whom it is with is known by name alone."""
    details = booking.details
    if details is None:
        return None
    customer = details.customer
    provider = Person(f"provider:{booking.id}", details.provider_name, customer.locale, customer.timezone)
    return BookingFacts(
        booking_id=booking.id,
        reference=reference_of(booking.reference),
        revision=booking.revision,
        status=_STATUS_OF_EXTERNAL[booking.state],
        starts_at=details.starts_at,
        duration=details.duration,
        customer=Person(
            f"customer:{booking.id}",
            customer.name,
            customer.locale,
            customer.timezone,
            customer.phone,
            customer.email,
        ),
        therapist=provider,
        service_names=dict.fromkeys(get_args(Locale), details.service_name),
        brand=details.brand,
        price=details.price,
        address=details.address,
        refund=booking.refund,
    )


def _status(booking: Booking) -> Literal["confirmed", "cancelled", "over"]:
    if booking.state is Status.ACTIVE:
        return "confirmed"
    return "over" if booking.state in (Status.COMPLETED, Status.NO_SHOW) else "cancelled"
