"""The life of one search: waves of offers inside a countdown, attempts that widen, one therapist found, a certain end.

Everything that moves a search stands in `TRANSITIONS`; an event without a row changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from matching import effects as do
from matching import events as on
from matching.policy import Policy
from matching.records import Answer, Decision, Offer, Search, State

# A hold is prolonged in milliseconds; a search that has not heard of it after this long goes on without the therapist.
KEEPING_S = 10.0
# The hold outlives the guest's own countdown a little, so that a choice in the last second still finds it.
CHOICE_MARGIN_S = 15.0
# Nobody is asked by one search more often than this in all, so the record stays small for ever.
MOST_OFFERS = 300

Handler = Callable[[Search, Any, datetime], Decision]


def decide(search: Search, event: on.Event, now: datetime) -> Decision:
    """The one way a search changes. `now` is the database's time."""
    handler = TRANSITIONS[search.state].get(type(event))
    if handler is None:
        return Decision(search, refusal=_refusal_without_row(search, event))
    return handler(search, event, now)


def _refusal_without_row(search: Search, event: on.Event) -> str | None:
    """A therapist who answers too late hears whether another was faster or the search is over."""
    if not isinstance(event, on.OfferAccepted | on.OfferDeclined):
        return None
    offer = search.offer(event.offer_id)
    if offer is None or offer.therapist_id != event.therapist_id:
        return "not_found"
    if search.state in (State.KEEPING, State.FOUND, State.WON) and offer.answer in (Answer.TAKEN, Answer.ASKED):
        return "offer_taken"
    return "offer_expired"


# --- handlers ---------------------------------------------------------------------------------------------------------


def _start(search: Search, event: on.SearchStarted, now: datetime) -> Decision:
    started = replace(
        search,
        state=State.ASKING,
        conversation_id=event.conversation_id,
        booking_id=event.booking_id,
        needs=event.needs,
        policy=event.policy,
        direct_therapist_id=event.direct_therapist_id,
        attempt=0 if event.direct_therapist_id else 1,
        attempt_ends_at=event.deadline_at,
        expires_at=event.deadline_at,
    )
    return Decision(started, (_look(started, _wave_size(started)),))


def _add_offers(search: Search, event: on.CandidatesHeld, now: datetime) -> Decision:
    """Make offers of the holds that still fit, and give back the ones that came too late or are too many."""
    if event.attempt != search.attempt:
        return _give_back_holds(search, event, now)
    fresh = _unknown_holds(search, event)
    room = _wave_size(search) - len(search.open_offers())
    usable = [held for held in fresh if _is_usable(held, search, now)][: max(room, 0)]
    offers = tuple(_offer_of(held, search, now) for held in usable)
    surplus = [held for held in fresh if held not in usable]
    asked = replace(_without_holds(search, surplus), offers=search.offers + offers)
    effects = tuple(_send(offer, asked) for offer in offers) + tuple(_release_held(held) for held in surplus)
    if asked.attempt == 0 and not asked.open_offers():
        return _next_attempt(asked, now, effects)
    return Decision(_with_clock(asked, now), effects)


def _give_back_holds(search: Search, event: on.CandidatesHeld, now: datetime) -> Decision:
    surplus = _unknown_holds(search, event)
    return Decision(_without_holds(search, surplus), tuple(_release_held(held) for held in surplus))


def _without_holds(search: Search, surplus: list[on.Held]) -> Search:
    """Remember which holds are let go: an offer made of one later would lose it."""
    new = [held.offer_id for held in surplus if held.offer_id not in search.let_go]
    if not new or not search.is_live:
        return search
    return replace(search, let_go=(*search.let_go, *new)[-MOST_OFFERS:])


def _unknown_holds(search: Search, event: on.CandidatesHeld) -> list[on.Held]:
    """Holds on which no living offer stands: the same candidates may be found twice, by two processes."""
    living = {offer.offer_id for offer in search.open_offers()}
    if search.state in (State.KEEPING, State.FOUND):
        living.add(search.chosen_offer_id or "")
    return [held for held in event.holds if held.offer_id not in living]


def _is_usable(held: on.Held, search: Search, now: datetime) -> bool:
    """An offer is made of a hold once, while it lasts, and to nobody who has refused."""
    if held.until <= now or held.therapist_id in search.refused:
        return False
    return search.offer(held.offer_id) is None and held.offer_id not in search.let_go


