"""A shell in memory for conversations, searches and bookings: turns, outboxes and stores, with the faults of real ones.

Processes share the documents. Each performs what its turns have saved, and may stop between any two reads and writes,
for a moment or for ever; then the sweep of another performs the same once more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Literal

from conversations import booking, machine
from conversations import effects as do
from conversations import events as on
from conversations.conversation import Conversation
from conversations.notices import Notify
from conversations.values import Terms, Therapist
from matching import effects as find
from matching import events as found
from matching import search
from matching.availability import visit_cells
from matching.policy import Candidate, Needs, Policy, is_eligible, rank
from matching.records import Search

Room = Literal["conversation", "search", "booking"]
Key = tuple[Room, str]
# The version that wanted the effect, and its place among those it wanted: the order in which they are performed.
EffectId = tuple[int, int]
# A performance of an effect: it pauses wherever a process can be stopped between two accesses of the stores.
Performance = Iterator[None]

FRESH: Mapping[Room, Callable[[str], Any]] = {
    "conversation": Conversation,
    "search": Search,
    "booking": booking.Booking,
}
DECIDE: Mapping[Room, Callable[[Any, Any, datetime], Any]] = {
    "conversation": machine.decide,
    "search": search.decide,
    "booking": booking.decide,
}
RINGS: Mapping[Room, Any] = {"conversation": on.DeadlinePassed(), "search": found.DeadlinePassed()}

# What guests read of where they stand.
Line = do.ShowState | do.ShowCard
# These are read as well, and change nothing: of the feeds, this shell keeps the lines above.
SEEN_ON_FEEDS = (
    do.Say,
    do.ShowTherapistBooking,
    do.NotifyTherapist,
    do.CountVisit,
    Notify,
    do.EndTokens,
    find.SendOffer,
    find.CloseOffer,
    find.WaitForGuest,
)

RESERVING = timedelta(seconds=60)
DURATIONS = (60, 90)


@dataclass(slots=True)
class Document:
    record: Any
    outbox: dict[EffectId, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hold:
    search_id: str
    offer_id: str
    fence: int
    until: datetime


@dataclass(slots=True)
class TherapistRow:
    """A therapist's document: who it is, how far from every guest, and the one hold."""

    therapist: Therapist
    distance_km: float
    hold: Hold | None = None
    fence: int = 0
    last_offer_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reservation:
    therapist_id: str
    booking_id: str
    cells: frozenset[int]
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Cause:
    """Whose outbox an effect stands in, and which process performs it."""

    record_id: str
    effect_id: EffectId
    process: Process

    def __str__(self) -> str:
        version, place = self.effect_id
        return f"{self.record_id}:{version}:{place}"


@dataclass(slots=True)
class Box:
    """What waits for one record in one process; `done` may still stand in the document."""

    waiting: dict[EffectId, Any] = field(default_factory=dict)
    done: set[EffectId] = field(default_factory=set)
    under_way: tuple[EffectId, Performance] | None = None


