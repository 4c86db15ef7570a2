"""What guests, therapists, clocks and processes do, read from bytes: four of them are one move, and zeros are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from conversations import events as on
from conversations.conversation import Conversation, State
from conversations.values import Rating, Terms, Therapist
from matching import events as found
from matching.policy import Policy
from matching.records import Answer
from matching.records import State as SearchState
from tests.conversations.scenes import CONTACT, PLACE, SERVICE
from tests.together import invariants
from tests.together.shell import Key, Process, Shell, TherapistRow

T = TypeVar("T")

BEGINNING = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
GUESTS = ("made", "wayan")
THERAPISTS = (("ayu", 1.0), ("bagus", 2.0), ("citra", 12.0))
# Few therapists and small waves, so that two guests meet at the same ones.
POLICY = Policy(radii_km=(5.0, 20.0), wave_size=2, look_again_s=20.0, direct_s=100.0)
TERMS = Terms(direct_s=POLICY.direct_s, max_attempts=POLICY.max_attempts)
# So many bytes are one move: which, who, what and on which process.
MOVE_BYTES = 4


@dataclass(frozen=True, slots=True)
class Line:
    """What somebody did, or, indented, how a record changed because of it."""

    at: datetime
    words: tuple[Any, ...]

    def __str__(self) -> str:
        return f"{(self.at - BEGINNING).total_seconds():10.3f}  " + " ".join(str(word) for word in self.words)


class History:
    """An evening of two guests who want the same three therapists, served by two processes."""

    def __init__(self) -> None:
        rows = {name: TherapistRow(_therapist(name), distance_km) for name, distance_km in THERAPISTS}
        self.shell = Shell(BEGINNING, rows, POLICY, TERMS, self._watch)
        self.processes = (Process(self.shell, "A"), Process(self.shell, "B"))
        self.lines: list[Line] = []
        self._pressed: dict[str, list[on.Event]] = {guest: [] for guest in GUESTS}

    def __str__(self) -> str:
        return "\n".join(str(line) for line in self.lines)

    def play(self, moves: bytes) -> None:
        """Begin with both guests in search of a therapist, and go on as the bytes say."""
        for guest, process in zip(GUESTS, self.processes, strict=True):
            self.command(guest, on.BookPressed(SERVICE, "menu", TERMS, "en"), process)
            self.command(guest, self._buttons(self.conversation(guest))[0], process)
        for first in range(0, len(moves) - MOVE_BYTES + 1, MOVE_BYTES):
            which, who, what, where = moves[first : first + MOVE_BYTES]
            if which:
                # A move that cannot be made leaves its time to the processes.
                if not MOVES[which % len(MOVES)](self, who, what, where):
                    self.step(who, what, where)
                invariants.hold(self.shell)

    def finish(self) -> None:
        """What was left is performed, and every clock rings until none is set."""
        self.settle()
        for _ in range(300):
            deadlines = self.shell.deadlines()
            if not deadlines:
                return
            key = min(deadlines, key=lambda each: (deadlines[each], each))
            self.shell.now = max(self.shell.now, deadlines[key])
            self._ring(key, self.processes[0])
            self.settle()
        raise AssertionError(f"these never come to rest: {self.shell.deadlines()}")

    def settle(self) -> None:
        """Every process goes on, and sweeps, until there is nothing left to do."""
        for process in self.processes:
            process.is_stalled = False
            process.sweep()
            process.drain()
        invariants.hold(self.shell)
        invariants.agree(self.shell)

    def conversation(self, guest: str) -> Conversation:
        record: Conversation = self.shell.record("conversation", guest)
        return record

    def command(self, guest: str, command: on.Event, process: Process) -> str | None:
        self._tell(guest, type(command).__name__, "by", process.name)
        self._pressed[guest].append(command)
        refusal = self.shell.take("conversation", guest, command, process)
        if refusal == "stale":
            self.shell.take("conversation", guest, on.ScreenWanted(), process)
        return refusal

    # --- people -------------------------------------------------------------------------------------------------------

    def press(self, who: int, what: int, where: int) -> bool:
        """A guest presses a button of the screen, or now and then one that was pressed before."""
        guest = _pick(GUESTS, who)
        buttons = self._buttons(self.conversation(guest))
        if what >= 224:
            buttons += self._pressed[guest][-6:]
        if buttons:
            self.command(guest, _pick(buttons, what), self._awake(where))
        return bool(buttons)

    def cancel(self, who: int, what: int, where: int) -> bool:
        guest = _pick(GUESTS, who)
        if self.conversation(guest).state in invariants.RESTING_STATES:
            return False
        refusal = self.command(guest, on.Cancelled("operator" if what >= 192 else "guest"), self._awake(where))
        assert refusal is None, "every state that is not ended can be cancelled"
        return True

    def erase(self, who: int, what: int, where: int) -> bool:
        """A guest wants to be forgotten, whatever goes on; seldom, since nothing happens to them afterwards."""
        if what < 192:
            return False
        guest = _pick(GUESTS, who)
        was = self.conversation(guest)
        refusal = self.command(guest, on.ErasureRequested(), self._awake(where))
        assert (refusal is None) == (was.progress != "arrived" or was.state is not State.ACTIVE)
        return True

    def answer(self, who: int, what: int, where: int) -> bool:
        """A therapist says yes or no to an open offer, or now and then to any that there ever was."""
        asked = [
            (search.id, offer)
            for search in self.shell.records("search")
            for offer in search.offers
            if what >= 240 or (search.is_live and offer.answer is Answer.ASKED)
        ]
        if not asked:
            return False
        search_id, offer = _pick(asked, who)
        was = self.shell.record("search", search_id).state
        kind = found.OfferDeclined if what % 3 == 0 else found.OfferAccepted
        self._tell(offer.therapist_id, kind.__name__, offer.offer_id)
        refusal = self.shell.take("search", search_id, kind(offer.offer_id, offer.therapist_id), self._awake(where))
        assert was is not SearchState.CANCELLED or refusal == "offer_expired", "a cancelled search was answered"
        return True

    def visit(self, who: int, what: int, where: int) -> bool:
        """The therapist of a visit has news of it."""
        visiting = [each for each in map(self.conversation, GUESTS) if each.state is State.ACTIVE and each.therapist]
        if not visiting:
            return False
        conversation = _pick(visiting, who)
        assert conversation.therapist is not None
        about = conversation.booking_id or "", conversation.therapist.id
        news: list[on.Event] = [on.ProgressMade(*about, step) for step in ("on_the_way", "arrived", "completed")]
        news += [on.ProgressMade(*about, "no_show"), on.TherapistWithdrew(*about, "ill")]
        self.command(conversation.id, _pick(news, what), self._awake(where))
        return True

    # --- clocks -------------------------------------------------------------------------------------------------------

    def wait(self, who: int, what: int, where: int) -> bool:
        self.shell.now += timedelta(seconds=what / 8)
        return True

    def ring_in_time(self, who: int, what: int, where: int) -> bool:
        """The next deadline comes, or the millisecond before or after it, and mostly somebody rings."""
        ahead = sorted((at, key) for key, at in self.shell.deadlines().items() if at > self.shell.now)
        if not ahead:
            return False
        at, key = ahead[0]
        self.shell.now = max(self.shell.now, at + (what % 3 - 1) * MILLISECOND)
        if what < 192:
            self._ring(key, self._awake(where))
        return True

    def ring_anyhow(self, who: int, what: int, where: int) -> bool:
        waiting = list(self.shell.deadlines())
        if waiting:
            self._ring(_pick(waiting, who), self._awake(where))
        return bool(waiting)

    # --- processes ----------------------------------------------------------------------------------------------------

    def drain(self, who: int, what: int, where: int) -> bool:
        """Everything that can be done is done at once, as on most evenings."""
        for process in self.processes:
            if not process.is_stalled:
                process.drain()
        if self.shell.is_settled() and not any(process.boxes for process in self.processes):
            invariants.agree(self.shell)
        return True

    def step(self, who: int, what: int, where: int) -> bool:
        process = self._awake(where)
        if process.boxes:
            process.step(_pick(list(process.boxes), who))
        return True

    def sweep(self, who: int, what: int, where: int) -> bool:
        process = self._awake(where)
        self._tell(process.name, "sweeps")
        for key, at in self.shell.deadlines().items():
            if at <= self.shell.now:
                self.shell.ring(key, process)
        process.sweep()
        return True

    def stall(self, who: int, what: int, where: int) -> bool:
        """One process stops where it is, in the midst of things, or goes on where it stopped."""
        process = _pick(self.processes, where)
        others_run = not any(each.is_stalled for each in self.processes)
        process.is_stalled = others_run
        self._tell(process.name, "stalls" if others_run else "goes on")
        return True

    def crash(self, who: int, what: int, where: int) -> bool:
        process = _pick(self.processes, where)
        self._tell(process.name, "crashes")
        process.crash()
        return True

    # --- pieces -------------------------------------------------------------------------------------------------------

    def _buttons(self, conversation: Conversation) -> list[on.Event]:
        revision, offer_id = conversation.revision, conversation.offer_id or ""
        match conversation.state:
            case State.CONFIRMING:
                return [on.ServiceConfirmed(revision, minutes, PLACE, CONTACT) for minutes in (90, 60)]
            case State.CHOOSING:
                yes = on.TherapistAccepted(revision, offer_id)
                return [yes, on.AnotherWanted(revision, offer_id), yes]
            case State.NO_THERAPIST:
                return [on.SearchAgainPressed(revision)]
            case State.SEARCHING | State.ACTIVE | State.ERASED:
                return []
            case State.COMPLETED:
                return [on.VisitRated(Rating(4)), *self._wishes()]
        return self._wishes()

    def _wishes(self) -> list[on.Event]:
        picked = (None, *(row.therapist for row in self.shell.rows.values()))
        return [on.BookPressed(SERVICE, "menu", TERMS, "en", therapist=therapist) for therapist in picked]

    def _ring(self, key: Key, process: Process) -> None:
        self._tell("the clock of", *key, "rings")
        self.shell.ring(key, process)

    def _awake(self, where: int) -> Process:
        return _pick([process for process in self.processes if not process.is_stalled], where)

    def _watch(self, key: Key, before: Any, after: Any) -> None:
        self._tell("   ", *key, before.state, "->", after.state)
        invariants.follow(key, before, after)

    def _tell(self, *words: Any) -> None:
        self.lines.append(Line(self.shell.now, words))


def _pick(options: Sequence[T], byte: int) -> T:
    return options[byte % len(options)]


def _therapist(name: str) -> Therapist:
    return Therapist(name, name.title(), "", rating=4.5, rating_count=10, gender="female")


Move = Callable[[History, int, int, int], bool]

# How often each is chosen.
_WEIGHTS: tuple[tuple[int, Move], ...] = (
    (9, History.drain),
    (9, History.step),
    (10, History.press),
    (10, History.answer),
    (4, History.visit),
    (1, History.cancel),
    (1, History.erase),
    (3, History.wait),
    (3, History.ring_in_time),
    (2, History.ring_anyhow),
    (4, History.sweep),
    (4, History.stall),
    (2, History.crash),
)
MOVES: tuple[Move, ...] = tuple(move for weight, move in _WEIGHTS for _ in range(weight))