def _accept(search: Search, event: on.OfferAccepted, now: datetime) -> Decision:
    """A yes counts while the offer is open and its moment has not passed; its hold is then prolonged first of all."""
    offer = search.offer(event.offer_id)
    if offer is None or offer.therapist_id != event.therapist_id:
        return Decision(search, refusal="not_found")
    if offer.answer is not Answer.ASKED or offer.until <= now:
        return Decision(search, refusal="offer_expired")
    until = now + timedelta(seconds=_policy(search).choose_s + CHOICE_MARGIN_S)
    keeping = replace(
        _answered(search, offer, Answer.ACCEPTED, now),
        state=State.KEEPING,
        chosen_offer_id=offer.offer_id,
        expires_at=now + timedelta(seconds=KEEPING_S),
    )
    return Decision(keeping, (do.KeepHold(offer.offer_id, offer.therapist_id, offer.fence, until),))


def _accept_again(search: Search, event: on.OfferAccepted, now: datetime) -> Decision:
    """While a found therapist is kept: the same yes again is no news, anybody else is too late."""
    if event.offer_id == search.chosen_offer_id:
        offer = search.offer(event.offer_id)
        mine = offer is not None and offer.therapist_id == event.therapist_id
        return Decision(search, refusal=None if mine else "not_found")
    return Decision(search, refusal=_refusal_without_row(search, event))


def _decline(search: Search, event: on.OfferDeclined, now: datetime) -> Decision:
    """A no asks the next best at once, inside the same countdown; it is remembered for the whole search."""
    offer = search.offer(event.offer_id)
    if offer is None or offer.therapist_id != event.therapist_id:
        return Decision(search, refusal="not_found")
    if offer.answer is Answer.DECLINED:
        return Decision(search)
    if offer.answer is not Answer.ASKED:
        return Decision(search, refusal="offer_expired")
    declined = _refuse(_answered(search, offer, Answer.DECLINED, now, event.reason), offer.therapist_id)
    effects: tuple[do.Effect, ...] = (_close(offer, "declined"), _release(offer))
    if declined.state is not State.ASKING:
        return Decision(declined, effects)
    if declined.attempt == 0:
        return _next_attempt(declined, now, effects)
    if _may_ask(declined, now):
        effects += (_look(declined, 1),)
    return Decision(_with_clock(declined, now), effects)


def _found(search: Search, event: on.HoldKept, now: datetime) -> Decision:
    """The therapist is ours until the guest has chosen: everybody else who was asked is free again."""
    if event.offer_id != search.chosen_offer_id:
        return Decision(search)
    chosen = _offer(search, event.offer_id)
    others, effects = _close_open_offers(search, Answer.TAKEN, "taken", now)
    found = replace(others, state=State.FOUND, expires_at=event.until)
    report = do.ReportFound(search.conversation_id, chosen.offer_id, chosen.therapist_id, chosen.distance_km)
    waiting = do.WaitForGuest(chosen.offer_id, chosen.therapist_id, _chooses_until(search, event.until))
    return Decision(found, (waiting, report, *effects))


def _hold_lost(search: Search, event: on.HoldLost, now: datetime) -> Decision:
    if event.offer_id != search.chosen_offer_id:
        return Decision(search)
    return _back_to_asking(search, now)


def _kept_too_late(search: Search, event: on.HoldKept, now: datetime) -> Decision:
    """The hold was prolonged after the search had gone on: nobody is waiting for this therapist, so let go."""
    offer = search.offer(event.offer_id)
    if offer is None or search.chosen_offer_id == event.offer_id:
        return Decision(search)
    return Decision(search, (_release(offer),))


def _ring_keeping(search: Search, event: on.DeadlinePassed, now: datetime) -> Decision:
    if not _is_due(search, now):
        return Decision(search)
    return _back_to_asking(search, now)


def _back_to_asking(search: Search, now: datetime) -> Decision:
    """The accepted offer came to nothing; the attempt's own countdown decides whether there is time to ask others."""
    chosen = _offer(search, search.chosen_offer_id or "")
    asking = replace(_answered(search, chosen, Answer.EXPIRED, now), state=State.ASKING, chosen_offer_id=None)
    effects: tuple[do.Effect, ...] = (_close(chosen, "expired"), _release(chosen))
    if asking.attempt == 0:
        return _next_attempt(asking, now, effects)
    if _may_ask(asking, now):
        effects += (_look(asking, 1),)
    return Decision(_with_clock(asking, now), effects)


