"""From effect to call: the index of every side effect, and the only place where conversations and matching meet.

Each call may happen twice. What it creates takes its id from the effect, so doing it twice creates it once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any

from bot.access.admission import Access
from bot.clock import Now
from bot.feeds.feeds import Feeds, NewEntry
from bot.identity import conversation_feed, therapist_feed
from bot.messaging.jobs import Jobs
from bot.notifications.announcements import Announcements
from bot.schemas.views import raw_booking
from bot.store.codec import to_document
from bot.store.records import OutboxItem, Records
from bot.store.reservations import Reservations
from bot.store.therapists import Therapists
from bot.turns.erasure import Erasure
from bot.turns.outboxes import Performed
from bot.turns.turns import Room, Turns
from conversations import booking as bookings
from conversations import effects as do
from conversations import events as on
from conversations.ids import derived_id
from conversations.notices import Notify
from conversations.values import Therapist
from matching import effects as find
from matching import events as found
from matching.availability import visit_cells
from matching.policy import Needs, Policy, Ranked, is_eligible, rank

# How long a therapist stays held while their time is being reserved: longer than any call may take.
RESERVING = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Cause:
    """Which record wanted the effect, and the effect's own id."""

    room: Room
    record_id: str
    effect_id: str


class Perform:
    """Performs the first effects of an outbox: a run of feed entries in one go, or one call."""

    def __init__(
        self,
        *,
        feeds: Feeds,
        bookings: Records[bookings.Booking],
        therapists: Therapists,
        reservations: Reservations,
        jobs: Jobs,
        access: Access,
        erasure: Erasure,
        announcements: Announcements,
        policy: Policy,
        is_at_work: Callable[[str], bool | None],
        now: Now,
        arrival_s: float,
        buffer_minutes: int,
    ) -> None:
        self._feeds = feeds
        self._bookings = bookings
        self._therapists = therapists
        self._reservations = reservations
        self._jobs = jobs
        self._access = access
        self._erasure = erasure
        self._announcements = announcements
        self._policy = policy
        self._is_at_work = is_at_work
        self._now = now
        self._arrival = timedelta(seconds=arrival_s)
        self._buffer_minutes = buffer_minutes
        self._turns: Turns | None = None
        self._entries: dict[type, Callable[[Any, Cause], Awaitable[tuple[str, NewEntry]]]] = {
            do.Say: self._line,
            do.ShowCard: self._card,
            do.ShowState: self._state,
            do.ShowTherapistBooking: self._therapist_booking,
            do.NotifyTherapist: self._notification,
            find.SendOffer: self._offer,
            find.CloseOffer: self._offer_closed,
        }
        self._calls: dict[type, Callable[[Any, Cause], Awaitable[bool | None]]] = {
            do.TellBooking: self._tell_booking,
            do.StartSearch: self._start_search,
            do.AskSearch: self._ask_search,
            do.GiveTherapistBack: self._give_therapist_back,
            do.CloseSearchWon: self._close_search_won,
            do.CancelSearch: self._cancel_search,
            do.ReserveSlot: self._reserve_slot,
            do.ReleaseSlot: self._release_slot,
            do.CountVisit: self._count_visit,
            do.EndTokens: self._end_tokens,
            do.EraseGuest: self._erase_guest,
            Notify: self._notify,
            find.FindCandidates: self._find_candidates,
            find.KeepHold: self._keep_hold,
            find.ReleaseHold: self._release_hold,
            find.ReportAttempt: self._report_attempt,
            find.ReportFound: self._report_found,
            find.ReportLost: self._report_lost,
            find.ReportExhausted: self._report_exhausted,
        }

    def use(self, turns: Turns) -> None:
        """Effects lead to turns and turns to effects: the owner closes the circle once both stand."""
        self._turns = turns

    async def __call__(self, room: Room, record_id: str, items: Sequence[OutboxItem]) -> Performed:
        entries = list(takewhile(lambda item: type(item.effect) in self._entries, items))
        if entries:
            await self._append([(item, Cause(room, record_id, item.id)) for item in entries])
            return Performed(done=tuple(item.id for item in entries))
        first = items[0]
        done = await self._calls[type(first.effect)](first.effect, Cause(room, record_id, first.id))
        return Performed(postponed=(first.id,)) if done is False else Performed(done=(first.id,))

    @property
    def _take(self) -> Turns:
        assert self._turns is not None, "use() comes before the first effect"
        return self._turns

    # --- entries on feeds ---------------------------------------------------------------------------------------------

    async def _append(self, items: Sequence[tuple[OutboxItem, Cause]]) -> None:
        """Entries of one feed keep their order; feeds do not wait for each other."""
        by_feed: dict[str, list[NewEntry]] = {}
        for item, cause in items:
            feed, entry = await self._entries[type(item.effect)](item.effect, cause)
            by_feed.setdefault(feed, []).append(entry)
        await asyncio.gather(*(self._feeds.append_many(feed, entries) for feed, entries in by_feed.items()))
        if offers := [item.effect for item, _ in items if isinstance(item.effect, find.SendOffer)]:
            await self._announcements.announce_offers(offers)

    def _entry(self, cause: Cause, kind: str, data: dict[str, Any]) -> NewEntry:
        return NewEntry(id=cause.effect_id, type=kind, data=data)

    async def _line(self, effect: do.Say, cause: Cause) -> tuple[str, NewEntry]:
        data = {"key": effect.key, "params": effect.params}
        return conversation_feed(cause.record_id), self._entry(cause, "system", data)

    async def _card(self, effect: do.ShowCard, cause: Cause) -> tuple[str, NewEntry]:
        return conversation_feed(cause.record_id), self._entry(cause, "card", card_data(effect))

    async def _state(self, effect: do.ShowState, cause: Cause) -> tuple[str, NewEntry]:
        booking = await self._raw_booking(effect.booking_id) if effect.booking_id else None
        return conversation_feed(cause.record_id), self._entry(cause, "state", state_data(effect, booking))

    async def _therapist_booking(self, effect: do.ShowTherapistBooking, cause: Cause) -> tuple[str, NewEntry]:
        booking = await self._raw_booking(effect.booking_id)
        if booking["therapist"] is None or booking["therapist"]["id"] != effect.therapist_id:
            # For this therapist it is over, and nothing is earned: the booking goes on with somebody else.
            nothing = {"amount": 0, "currency": booking["price"]["currency"]}
            booking |= {"status": "cancelled", "earnings": nothing, "commission": nothing}
        return therapist_feed(effect.therapist_id), self._entry(cause, "booking", {"booking": booking})

    async def _notification(self, effect: do.NotifyTherapist, cause: Cause) -> tuple[str, NewEntry]:
        data = {"kind": effect.kind, "params": effect.params, "sound": None, "urgency": "high"}
        return therapist_feed(effect.therapist_id), self._entry(cause, "notification", data)

    async def _offer(self, effect: find.SendOffer, cause: Cause) -> tuple[str, NewEntry]:
        booking = await self._raw_booking(effect.booking_id)
        data = offer_data(booking, effect.offer_id, effect.distance_km, effect.respond_by, effect.attempt)
        return therapist_feed(effect.therapist_id), self._entry(cause, "offer", data)

    async def _offer_closed(self, effect: find.CloseOffer, cause: Cause) -> tuple[str, NewEntry]:
        data = {"offer_id": effect.offer_id, "why": effect.why}
        return therapist_feed(effect.therapist_id), self._entry(cause, "offer_closed", data)

    async def _raw_booking(self, booking_id: str) -> dict[str, Any]:
        stored = await self._bookings.load(booking_id)
        assert stored is not None, "a booking is opened before it is shown"
        return raw_booking(stored.record)

    # --- from the conversation ----------------------------------------------------------------------------------------

    async def _tell_booking(self, effect: do.TellBooking, cause: Cause) -> None:
        await self._take.take("booking", effect.booking_id, effect.event, by=cause.room)

    async def _start_search(self, effect: do.StartSearch, cause: Cause) -> None:
        location = effect.location
        needs = Needs(location.latitude, location.longitude, effect.duration, effect.gender_preference)
        started = found.SearchStarted(
            conversation_id=cause.record_id,
            booking_id=effect.booking_id,
            needs=needs,
            policy=self._policy,
            deadline_at=effect.deadline_at,
            direct_therapist_id=effect.direct_therapist_id,
        )
        await self._take.take("search", effect.search_id, started, by=cause.room)

    async def _ask_search(self, effect: do.AskSearch, cause: Cause) -> None:
        await self._take.take("search", effect.search_id, found.StatusAsked(), by=cause.room)

    async def _give_therapist_back(self, effect: do.GiveTherapistBack, cause: Cause) -> None:
        given_back = found.TherapistGivenBack(effect.offer_id, effect.deadline_at)
        await self._take.take("search", effect.search_id, given_back, by=cause.room)

    async def _close_search_won(self, effect: do.CloseSearchWon, cause: Cause) -> None:
        await self._take.take("search", effect.search_id, found.TherapistTaken(effect.offer_id), by=cause.room)

    async def _cancel_search(self, effect: do.CancelSearch, cause: Cause) -> None:
        await self._take.take("search", effect.search_id, found.SearchCancelled(effect.why), by=cause.room)

    async def _reserve_slot(self, effect: do.ReserveSlot, cause: Cause) -> None:
        """The commit point: one row, while the therapist is still held for this guest."""
        event: on.SlotReserved | on.SlotTaken = on.SlotTaken(effect.offer_id)
        if await self._reserve(effect):
            event = on.SlotReserved(effect.offer_id, effect.reservation_id)
        await self._take.take("conversation", cause.record_id, event, by=cause.room)

    async def _reserve(self, effect: do.ReserveSlot) -> bool:
        if await self._reservations.exists(effect.reservation_id):
            return True
        until = self._now() + RESERVING
        if not await self._therapists.keep_hold(effect.therapist_id, effect.offer_id, until):
            return False
        reserved = await self._reservations.reserve(
            effect.reservation_id,
            therapist_id=effect.therapist_id,
            booking_id=effect.booking_id,
            cells=visit_cells(effect.starts_at, effect.ends_at, effect.buffer_minutes),
            starts_at=effect.starts_at,
            ends_at=effect.ends_at,
        )
        if reserved:
            await self._therapists.mark_busy(effect.therapist_id, effect.booking_id, effect.ends_at)
        return reserved

    async def _release_slot(self, effect: do.ReleaseSlot, cause: Cause) -> None:
        released = await self._reservations.release(effect.reservation_id)
        if released is not None:
            await self._therapists.mark_free(released.therapist_id, released.booking_id)

    async def _count_visit(self, effect: do.CountVisit, cause: Cause) -> bool:
        return await self._jobs.enqueue("default", "workers.jobs.count_visits", cause.effect_id, effect.therapist_id)

    async def _end_tokens(self, effect: do.EndTokens, cause: Cause) -> None:
        await self._access.end("guest", cause.record_id)

    async def _erase_guest(self, effect: do.EraseGuest, cause: Cause) -> None:
        await self._erasure(self._take, cause.record_id, conversation_feed(cause.record_id))

    async def _notify(self, effect: Notify, cause: Cause) -> None:
        assert cause.room in ("booking", "external_booking"), "only bookings have something to announce"
        await self._announcements(cause.room, cause.record_id, effect)

    # --- from the search ----------------------------------------------------------------------------------------------

    async def _find_candidates(self, effect: find.FindCandidates, cause: Cause) -> None:
        holds: list[found.Held] = []
        if effect.until > self._now():
            ranked = await self._ranked(effect, cause.record_id)
            while ranked and len(holds) < effect.count:
                wave, ranked = ranked[: effect.count - len(holds)], ranked[effect.count - len(holds) :]
                taken = await asyncio.gather(*(self._hold(each, effect, cause) for each in wave))
                holds += [held for held in taken if held is not None]
        await self._take.take(
            "search", cause.record_id, found.CandidatesHeld(effect.attempt, tuple(holds)), by=cause.room
        )

    async def _ranked(self, effect: find.FindCandidates, search_id: str) -> list[Ranked]:
        now = self._now()
        candidates = await self._therapists.candidates(
            effect.needs,
            effect.radius_km,
            now,
            search_id=search_id,
            refused=effect.refused,
            only=effect.only_therapist_id,
        )
        visit_ends_at = now + self._arrival + timedelta(minutes=effect.needs.duration)
        cells = visit_cells(now, visit_ends_at, self._buffer_minutes)
        busy = await self._reservations.taken_by([each.therapist_id for each in candidates], cells)
        known = [
            replace(each, is_busy=each.therapist_id in busy, is_offline=self._is_at_work(each.therapist_id) is False)
            for each in candidates
        ]
        eligible = [each for each in known if is_eligible(each, effect.needs, effect.radius_km, effect.refused)]
        return rank(eligible, now, effect.asked_before)

    async def _hold(self, ranked: Ranked, effect: find.FindCandidates, cause: Cause) -> found.Held | None:
        candidate = ranked.candidate
        offer_id = derived_id("o", cause.effect_id, candidate.therapist_id)
        hold = await self._therapists.hold(
            candidate.therapist_id,
            search_id=cause.record_id,
            offer_id=offer_id,
            until=effect.until,
            now=self._now(),
        )
        if hold is None:
            return None
        fence, until = hold
        return found.Held(offer_id, candidate.therapist_id, fence, until, candidate.distance_km, ranked.why)

    async def _keep_hold(self, effect: find.KeepHold, cause: Cause) -> None:
        is_kept = await self._therapists.keep_hold(effect.therapist_id, effect.offer_id, effect.until)
        event = found.HoldKept(effect.offer_id, effect.until) if is_kept else found.HoldLost(effect.offer_id)
        await self._take.take("search", cause.record_id, event, by=cause.room)

    async def _release_hold(self, effect: find.ReleaseHold, cause: Cause) -> None:
        await self._therapists.release_hold(effect.therapist_id, effect.offer_id, effect.fence)

    async def _report_attempt(self, effect: find.ReportAttempt, cause: Cause) -> None:
        event = on.AttemptStarted(cause.record_id, effect.attempt, effect.deadline_at)
        await self._take.take("conversation", effect.conversation_id, event, by=cause.room)

    async def _report_found(self, effect: find.ReportFound, cause: Cause) -> None:
        therapist = await self._therapist(effect.therapist_id)
        event = on.TherapistFound(cause.record_id, effect.offer_id, therapist, effect.distance_km)
        await self._take.take("conversation", effect.conversation_id, event, by=cause.room)

    async def _report_lost(self, effect: find.ReportLost, cause: Cause) -> None:
        event = on.TherapistLost(cause.record_id, effect.offer_id)
        await self._take.take("conversation", effect.conversation_id, event, by=cause.room)

    async def _report_exhausted(self, effect: find.ReportExhausted, cause: Cause) -> None:
        await self._take.take(
            "conversation", effect.conversation_id, on.SearchExhausted(cause.record_id), by=cause.room
        )

    async def _therapist(self, therapist_id: str) -> Therapist:
        record = await self._therapists.get(therapist_id)
        assert record is not None, "a therapist who was offered something exists"
        return record.as_guests_see()


def card_data(effect: do.ShowCard) -> dict[str, Any]:
    """A card as it stands on a feed; words and buttons' labels are keys until somebody reads it."""
    buttons = [to_document(button) for button in effect.buttons]
    return {"card": effect.card, "revision": effect.revision, "buttons": buttons, **effect.data}


def offer_data(
    booking: dict[str, Any], offer_id: str, distance_km: float, respond_by: datetime, attempt: int
) -> dict[str, Any]:
    """An offer as it stands on a feed: what a therapist must know to say yes or no, and no phone number yet."""
    return {
        "offer_id": offer_id,
        "booking": {
            "service": booking["service"],
            "duration": booking["duration"],
            "address": (booking["location"] or {}).get("address"),
        },
        "guest": {"name": booking["name"]},
        "distance_km": round(distance_km, 2),
        "respond_by": respond_by,
        "earnings": booking["earnings"],
        "attempt": attempt,
    }


def state_data(effect: do.ShowState, booking: dict[str, Any] | None) -> dict[str, Any]:
    """A state line as it stands on a feed."""
    data = asdict(effect)
    data["buttons"] = [to_document(button) for button in effect.buttons]
    return {**data, "booking": booking}
