"""What makes a search go on: its turns, the therapists it finds and holds, and its news to the conversation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from bot.clock import Now
from bot.store.kinds import CONVERSATION, SEARCH
from bot.store.reservations import Reservations
from bot.store.therapists import Therapists
from bot.turns.cause import Cause
from conversations import effects as do
from conversations import events as on
from conversations.ids import derived_id
from conversations.values import Therapist
from matching import effects as find
from matching import events as found
from matching.availability import visit_cells
from matching.policy import Needs, Policy, Ranked, is_eligible, rank


@dataclass(frozen=True, slots=True)
class Searching:
    """Each method performs one effect; `is_at_work` is None of a therapist who was not seen for long enough to know."""

    therapists: Therapists
    reservations: Reservations
    policy: Policy
    is_at_work: Callable[[str], bool | None]
    now: Now
    arrival: timedelta
    buffer_minutes: int

    async def start_search(self, effect: do.StartSearch, cause: Cause) -> None:
        location = effect.location
        needs = Needs(location.latitude, location.longitude, effect.duration, effect.gender_preference)
        started = found.SearchStarted(
            conversation_id=cause.record_id,
            booking_id=effect.booking_id,
            needs=needs,
            policy=self.policy,
            deadline_at=effect.deadline_at,
            direct_therapist_id=effect.direct_therapist_id,
        )
        await cause.take(SEARCH, effect.search_id, started, by=cause.record)

    async def ask_search(self, effect: do.AskSearch, cause: Cause) -> None:
        await cause.take(SEARCH, effect.search_id, found.StatusAsked(), by=cause.record)

    async def give_therapist_back(self, effect: do.GiveTherapistBack, cause: Cause) -> None:
        given_back = found.TherapistGivenBack(effect.offer_id, effect.deadline_at)
        await cause.take(SEARCH, effect.search_id, given_back, by=cause.record)

    async def close_search_won(self, effect: do.CloseSearchWon, cause: Cause) -> None:
        await cause.take(SEARCH, effect.search_id, found.TherapistTaken(effect.offer_id), by=cause.record)

    async def cancel_search(self, effect: do.CancelSearch, cause: Cause) -> None:
        await cause.take(
            SEARCH, effect.search_id, found.SearchCancelled(effect.why, effect.is_unanswered), by=cause.record
        )

    # --- what the search itself wants -------------------------------------------------------------------------------

    async def find_candidates(self, effect: find.FindCandidates, cause: Cause) -> None:
        holds: list[found.Held] = []
        if effect.until > self.now():
            ranked = await self._ranked(effect, cause.record_id)
            while ranked and len(holds) < effect.count:
                wave, ranked = ranked[: effect.count - len(holds)], ranked[effect.count - len(holds) :]
                taken = await asyncio.gather(*(self._hold(each, effect, cause) for each in wave))
                holds += [held for held in taken if held is not None]
        await cause.take(SEARCH, cause.record_id, found.CandidatesHeld(effect.attempt, tuple(holds)), by=cause.record)

    async def _ranked(self, effect: find.FindCandidates, search_id: str) -> list[Ranked]:
        now = self.now()
        candidates = await self.therapists.candidates(
            effect.needs,
            effect.radius_km,
            now,
            search_id=search_id,
            refused=effect.refused,
            only=effect.only_therapist_id,
        )
        visit_ends_at = now + self.arrival + timedelta(minutes=effect.needs.duration)
        cells = visit_cells(now, visit_ends_at, self.buffer_minutes)
        busy = await self.reservations.taken_by([each.therapist_id for each in candidates], cells)
        known = [
            replace(each, is_busy=each.therapist_id in busy, is_offline=self.is_at_work(each.therapist_id) is False)
            for each in candidates
        ]
        eligible = [each for each in known if is_eligible(each, effect.needs, effect.radius_km, effect.refused)]
        return rank(eligible, now, effect.asked_before)

    async def _hold(self, ranked: Ranked, effect: find.FindCandidates, cause: Cause) -> found.Held | None:
        candidate = ranked.candidate
        offer_id = derived_id("o", cause.effect_id, candidate.therapist_id)
        hold = await self.therapists.hold(
            candidate.therapist_id,
            search_id=cause.record_id,
            offer_id=offer_id,
            until=effect.until,
            now=self.now(),
        )
        if hold is None:
            return None
        fence, until = hold
        return found.Held(offer_id, candidate.therapist_id, fence, until, candidate.distance_km, ranked.why)

    async def keep_hold(self, effect: find.KeepHold, cause: Cause) -> None:
        is_kept = await self.therapists.keep_hold(effect.therapist_id, effect.offer_id, effect.until)
        event = found.HoldKept(effect.offer_id, effect.until) if is_kept else found.HoldLost(effect.offer_id)
        await cause.take(SEARCH, cause.record_id, event, by=cause.record)

    async def release_hold(self, effect: find.ReleaseHold, cause: Cause) -> None:
        await self.therapists.release_hold(effect.therapist_id, effect.offer_id, effect.fence)

    async def report_attempt(self, effect: find.ReportAttempt, cause: Cause) -> None:
        event = on.AttemptStarted(cause.record_id, effect.attempt, effect.deadline_at)
        await cause.take(CONVERSATION, effect.conversation_id, event, by=cause.record)

    async def report_found(self, effect: find.ReportFound, cause: Cause) -> None:
        therapist = await self._therapist(effect.therapist_id)
        event = on.TherapistFound(cause.record_id, effect.offer_id, therapist, effect.distance_km)
        await cause.take(CONVERSATION, effect.conversation_id, event, by=cause.record)

    async def report_lost(self, effect: find.ReportLost, cause: Cause) -> None:
        event = on.TherapistLost(cause.record_id, effect.offer_id)
        await cause.take(CONVERSATION, effect.conversation_id, event, by=cause.record)

    async def report_exhausted(self, effect: find.ReportExhausted, cause: Cause) -> None:
        await cause.take(CONVERSATION, effect.conversation_id, on.SearchExhausted(cause.record_id), by=cause.record)

    async def _therapist(self, therapist_id: str) -> Therapist:
        record = await self.therapists.get(therapist_id)
        assert record is not None, "a therapist who was offered something exists"
        return record.as_guests_see()