def _ring_asking(search: Search, event: on.DeadlinePassed, now: datetime) -> Decision:
    """The countdown is over: the next attempt; or it is only time to look again for somebody who has come free."""
    if not _is_due(search, now):
        return Decision(search)
    if search.attempt_ends_at is not None and now >= search.attempt_ends_at:
        expired, effects = _close_open_offers(search, Answer.EXPIRED, "expired", now)
        return _next_attempt(expired, now, effects)
    missing = _wave_size(search) - len(search.open_offers())
    return Decision(
        _with_clock(search, now), (_look(search, missing),) if missing > 0 and _may_ask(search, now) else ()
    )


def _next_attempt(search: Search, now: datetime, effects: tuple[do.Effect, ...]) -> Decision:
    """Wider, with a new countdown, without those who refused; after the widest the search has found nobody."""
    policy = _policy(search)
    if search.attempt >= policy.max_attempts:
        exhausted = _ended(search, State.EXHAUSTED, "nobody accepted")
        return Decision(exhausted, (*effects, do.ReportExhausted(search.conversation_id)))
    deadline_at = now + timedelta(seconds=policy.answer_s)
    wider = replace(
        search, attempt=search.attempt + 1, attempt_ends_at=deadline_at, expires_at=deadline_at, chosen_offer_id=None
    )
    report = do.ReportAttempt(search.conversation_id, wider.attempt, deadline_at)
    return Decision(wider, (*effects, report, _look(wider, policy.wave_size)))


def _give_back(search: Search, event: on.TherapistGivenBack, now: datetime) -> Decision:
    """The guest goes on looking: the therapist is free at once and is not asked again in this search."""
    if event.offer_id != search.chosen_offer_id:
        return Decision(search)
    chosen = _offer(search, event.offer_id)
    given_back = replace(
        _refuse(_answered(search, chosen, Answer.GIVEN_BACK, now), chosen.therapist_id),
        state=State.ASKING,
        chosen_offer_id=None,
        attempt=max(search.attempt, 1),
        attempt_ends_at=event.deadline_at,
    )
    effects = (_close(chosen, "not_chosen"), _release(chosen), _look(given_back, _wave_size(given_back)))
    return Decision(_with_clock(given_back, now), effects)


def _win(search: Search, event: on.TherapistTaken, now: datetime) -> Decision:
    if event.offer_id != search.chosen_offer_id:
        return Decision(search)
    won = _ended(search, State.WON, "the guest accepted")
    chosen = _offer(search, event.offer_id)
    return Decision(won, (_close(chosen, "accepted"), _release(chosen)))


def _ring_found(search: Search, event: on.DeadlinePassed, now: datetime) -> Decision:
    """The conversation keeps the guest's countdown; this rings only where it did not: no therapist stays held."""
    if not _is_due(search, now):
        return Decision(search)
    chosen = _offer(search, search.chosen_offer_id or "")
    lapsed = _ended(_answered(search, chosen, Answer.EXPIRED, now), State.EXHAUSTED, "the guest did not answer")
    effects = (
        _close(chosen, "unanswered"),
        _release(chosen),
        do.ReportLost(search.conversation_id, chosen.offer_id),
    )
    return Decision(lapsed, effects)


def _cancel(search: Search, event: on.SearchCancelled, now: datetime) -> Decision:
    """Everybody who was asked, or had said yes, is told and free again; no later answer changes anything."""
    withdrawn, effects = _close_open_offers(search, Answer.WITHDRAWN, "cancelled", now)
    chosen = search.offer(search.chosen_offer_id or "")
    if chosen is not None:
        withdrawn = _answered(withdrawn, chosen, Answer.WITHDRAWN, now)
        effects += (_close(chosen, "unanswered" if event.is_unanswered else "cancelled"), _release(chosen))
    return Decision(_ended(withdrawn, State.CANCELLED, event.why), effects)


def _cancel_before_start(search: Search, event: on.SearchCancelled, now: datetime) -> Decision:
    return Decision(_ended(search, State.CANCELLED, event.why))