class Process:
    """One process: what it has taken upon itself and not yet done."""

    def __init__(self, shell: Shell, name: str) -> None:
        self.name = name
        self.boxes: dict[Key, Box] = {}
        self.is_stalled = False
        self._shell = shell

    def put(self, key: Key, outbox: Mapping[EffectId, Any]) -> None:
        box = self.boxes.setdefault(key, Box())
        missing = {effect_id: effect for effect_id, effect in outbox.items() if effect_id not in box.done}
        box.waiting = dict(sorted({**missing, **box.waiting}.items()))
        if not box.waiting and not box.done:
            del self.boxes[key]

    def step(self, key: Key) -> None:
        """Go on with the first effect that waits for this record, up to where a process may be stopped.

        Lines that follow each other are written in one go.
        """
        box = self.boxes[key]
        if not box.waiting:
            self._shell.performed(key, box.done)
            del self.boxes[key]
            return
        if lines := list(takewhile(lambda item: isinstance(item[1], Line), box.waiting.items())):
            for effect_id, line in lines:
                self._shell.write(line, Cause(key[1], effect_id, self))
                del box.waiting[effect_id]
                box.done.add(effect_id)
            return
        if box.under_way is None:
            effect_id, effect = next(iter(box.waiting.items()))
            box.under_way = effect_id, self._shell.perform(effect, Cause(key[1], effect_id, self))
        effect_id, performance = box.under_way
        try:
            next(performance)
        except StopIteration:
            box.under_way = None
            del box.waiting[effect_id]
            box.done.add(effect_id)

    def drain(self) -> None:
        while self.boxes:
            for key in list(self.boxes):
                while key in self.boxes:
                    self.step(key)

    def sweep(self) -> None:
        for key, document in self._shell.documents.items():
            if document.outbox:
                self.put(key, document.outbox)

    def crash(self) -> None:
        for (_, record_id), box in self.boxes.items():
            if box.under_way is not None:
                self._shell.cut_short.append(str(Cause(record_id, box.under_way[0], self)))
        self.boxes.clear()
        self.is_stalled = False


