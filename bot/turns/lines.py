"""What the log says of a turn: one line, however it ended. What each field means stands in `docs/logs.md`.

Ids of records stand in it as they are: they open nothing without a token, and who repairs something must find the
record again. People stand in it by pseudonym, as a therapist's id is shown to guests beside the name and the photo.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog

from bot.errors import Refusal
from bot.logs.failures import is_outage, why

log = structlog.get_logger()

Result = Literal["taken", "unchanged", "refused", "repeated", "failed"]


@dataclass(slots=True)
class TurnLine:
    """One turn, from its first moment on: `before` and `after` are the record, the effects those that were saved."""

    who: str
    event: str
    room: str
    record_id: str
    started: float = field(default_factory=time.perf_counter)
    before: Any = None
    after: Any = None
    effects: tuple[Any, ...] = ()
    result: Result = "unchanged"
    code: str | None = None
    error: str | None = None
    tries: int = 0
    level: int = logging.INFO

    @contextmanager
    def written(self) -> Iterator[None]:
        """Write the line at the end, also where the turn is refused, fails or is given up."""
        try:
            yield
        except Refusal as refused:
            self.result, self.code = "refused", refused.code
            raise
        except BaseException as error:
            self.result, self.error = "failed", why(error)
            # Who gives up, as when the time is over, and a server that is away are no faults of ours.
            self.level = logging.ERROR if isinstance(error, Exception) and not is_outage(error) else logging.WARNING
            raise
        finally:
            log.log(self.level, "turn", **self._fields())

    def reads(self, record: Any) -> None:
        """Another try begins with the record as it stands now."""
        self.before = self.after = record
        self.tries += 1

    def _fields(self) -> dict[str, Any]:
        fields = {
            "who": self.who,
            "_event": self.event,
            "room": self.room,
            "record": self.record_id,
            "conversation": self._conversation(),
            "from": _state_of(self.before),
            "to": _state_of(self.after),
            "result": self.result,
            "effects": _counted(self.effects),
            "took_ms": round((time.perf_counter() - self.started) * 1000, 1),
        }
        if self.code is not None:
            fields["code"] = self.code
        if self.error is not None:
            fields["error"] = self.error
        if self.tries > 1:
            fields["retries"] = self.tries - 1
        return fields

    def _conversation(self) -> str | None:
        """What one booking's lines have in common, whichever record they are about."""
        if self.room == "conversation":
            return self.record_id
        return getattr(self.after, "conversation_id", None) or None  # a record that is not there yet has an empty one


def _counted(effects: tuple[Any, ...]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for effect in effects:
        name = type(effect).__name__
        counts[name] = counts.get(name, 0) + 1
    return counts


def _state_of(record: Any) -> str | None:
    return None if record is None else str(record.state)
