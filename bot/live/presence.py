"""Who is there, who types and what has reached whom, as it follows from the notes of all processes. Pure.

Each process pins notes of its own and never changes another's, so notes need no lock and no order between processes: of
one note the newest version counts, and what a person sees is worked out from all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from bot.identity import Audience

Presence = Literal["online", "away", "offline"]
What = Literal["typing", "delivered", "presence", "said"]

# A note that says nothing about the present is kept this long.
KEPT_FOR = timedelta(hours=24)
# The mark of a process whose last tab of somebody has gone: it counts only while nobody has a living one.
LEFT = "left "
# A reader over HTTP cannot speak for itself: whether it is in the background stands in a note of its own, `said`.
QUIET = "quiet"
# Of several tabs the one that is most there counts.
MOST_THERE_FIRST = ("online", QUIET, "away")


@dataclass(frozen=True, slots=True)
class Rules:
    """`beat_s` is how often a process says again who is there."""

    typing_s: float = 6.0
    grace_s: float = 30.0
    beat_s: float = 10.0

    @property
    def mark_lives(self) -> timedelta:
        """Long enough that a process which dies right before its beat leaves its people the whole grace."""
        return timedelta(seconds=self.grace_s + self.beat_s)


class Key(NamedTuple):
    """What a note is about: one such note per process and person."""

    what: What
    by: Audience
    process: str


@dataclass(frozen=True, slots=True)
class Note:
    """`version` grows with each note of one process; it is made of the moment, so that processes can be compared."""

    value: str
    until: datetime
    version: int


Notes = Mapping[Key, Note]


@dataclass(frozen=True, slots=True)
class Sight:
    """What one side of a visit sees of the other; a presence of None is not known."""

    presence: Presence | None = None
    is_typing: bool = False
    delivered: int = 0


NOTHING_SEEN = Sight()


@dataclass(slots=True)
class Tabs:
    """The tabs of one person that are connected to this process, each `online`, `quiet` or `away`."""

    states: dict[object, str] = field(default_factory=dict)
    frozen: str | None = None
    """As it was when the last of them went."""

    def mark(self) -> str | None:
        """What this process can say of the person; None if they never were here."""
        if self.states:
            return next(state for state in MOST_THERE_FIRST if state in self.states.values())
        return self.frozen

    def put(self, tab: object, state: str) -> None:
        self.states[tab] = state

    def remove(self, tab: object) -> None:
        """The grace begins with the last tab: until it is over, everything stays as it was."""
        mark = self.mark()
        if self.states.pop(tab, None) is not None and not self.states:
            self.frozen = f"{LEFT}{mark}"


def newest(notes: Notes, what: What, by: Audience) -> Note | None:
    several = _about(notes, what, by)
    return max(several, key=lambda note: note.version) if several else None


def is_typing(notes: Notes, by: Audience, now: datetime) -> bool:
    note = newest(notes, "typing", by)
    return note is not None and note.value == "on" and note.until > now


def delivered(notes: Notes, by: Audience) -> int:
    """The highest number that reached a device of theirs."""
    return max((int(note.value) for note in _about(notes, "delivered", by)), default=0)


@dataclass(frozen=True, slots=True)
class Look:
    """What a process can know: its own marks by the clock, those of others by its last look at the store."""

    process: str
    now: datetime
    looked_at: datetime | None
    is_fresh: bool


def presence(notes: Notes, by: Audience, look: Look) -> Presence | None:
    """Whether they are there; None where nobody can say.

    A mark of another process has ended when a look after its end still finds it so, and that somebody is nowhere only a
    fresh look can tell: whoever cannot look does not know who has come or stayed.
    """
    marks = {key.process: note for key, note in notes.items() if key.what == "presence" and key.by == by}
    here = [
        note.value
        for process, note in marks.items()
        if (judged_at := look.now if process == look.process else look.looked_at) is None or note.until > judged_at
    ]
    alive = [value for value in here if not value.startswith(LEFT)]
    states = {value.removeprefix(LEFT) for value in alive or here}
    if not states:
        return "offline" if look.is_fresh or look.process in marks else None
    said = newest(notes, "said", by)
    is_quiet_one_away = said is not None and said.value == "away"
    return "online" if "online" in states or (QUIET in states and not is_quiet_one_away) else "away"


def next_change(notes: Notes, now: datetime) -> datetime | None:
    """When the notes will say something else by themselves."""
    ends = (note.until for key, note in notes.items() if key.what in ("typing", "presence") and note.until > now)
    return min(ends, default=None)


def lapsed(notes: Notes, now: datetime) -> list[Key]:
    """What nobody needs to keep any longer."""
    return [key for key, note in notes.items() if note.until <= now]


Signal = tuple[str, dict[str, Any]]


def news(told: Sight, sight: Sight, by: Audience) -> list[Signal]:
    """The signals that lead from what was told to what is seen of this side; receipts only go forward."""
    signals: list[Signal] = []
    if sight.is_typing != told.is_typing:
        signals.append(("typing", {"by": by, "on": sight.is_typing}))
    if sight.delivered > told.delivered:
        signals.append(("delivered", {"by": by, "seq": sight.delivered}))
    if sight.presence is not None and sight.presence != told.presence:
        signals.append(("presence", {by: sight.presence}))
    return signals


def all_signals(sight: Sight, by: Audience) -> list[Signal]:
    """Everything that is seen of this side, for a reader of whom nobody knows what they were told."""
    told = replace(NOTHING_SEEN, is_typing=not sight.is_typing)
    return news(told, sight, by)


def cursor_of(sight: Sight) -> str:
    """The same text for the same sight."""
    return f"{sight.presence}.{int(sight.is_typing)}.{sight.delivered}"


def after(told: Sight, sight: Sight) -> Sight:
    """What somebody has been told who was told the news of `sight`."""
    return Sight(sight.presence or told.presence, sight.is_typing, max(sight.delivered, told.delivered))


def _about(notes: Notes, what: What, by: Audience) -> list[Note]:
    return [note for key, note in notes.items() if key.what == what and key.by == by]


def merged(notes: Notes, heard: Iterable[tuple[Key, Note]]) -> dict[Key, Note]:
    """The notes with what was heard, in whichever order it came: the newest ones, and the most that was delivered."""
    known = dict(notes)
    for key, note in heard:
        if key not in known or _rank(key, known[key]) < _rank(key, note):
            known[key] = note
    return known


def _rank(key: Key, note: Note) -> int:
    return int(note.value) if key.what == "delivered" else note.version