class Shell:
    """The documents and every access to them. `watch` is told of each turn: the key, the record before and after."""

    def __init__(
        self,
        now: datetime,
        rows: Mapping[str, TherapistRow],
        policy: Policy,
        terms: Terms,
        watch: Callable[[Key, Any, Any], None],
    ) -> None:
        self.now = now
        self.rows = rows
        self.documents: dict[Key, Document] = {}
        self.reservations: dict[str, Reservation] = {}
        self.feeds: dict[str, dict[str, Line]] = defaultdict(dict)
        """What each guest has read, in its order, by the id of what wrote it."""
        # What a crash interrupted: a hold that such a look had taken already may be nobody's until it lapses.
        self.cut_short: list[str] = []
        self._policy = policy
        self._terms = terms
        self._watch = watch

    def record(self, room: Room, record_id: str) -> Any:
        document = self.documents.get((room, record_id))
        return document.record if document else FRESH[room](record_id)

    def records(self, room: Room) -> list[Any]:
        return [document.record for (each, _), document in self.documents.items() if each == room]

    def is_settled(self) -> bool:
        return not any(document.outbox for document in self.documents.values())

    def take(self, room: Room, record_id: str, event: Any, process: Process) -> str | None:
        """The turn: load, decide, save the state with its effects; the answer is the code of a refusal, or None."""
        key: Key = (room, record_id)
        document = self.documents.get(key) or Document(FRESH[room](record_id))
        before = document.record
        decision = DECIDE[room](before, event, self.now)
        if decision.refusal or (decision.record == before and not decision.effects):
            return str(decision.refusal) if decision.refusal else None
        after = replace(decision.record, version=before.version + 1)
        document.record = after
        document.outbox |= {
            (after.version, place): effect
            for place, effect in enumerate(decision.effects)
            if type(effect) not in SEEN_ON_FEEDS
        }
        self.documents[key] = document
        process.put(key, document.outbox)
        self._watch(key, before, after)
        return None

    def ring(self, key: Key, process: Process) -> None:
        self.take(*key, RINGS[key[0]], process)

    def deadlines(self) -> dict[Key, datetime]:
        """When something is due, for every record that waits."""
        return {
            key: document.record.expires_at
            for key, document in self.documents.items()
            if document.record.expires_at is not None
        }

    def performed(self, key: Key, effect_ids: set[EffectId]) -> None:
        outbox = self.documents[key].outbox
        for effect_id in effect_ids:
            outbox.pop(effect_id, None)

    def write(self, line: Line, cause: Cause) -> None:
        """A line stands where it was written first: whoever writes it again changes nothing."""
        self.feeds[cause.record_id].setdefault(str(cause), line)

    # --- effects ------------------------------------------------------------------------------------------------------

    def perform(self, effect: Any, cause: Cause) -> Performance:
        call = self._calls.get(type(effect))
        if call is not None:
            yield from call(self, effect, cause)
        else:
            self.take(*self._turn(effect, cause.record_id), cause.process)

    def _turn(self, effect: Any, record_id: str) -> tuple[Room, str, Any]:
        """Whose turn an effect is, and the event it takes there."""
        match effect:
            case do.TellBooking():
                return "booking", effect.booking_id, effect.event
            case do.StartSearch():
                return "search", effect.search_id, self._search_started(effect, record_id)
            case do.AskSearch():
                return "search", effect.search_id, found.StatusAsked()
            case do.GiveTherapistBack():
                return "search", effect.search_id, found.TherapistGivenBack(effect.offer_id, effect.deadline_at)
            case do.CloseSearchWon():
                return "search", effect.search_id, found.TherapistTaken(effect.offer_id)
            case do.CancelSearch():
                return "search", effect.search_id, found.SearchCancelled(effect.why, effect.is_unanswered)
            case find.ReportAttempt():
                started = on.AttemptStarted(record_id, effect.attempt, effect.deadline_at)
                return "conversation", effect.conversation_id, started
            case find.ReportFound():
                therapist = self.rows[effect.therapist_id].therapist
                proposed = on.TherapistFound(record_id, effect.offer_id, therapist, effect.distance_km)
                return "conversation", effect.conversation_id, proposed
            case find.ReportLost():
                return "conversation", effect.conversation_id, on.TherapistLost(record_id, effect.offer_id)
            case find.ReportExhausted():
                return "conversation", effect.conversation_id, on.SearchExhausted(record_id)
        raise AssertionError(f"nobody performs {effect}")

    def _search_started(self, effect: do.StartSearch, conversation_id: str) -> found.SearchStarted:
        location = effect.location
        return found.SearchStarted(
            conversation_id=conversation_id,
            booking_id=effect.booking_id,
            needs=Needs(location.latitude, location.longitude, effect.duration, effect.gender_preference),
            policy=self._policy,
            deadline_at=effect.deadline_at,
            direct_therapist_id=effect.direct_therapist_id,
        )

    def _reserve_slot(self, effect: do.ReserveSlot, cause: Cause) -> Performance:
        is_reserved = effect.reservation_id in self.reservations
        if not is_reserved:
            yield
            is_held = self._keep(effect.therapist_id, effect.offer_id, self.now + RESERVING)
            yield
            is_reserved = is_held and self._insert(effect)
        yield
        event: on.Event = on.SlotTaken(effect.offer_id)
        if is_reserved:
            event = on.SlotReserved(effect.offer_id, effect.reservation_id)
        self.take("conversation", cause.record_id, event, cause.process)

    def _release_slot(self, effect: do.ReleaseSlot, cause: Cause) -> Performance:
        reservation = self.reservations.get(effect.reservation_id)
        if reservation is not None:
            self.reservations[effect.reservation_id] = replace(reservation, is_active=False)
        yield from ()

    def _erase_guest(self, effect: do.EraseGuest, cause: Cause) -> Performance:
        told: tuple[tuple[Room, Any], ...] = (("booking", booking.GuestErased()), ("search", found.GuestErased()))
        for room, event in told:
            for record in self.records(room):
                if record.conversation_id == cause.record_id:
                    yield
                    self.take(room, record.id, event, cause.process)

    def _find_candidates(self, effect: find.FindCandidates, cause: Cause) -> Performance:
        holds: list[found.Held] = []
        if effect.until > self.now:
            for ranked in rank(self._candidates(effect, cause.record_id), self.now, effect.asked_before):
                if len(holds) == effect.count:
                    break
                yield
                candidate = ranked.candidate
                offer_id = f"{cause}:{candidate.therapist_id}"
                hold = self._hold(candidate.therapist_id, cause.record_id, offer_id, effect.until)
                if hold is not None:
                    holds.append(
                        found.Held(
                            offer_id=offer_id,
                            therapist_id=candidate.therapist_id,
                            fence=hold.fence,
                            until=hold.until,
                            distance_km=candidate.distance_km,
                            why=ranked.why,
                        )
                    )
        yield
        held = found.CandidatesHeld(effect.attempt, tuple(holds))
        self.take("search", cause.record_id, held, cause.process)

    def _keep_hold(self, effect: find.KeepHold, cause: Cause) -> Performance:
        is_kept = self._keep(effect.therapist_id, effect.offer_id, effect.until)
        yield
        event = found.HoldKept(effect.offer_id, effect.until) if is_kept else found.HoldLost(effect.offer_id)
        self.take("search", cause.record_id, event, cause.process)

    def _release_hold(self, effect: find.ReleaseHold, cause: Cause) -> Performance:
        row = self.rows[effect.therapist_id]
        if row.hold and (row.hold.offer_id, row.hold.fence) == (effect.offer_id, effect.fence):
            row.hold = None
        yield from ()

    _calls: Mapping[type, Callable[..., Performance]] = {
        do.ReserveSlot: _reserve_slot,
        do.ReleaseSlot: _release_slot,
        do.EraseGuest: _erase_guest,
        find.FindCandidates: _find_candidates,
        find.KeepHold: _keep_hold,
        find.ReleaseHold: _release_hold,
    }

    # --- the stores' conditional writes -------------------------------------------------------------------------------

    def _candidates(self, effect: find.FindCandidates, search_id: str) -> list[Candidate]:
        ends_at = self.now + timedelta(seconds=self._terms.arrival_s, minutes=effect.needs.duration)
        cells = frozenset(visit_cells(self.now, ends_at, self._terms.buffer_minutes))
        known = [self._candidate(row, search_id, cells) for row in self.rows.values()]
        return [
            each
            for each in known
            if effect.only_therapist_id in (None, each.therapist_id)
            and is_eligible(each, effect.needs, effect.radius_km, effect.refused)
        ]

    def _candidate(self, row: TherapistRow, search_id: str, cells: frozenset[int]) -> Candidate:
        hold = row.hold
        return Candidate(
            therapist_id=row.therapist.id,
            distance_km=row.distance_km,
            rating=row.therapist.rating,
            gender=row.therapist.gender,
            durations=DURATIONS,
            is_held=hold is not None and hold.until > self.now and hold.search_id != search_id,
            is_busy=self._is_taken(row.therapist.id, cells),
            last_offer_at=row.last_offer_at,
        )

    def _hold(self, therapist_id: str, search_id: str, offer_id: str, until: datetime) -> Hold | None:
        row = self.rows[therapist_id]
        if until <= self.now:
            return None
        if row.hold is not None and row.hold.until > self.now:
            return row.hold if row.hold.offer_id == offer_id else None
        row.fence += 1
        row.last_offer_at = self.now
        row.hold = Hold(search_id, offer_id, row.fence, until)
        return row.hold

    def _keep(self, therapist_id: str, offer_id: str, until: datetime) -> bool:
        row = self.rows[therapist_id]
        if row.hold is None or row.hold.offer_id != offer_id:
            return False
        row.hold = replace(row.hold, until=max(row.hold.until, until))
        return True

    def _is_taken(self, therapist_id: str, cells: frozenset[int]) -> bool:
        return any(
            each.is_active and each.therapist_id == therapist_id and each.cells & cells
            for each in self.reservations.values()
        )

    def _insert(self, effect: do.ReserveSlot) -> bool:
        """The row under its unique index: it stands by this insert or an earlier one, or a cell is taken."""
        if effect.reservation_id in self.reservations:
            return True
        cells = frozenset(visit_cells(effect.starts_at, effect.ends_at, effect.buffer_minutes))
        if self._is_taken(effect.therapist_id, cells):
            return False
        self.reservations[effect.reservation_id] = Reservation(effect.therapist_id, effect.booking_id, cells)
        return True
