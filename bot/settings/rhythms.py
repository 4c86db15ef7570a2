"""Every pause, look, patience and timeout of the program, in one value that is handed in when services are built.

The defaults are people's pace. Tests hand in quicker ones, and a process that is started gets the same by its
environment: `JANJI_RHYTHMS` is JSON like `{"bus": {"ping_every_s": 1}}`. What belongs to the business (how long a code
is good, when a message is sent again) stands with its subject, and what an operator may want to choose is a setting.

Names ending in `_s` are seconds. A pair is a range from which each round takes its pause, so processes drift apart.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import orjson

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class DatabaseRhythm:
    operation_within_s: float = 5.0
    """After which any operation on the database gives up, finding a server and connecting included."""
    clock_every_s: float = 30.0
    """How often the database is asked for its time."""


@dataclass(frozen=True, slots=True)
class BusRhythm:
    publish_within_s: float = 1.0
    read_for_s: float = 1.0
    ping_every_s: float = 5.0
    silent_at_most_s: float = 10.0
    """A connection on which nothing was heard for so long is closed."""
    reconnect_after_s: float = 0.3
    alone_for_s: float = 1.0
    """Who has heard that nobody listens asks again so soon; a newcomer says at once that they are here."""


@dataclass(frozen=True, slots=True)
class JobsRhythm:
    redis_within_s: float = 0.5
    enqueue_within_s: float = 1.0
    ask_again_after_s: float = 2.0


@dataclass(frozen=True, slots=True)
class FeedsRhythm:
    look_every_s: Range = (1.0, 1.3)
    """How often the heads of the feeds that are read here are looked at, whatever the bus says."""
    forget_after_s: float = 60.0
    """Who comes back later than that finds entries in the database, and a feed that nobody uses, too."""
    pause_after_failure_s: float = 0.25
    write_within_s: float = 8.0


@dataclass(frozen=True, slots=True)
class TurnsRhythm:
    again_after_outage_s: float = 2.0
    """How long a record is at most left alone before its effects are tried again; the sweep learns of it first."""
    again_after_postponed_s: float = 15.0
    answer_look_every_s: float = 0.05
    """How often it is looked whether the effects of a command have told its answer."""
    answer_orphaned_after_s: float = 1.0
    """Who took a command answers it at once; an answer that does not come is given by who repeats it."""


@dataclass(frozen=True, slots=True)
class LimitsRhythm:
    taken_within_s: float = 0.05
    """What the shared buckets may add to a command before our own decide."""
    answered_within_s: float = 1.0
    away_for_s: float = 1.0
    settle_every_s: float = 0.25


@dataclass(frozen=True, slots=True)
class AccessRhythm:
    known_for_s: float = 5.0
    """For how long a request without a connection believes what the last one was told of its token."""
    look_every_s: Range = (2.0, 3.0)


@dataclass(frozen=True, slots=True)
class SignalsRhythm:
    exchanged_within_s: float = 0.5
    closed_within_s: float = 0.2
    known_within_s: float = 0.25
    """Who comes in waits at most this long for what other processes know."""
    pause_after_failure_s: float = 1.0


@dataclass(frozen=True, slots=True)
class StreamsRhythm:
    heartbeat_s: float = 15.0
    """A stream on which nothing has come for so long says that it is still there."""
    between_polls_s: float = 5.0
    """A poll is followed by the next one; until then its reader counts as being there."""
    stalled_for_s: float = 5.0
    """Who takes nothing for so long, although something waits, is cut off."""
    read_again_after_s: float = 2.0
    """How long a reader waits before an outage is tried again."""


@dataclass(frozen=True, slots=True)
class VitalsRhythm:
    """From where on something is no longer as it should be, and how often anybody asks.

    Redis answers in a millisecond, a worker is heard of every 15 s and every 30 s while it works, effects and alarms
    are brought back by the sweep within seconds, and what is due is sent within half a minute.
    """

    asked_for_s: float = 1.0
    kept_for_s: float = 1.0
    slow_redis_s: float = 0.25
    silent_worker_s: float = 45.0
    waiting_job_s: float = 30.0
    late_s: float = 5.0
    late_notification_s: float = 30.0
    slow_loop_s: float = 0.25
    loop_look_every_s: float = 0.25
    loop_remembered_s: float = 10.0


@dataclass(frozen=True, slots=True)
class EndingRhythm:
    """Five seconds are the most that an end may take: clients and their commands get half of it."""

    drain_s: float = 2.5
    requests_finish_s: float = 0.5
    effects_finish_s: float = 0.5
    returns_spread_over_s: float = 4.0
    """Clients that are sent away come back spread over so long."""


@dataclass(frozen=True, slots=True)
class WorkersRhythm:
    code_again_after_s: tuple[float, ...] = (2.0, 5.0)
    """A sign-in code that could not be sent is tried again after these."""
    come_back_after_s: float = 1.0
    """A worker that has lost Redis looks for it again."""


@dataclass(frozen=True, slots=True)
class PagesRhythm:
    """What the pages wait for; they get it from `/api/client-settings`."""

    command_s: float = 10.0
    signal_s: float = 4.0
    session_s: float = 12.0
    """For a transport to bring the snapshot."""
    offline_after_s: float = 15.0
    """How long a page says that it reconnects before it says that it is offline."""
    stream_starts_s: float = 2.5
    """A proxy that keeps a stream back until it is complete shows itself by this silence."""
    stream_silent_s: float = 40.0
    """The server says every 15 s that it is still there."""
    probe_every_s: float = 15.0
    """While another transport stands in, the best one is tried this often."""


@dataclass(frozen=True, slots=True)
class Rhythms:
    database: DatabaseRhythm = field(default_factory=DatabaseRhythm)
    bus: BusRhythm = field(default_factory=BusRhythm)
    jobs: JobsRhythm = field(default_factory=JobsRhythm)
    feeds: FeedsRhythm = field(default_factory=FeedsRhythm)
    turns: TurnsRhythm = field(default_factory=TurnsRhythm)
    limits: LimitsRhythm = field(default_factory=LimitsRhythm)
    access: AccessRhythm = field(default_factory=AccessRhythm)
    signals: SignalsRhythm = field(default_factory=SignalsRhythm)
    streams: StreamsRhythm = field(default_factory=StreamsRhythm)
    vitals: VitalsRhythm = field(default_factory=VitalsRhythm)
    ending: EndingRhythm = field(default_factory=EndingRhythm)
    workers: WorkersRhythm = field(default_factory=WorkersRhythm)
    pages: PagesRhythm = field(default_factory=PagesRhythm)

    def __str__(self) -> str:
        """As the environment of a process has it that is to keep the same pace."""
        return orjson.dumps(asdict(self)).decode()


PEOPLE = Rhythms()


def rhythms_of(value: Any) -> Any:
    """What the environment says in JSON, as what pydantic checks by name and kind."""
    if not isinstance(value, str):
        return value
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        raise ValueError('must be JSON like {"bus": {"ping_every_s": 1}}') from None