def _report_asking(search: Search, event: on.StatusAsked, now: datetime) -> Decision:
    if search.attempt_ends_at is None:
        return Decision(search)
    return Decision(search, (do.ReportAttempt(search.conversation_id, search.attempt, search.attempt_ends_at),))


def _report_found(search: Search, event: on.StatusAsked, now: datetime) -> Decision:
    chosen = _offer(search, search.chosen_offer_id or "")
    report = do.ReportFound(search.conversation_id, chosen.offer_id, chosen.therapist_id, chosen.distance_km)
    return Decision(search, (report,))


def _win_late(search: Search, event: on.TherapistTaken, now: datetime) -> Decision:
    """The slot was reserved while the hold was still ours, and the news of it crossed the search's own end."""
    if event.offer_id != search.chosen_offer_id:
        return Decision(search)
    return Decision(_ended(search, State.WON, "the guest accepted"))


def _report_ended(search: Search, event: on.StatusAsked | on.TherapistGivenBack, now: datetime) -> Decision:
    return Decision(search, (do.ReportExhausted(search.conversation_id),))


def _erase(search: Search, event: on.GuestErased, now: datetime) -> Decision:
    """Distances from three therapists would lead back to the guest's door: whole kilometres say enough of why."""
    offers = tuple(
        replace(
            offer,
            distance_km=float(round(offer.distance_km)),
            why={reason: float(round(km)) for reason, km in offer.why.items()},
            reason=None,
        )
        for offer in search.offers
    )
    because = None if search.state is State.CANCELLED else search.ended_because
    return Decision(replace(search, needs=None, offers=offers, ended_because=because))


# --- the pieces of a move ---------------------------------------------------------------------------------------------


def _policy(search: Search) -> Policy:
    assert search.policy is not None, "a search that has started carries its policy"
    return search.policy


def _offer(search: Search, offer_id: str) -> Offer:
    offer = search.offer(offer_id)
    assert offer is not None, "the chosen offer is one of the search's own"
    return offer


def _wave_size(search: Search) -> int:
    return 1 if search.attempt == 0 else _policy(search).wave_size


def _is_due(search: Search, now: datetime) -> bool:
    return search.expires_at is not None and now >= search.expires_at


def _may_ask(search: Search, now: datetime) -> bool:
    """Whether enough of the countdown is left for somebody to read an offer and answer it."""
    if search.attempt_ends_at is None or len(search.offers) >= MOST_OFFERS:
        return False
    return (search.attempt_ends_at - now).total_seconds() >= _policy(search).shortest_answer_s


def _with_clock(search: Search, now: datetime) -> Search:
    """The next moment something is due: the end of the countdown, or sooner a look for who has come free since."""
    ends_at = search.attempt_ends_at
    assert ends_at is not None, "an asking search has a countdown"
    if search.attempt == 0 or len(search.open_offers()) >= _wave_size(search) or not _may_ask(search, now):
        return replace(search, expires_at=ends_at)
    return replace(search, expires_at=min(ends_at, now + timedelta(seconds=_policy(search).look_again_s)))


def _look(search: Search, count: int) -> do.FindCandidates:
    assert search.needs is not None, "a search that has started knows its needs"
    assert search.attempt_ends_at is not None, "an asking search has a countdown"
    is_direct = search.attempt == 0
    open_ids = tuple(offer.therapist_id for offer in search.open_offers())
    return do.FindCandidates(
        attempt=search.attempt,
        needs=search.needs,
        radius_km=None if is_direct else _policy(search).radius_km(search.attempt),
        count=count,
        until=search.attempt_ends_at,
        refused=(*search.refused, *open_ids),
        asked_before=tuple(dict.fromkeys(offer.therapist_id for offer in search.offers)),
        only_therapist_id=search.direct_therapist_id if is_direct else None,
    )


def _offer_of(held: on.Held, search: Search, now: datetime) -> Offer:
    """The offer inherits the hold's moment and fence: a fresh expiry could outlive the hold and ask somebody twice."""
    return Offer(
        offer_id=held.offer_id,
        therapist_id=held.therapist_id,
        fence=held.fence,
        until=held.until,
        distance_km=held.distance_km,
        why=held.why,
        attempt=search.attempt,
        asked_at=now,
    )


