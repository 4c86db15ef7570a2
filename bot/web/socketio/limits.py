"""What one Socket.IO client may take from this process, and how often one of them wanted more."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Limits:
    """The defaults fit a chat on a phone behind a router that cuts a line after 55 s of silence."""

    ping_interval_s: float = 20.0
    ping_timeout_s: float = 10.0
    connect_timeout_s: float = 10.0
    """For a socket to ask for its first namespace."""
    handler_timeout_s: float = 10.0
    """For each call of a door, and for what is still in flight when its client has gone."""
    close_grace_s: float = 2.0
    """For what is queued to be sent, and for the client to close, before the connection is aborted."""
    max_frame_bytes: int = 32_768
    max_queued_frames: int = 256
    max_queued_bytes: int = 512_000
    """What waits for one reader, in our queue and in the transport's buffer together."""
    stalled_for_s: float = 5.0
    """For a reader who is behind to take anything at all of what waits."""
    returns_spread_over_s: float = 4.0
    """Those who are sent away together come back spread over so long."""
    departures_in_a_turn: int = 16
    """Of a tenth of a millisecond each: when thousands vanish together, those who stay are served in between."""
    max_strikes: int = 10
    commands_per_s: float = 20.0
    command_burst: int = 60
    max_waiting_commands: int = 64


@dataclass
class Counters:
    """Plain numbers for the metrics: the first two are now, the others since the start."""

    connections: int = 0
    sessions: int = 0
    connections_opened: int = 0
    connects_refused: int = 0
    connect_timeouts: int = 0
    ping_timeouts: int = 0
    slow_readers_aborted: int = 0
    malformed_frames: int = 0
    strike_outs: int = 0
    commands: int = 0
    commands_refused: int = 0
    commands_failed: int = 0
    commands_over_rate: int = 0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often each command was answered with which code, or `ok`; of names that are none `unknown` is kept."""
