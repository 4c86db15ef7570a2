"""What the bot says: the cards with their buttons, and every line, title and label by key, in English.

The English text is the msgid of the catalogs in `bot/locales`; a reader gets it in their own language when it is read.
`LINES_FOR_THERAPIST` says to the therapist in the room what `LINES` says to the guest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from conversations.effects import ShowCard
from conversations.values import Button, Draft, Therapist


def N_(text: str) -> str:
    """Mark a text for the catalogs (their tools look for this name) and return it as it is."""
    return text


LINES: Mapping[str, str] = {
    "checking_availability": N_("We're checking availability for therapists near you…"),
    "search_started": N_("We're asking therapists near you. You can cancel at any moment."),
    "search_started_direct": N_("We're asking {therapist} for you first. You can cancel at any moment."),
    "search_widened": N_(
        "No one has accepted yet, so we're looking further away (attempt {attempt} of {max_attempts})."
    ),
    "direct_unavailable": N_("That therapist can't come now, so we're asking others near you."),
    "no_therapist": N_("Nobody near you is free right now. You can search again whenever you like."),
    "therapist_available": N_("Good news! A therapist is available."),
    "choice_lapsed": N_("We didn't hear from you in time, so the therapist was given back. You can search again."),
    "therapist_lost": N_("This therapist is no longer available. You can search again."),
    "another_wanted": N_("We're looking for another therapist for you."),
    "slot_taken": N_("This therapist's time was just taken, so we're asking others near you."),
    "booking_confirmed": N_("Your booking is confirmed. The therapist will arrive within 1 hour or less."),
    "on_the_way": N_("{therapist} is on the way."),
    "delayed": N_("{therapist} is delayed by about {minutes} minutes."),
    "arrived": N_("{therapist} has arrived."),
    "completed": N_("Your visit is completed. Thank you for booking with us!"),
    "no_show": N_("{therapist} could not meet you, so the visit was closed."),
    "visit_closed": N_("This visit was never started, so it was closed."),
    "therapist_withdrew": N_("{therapist} can't come after all: {reason}. We're sorry – you can search again."),
    "cancelled_by_guest": N_("Your booking is cancelled."),
    "cancelled_by_therapist": N_("Your booking was cancelled by the therapist."),
    "cancelled_by_operator": N_("Your booking was cancelled by our team."),
    "form_closed": N_("Alright, nothing was booked. Book whenever you like."),
    "form_expired": N_("This request was closed because it was not confirmed. Book again whenever you like."),
    "erased": N_("We are deleting what we know about you. This conversation ends here."),
    "request_expired": N_("This request was closed. Book again whenever you like."),
}

LINES_FOR_THERAPIST: Mapping[str, str] = {
    "booking_confirmed": N_("The guest has accepted you. Please go now."),
    "on_the_way": N_("You're on the way."),
    "delayed": N_("You told the guest that you're delayed by about {minutes} minutes."),
    "arrived": N_("You have arrived."),
    "completed": N_("The visit is completed. Thank you!"),
    "no_show": N_("You reported that the guest was not there. The visit was closed."),
    "therapist_withdrew": N_("You cancelled this visit."),
    "cancelled_by_guest": N_("The guest cancelled this booking."),
    "cancelled_by_therapist": N_("You cancelled this booking."),
    "cancelled_by_operator": N_("Our team cancelled this booking."),
}

CARDS: Mapping[str, tuple[str, str]] = {
    "service": (N_("Confirm your massage"), N_("Choose how long, and tell us where to come.")),
    "therapist": (N_("Your therapist"), N_("Can be with you {arrival}. Nobody sets off before you accept.")),
    "no_therapist": (N_("No therapist yet"), N_("Shall we ask the therapists near you again?")),
    "rating": (N_("How was your visit?"), N_("Your stars help other guests to choose, and {therapist} to do well.")),
    "app_download": (N_("Take Janji with you"), N_("The app keeps an eye on your booking for you.")),
    "rated": (N_("Thank you for your rating!"), N_("You can change it until you book again.")),
}

LABELS: Mapping[str, str] = {
    "confirm": N_("Confirm & search"),
    "cancel": N_("Cancel"),
    "accept_therapist": N_("Accept therapist"),
    "find_another": N_("Find another"),
    "cancel_booking": N_("Cancel booking"),
    "search_again": N_("Search again"),
    "rate": N_("Send rating"),
}

SUBTITLES: Mapping[str, str] = {
    "idle": N_("Massage at your place"),
    "confirming": N_("One step to go"),
    "searching": N_("Looking for your therapist"),
    "choosing": N_("Available for you"),
    "active": N_("Your therapist"),
    "no_therapist": N_("No therapist yet"),
    "completed": N_("Visit completed"),
    "cancelled": N_("Booking cancelled"),
    "expired": N_("Closed"),
    "erased": N_("Deleted"),
}

# The first two stand on feeds from before there were notices (`notice_texts.py`), and are read like all others.
NOTIFICATIONS: Mapping[str, tuple[str, str]] = {
    "booking_active": (N_("You're booked"), N_("{guest} has accepted you: {address}. Please go now.")),
    "booking_cancelled": (N_("Booking cancelled"), N_("The booking with {guest} was cancelled.")),
    "test": (N_("It works"), N_("This is how we tell you about your bookings.")),
    "booking_closed": (N_("Booking closed"), N_("The visit with {guest} was closed.")),
}

REFUSALS: Mapping[str, str] = {
    "stale": N_("This card has been replaced by a newer one. Please use the latest card."),
    "not_now": N_("That can't be done at this point of the conversation."),
    "already_live": N_("A search for you is already running."),
    "payment_declined": N_("Your bank declined the payment. Please try another way to pay."),
    "offer_taken": N_("Another therapist has accepted this booking."),
    "offer_expired": N_("This offer is no longer open."),
    "slot_taken": N_("This therapist's time was just taken. We're asking others near you."),
    "not_found": N_("We can't find that."),
    "invalid": N_("Please check what you entered."),
    "unavailable": N_("We can't do this right now. Nothing was lost; please try again in a moment."),
    "too_many_requests": N_("That was a bit fast. Please try again in a moment."),
    "too_large": N_("This is too long."),
    "unauthorized": N_("Please sign in again."),
    "forbidden": N_("We can't find that."),
}

ARRIVALS: Mapping[str, str] = {
    "within_20_minutes": N_("within 20 minutes"),
    "within_30_minutes": N_("within 30 minutes"),
    "within_1_hour": N_("within 1 hour"),
}

# City traffic with a margin for getting ready: what is promised must be kept.
_ARRIVAL_BY_KM = ((3.0, "within_20_minutes"), (8.0, "within_30_minutes"))

CANCEL_SEARCH = Button("cancel", "cancel", "quiet")
CANCEL_BOOKING = Button("cancel", "cancel_booking", "danger")


def arrival_key(distance_km: float) -> str:
    """The promise of arrival for a distance: a key of `ARRIVALS`."""
    return next((key for at_most_km, key in _ARRIVAL_BY_KM if distance_km <= at_most_km), "within_1_hour")


def service_card(draft: Draft, revision: int, defaults: Mapping[str, Any], expires_at: datetime) -> ShowCard:
    return ShowCard(
        card="service",
        revision=revision,
        buttons=(Button("confirm_service", "confirm", "primary", {"revision": revision}), CANCEL_SEARCH),
        data={
            "service": {
                "id": draft.service.id,
                "names": draft.service.names,
                "descriptions": draft.service.descriptions,
            },
            "therapist": _therapist_data(draft.therapist) if draft.therapist else None,
            "durations": [{"minutes": each.minutes, "price": asdict(each.price)} for each in draft.service.prices],
            "defaults": dict(defaults),
            "expires_at": expires_at,
        },
    )


def therapist_card(
    therapist: Therapist, offer_id: str, distance_km: float, revision: int, expires_at: datetime
) -> ShowCard:
    payload: dict[str, str | int] = {"revision": revision, "offer_id": offer_id}
    return ShowCard(
        card="therapist",
        revision=revision,
        buttons=(
            Button("accept_therapist", "accept_therapist", "primary", payload),
            Button("find_another", "find_another", "secondary", payload),
            CANCEL_BOOKING,
        ),
        data={
            "offer_id": offer_id,
            "therapist": _therapist_data(therapist),
            "distance_km": round(distance_km, 1),
            "arrival": arrival_key(distance_km),
            "expires_at": expires_at,
        },
    )


def no_therapist_card(revision: int) -> ShowCard:
    return ShowCard(
        card="no_therapist",
        revision=revision,
        buttons=(Button("search_again", "search_again", "primary", {"revision": revision}), CANCEL_SEARCH),
    )


def rating_card(therapist: Therapist, stars: int | None, revision: int) -> ShowCard:
    """`stars` are those that were given already, None before."""
    return ShowCard(
        card="rating",
        revision=revision,
        buttons=(Button("rate", "rate", "primary", {"revision": revision}),),
        data={"therapist": _therapist_data(therapist), "stars": stars},
    )


def _therapist_data(therapist: Therapist) -> dict[str, Any]:
    return {**asdict(therapist), "specialties": list(therapist.specialties), "languages": list(therapist.languages)}