def _send(offer: Offer, search: Search) -> do.SendOffer:
    return do.SendOffer(
        offer_id=offer.offer_id,
        therapist_id=offer.therapist_id,
        booking_id=search.booking_id,
        distance_km=offer.distance_km,
        respond_by=offer.until,
        attempt=offer.attempt,
    )


def guests_turn_until(search: Search, offer: Offer) -> datetime | None:
    """Until when the guest may choose this therapist, None where it is not their turn."""
    if search.state is not State.FOUND or offer.offer_id != search.chosen_offer_id or search.expires_at is None:
        return None
    return _chooses_until(search, search.expires_at)


def _chooses_until(search: Search, held_until: datetime) -> datetime:
    """The hold lasts a little longer than the guest may choose."""
    return held_until - timedelta(seconds=CHOICE_MARGIN_S)


def _close(offer: Offer, why: str) -> do.CloseOffer:
    return do.CloseOffer(offer.offer_id, offer.therapist_id, why)


def _release(offer: Offer) -> do.ReleaseHold:
    return do.ReleaseHold(offer.offer_id, offer.therapist_id, offer.fence)


def _release_held(held: on.Held) -> do.ReleaseHold:
    return do.ReleaseHold(held.offer_id, held.therapist_id, held.fence)


def _refuse(search: Search, therapist_id: str) -> Search:
    if therapist_id in search.refused:
        return search
    return replace(search, refused=(*search.refused, therapist_id))


def _answered(search: Search, offer: Offer, answer: Answer, now: datetime, reason: str | None = None) -> Search:
    def mark(each: Offer) -> Offer:
        if each.offer_id != offer.offer_id:
            return each
        return replace(each, answer=answer, answered_at=now, reason=reason)

    return replace(search, offers=tuple(mark(each) for each in search.offers))


def _close_open_offers(search: Search, answer: Answer, why: str, now: datetime) -> tuple[Search, tuple[do.Effect, ...]]:
    closed = search
    effects: tuple[do.Effect, ...] = ()
    for offer in search.open_offers():
        closed = _answered(closed, offer, answer, now)
        effects += (_close(offer, why), _release(offer))
    return closed, effects


def _ended(search: Search, state: State, because: str) -> Search:
    return replace(search, state=state, expires_at=None, attempt_ends_at=None, ended_because=because)


TRANSITIONS: Mapping[State, Mapping[type[Any], Handler]] = {
    State.NEW: {
        on.SearchStarted: _start,
        on.SearchCancelled: _cancel_before_start,
    },
    State.ASKING: {
        on.CandidatesHeld: _add_offers,
        on.OfferAccepted: _accept,
        on.OfferDeclined: _decline,
        on.HoldKept: _kept_too_late,
        on.SearchCancelled: _cancel,
        on.StatusAsked: _report_asking,
        on.DeadlinePassed: _ring_asking,
    },
    State.KEEPING: {
        on.CandidatesHeld: _give_back_holds,
        on.OfferAccepted: _accept_again,
        on.OfferDeclined: _decline,
        on.HoldKept: _found,
        on.HoldLost: _hold_lost,
        on.SearchCancelled: _cancel,
        on.DeadlinePassed: _ring_keeping,
    },
    State.FOUND: {
        on.CandidatesHeld: _give_back_holds,
        on.OfferAccepted: _accept_again,
        on.TherapistGivenBack: _give_back,
        on.TherapistTaken: _win,
        on.SearchCancelled: _cancel,
        on.StatusAsked: _report_found,
        on.DeadlinePassed: _ring_found,
    },
    State.WON: {
        on.CandidatesHeld: _give_back_holds,
        on.OfferAccepted: _accept_again,
        on.HoldKept: _kept_too_late,
        on.GuestErased: _erase,
    },
    State.EXHAUSTED: {
        on.CandidatesHeld: _give_back_holds,
        on.HoldKept: _kept_too_late,
        on.TherapistGivenBack: _report_ended,
        on.TherapistTaken: _win_late,
        on.StatusAsked: _report_ended,
        on.GuestErased: _erase,
    },
    State.CANCELLED: {
        on.CandidatesHeld: _give_back_holds,
        on.HoldKept: _kept_too_late,
        on.StatusAsked: _report_ended,
        on.GuestErased: _erase,
    },
}
