"""What was seen of a run from the outside, in the order in which it was seen: commands, answers, entries and faults.

Everything is told to one witness in one process, so "before" is a matter of its own clock and of nobody's timestamps.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Audience = Literal["guest", "therapist"]
Entry = Mapping[str, Any]
Answer = Mapping[str, Any]

MOST_OF_A_KIND = 5
# Refusals that say "come again" instead of "no": what was asked may have been done, or not.
OPEN_CODES = ("unavailable", "too_many_requests")


@dataclass(slots=True)
class Try:
    """One sending of a command: when, which way, and what came back (None: nothing did)."""

    began: float
    via: str
    ended: float | None = None
    answer: Answer | None = None

    @property
    def is_ok(self) -> bool:
        return self.answer is not None and self.answer.get("ok") is True

    @property
    def is_refused(self) -> bool:
        return self.answer is not None and not self.is_ok and self.code not in OPEN_CODES

    @property
    def code(self) -> str:
        return str(((self.answer or {}).get("error") or {}).get("code", ""))


@dataclass(slots=True)
class Operation:
    """A command under one `client_id`, with every try of it; `feed` is the one that it must show on."""

    who: str
    audience: Audience
    subject: str
    """The conversation's id of a guest, the therapist's of a therapist."""
    name: str
    payload: Mapping[str, Any]
    feed: str
    tries: list[Try] = field(default_factory=list)

    @property
    def client_id(self) -> str:
        return str(self.payload["client_id"])

    @property
    def began(self) -> float:
        return self.tries[0].began if self.tries else float("inf")

    @property
    def oks(self) -> list[Try]:
        return [each for each in self.tries if each.is_ok]

    @property
    def acked(self) -> Try | None:
        """The try whose positive answer came first."""
        return min(self.oks, key=lambda each: each.ended or 0.0, default=None)


@dataclass(frozen=True, slots=True)
class Violation:
    """What must not be: the name of the check, a sentence, and the shortest evidence there is."""

    check: str
    what: str
    at: float
    evidence: tuple[Any, ...] = ()

    def __str__(self) -> str:
        lines = [f"[{self.check}] after {self.at:.1f} s: {self.what}"]
        return "\n".join([*lines, *(f"    {_line(each)}" for each in self.evidence)])


@dataclass(frozen=True, slots=True)
class Receipt:
    """Somebody was told that it stands: this side has read the feed up to `seq`."""

    feed: str
    by: Audience
    seq: int


@dataclass(slots=True)
class Heard:
    """What one reader has heard of one feed, in its order."""

    reader: str
    feed: str
    entries: list[Entry] = field(default_factory=list)


class Witness:
    """Writes everything down; whoever sees at once that something is wrong accuses."""

    def __init__(self, waiting_for: Collection[str] = ()) -> None:
        """`waiting_for` names the checks of which the first one to fail is news; none are all of them."""
        self._began = time.monotonic()
        self._waiting_for = waiting_for
        self.operations: list[Operation] = []
        self.events: list[dict[str, Any]] = []
        self.feeds: dict[str, dict[int, Entry]] = defaultdict(dict)
        """Every entry that anybody has heard, by feed and number."""
        self.first_heard: dict[tuple[str, int], float] = {}
        self.logs: list[Heard] = []
        self.receipts: list[Receipt] = []
        self.violations: list[Violation] = []
        self.accused = asyncio.Event()

    @property
    def now(self) -> float:
        """Seconds since the beginning."""
        return round(time.monotonic() - self._began, 4)

    def note(self, what: str, who: str, **more: Any) -> None:
        self.events.append({"at": self.now, "what": what, "who": who, **more})

    def accuse(self, check: str, what: str, *evidence: Any) -> None:
        """Every sentence once, and no more of a kind than anybody reads."""
        known = [each.what for each in self.violations if each.check == check]
        if what not in known and len(known) < MOST_OF_A_KIND:
            self.violations.append(Violation(check, what, self.now, evidence))
            self.note("violation", check, sentence=what)
            if not self._waiting_for or check in self._waiting_for:
                self.accused.set()

    def operation(self, operation: Operation) -> Operation:
        self.operations.append(operation)
        return operation

    def begin(self, operation: Operation, via: str) -> Try:
        one = Try(self.now, via)
        operation.tries.append(one)
        self.note("invoke", operation.who, name=operation.name, payload=operation.payload, via=via)
        return one

    def end(self, operation: Operation, one: Try, answer: Answer | None) -> None:
        one.ended, one.answer = self.now, answer
        what = "info" if answer is None else "ok" if one.is_ok else "refused" if one.is_refused else "info"
        self.note(what, operation.who, client_id=operation.client_id, via=one.via, answer=answer)

    def log_of(self, reader: str, feed: str) -> Heard:
        log = Heard(reader, feed)
        self.logs.append(log)
        return log

    def hear(self, log: Heard, entry: Entry, via: str) -> None:
        """A reader has been given the entry: all who hear a number hear the same under it."""
        log.entries.append(entry)
        feed, seq = entry["feed"], entry["seq"]
        self.note("heard", log.reader, feed=feed, seq=seq, id=entry["id"], type=entry["type"], via=via)
        known = self.feeds[feed].setdefault(seq, entry)
        self.first_heard.setdefault((feed, seq), self.now)
        if known["id"] != entry["id"]:
            self.accuse("same for all", f"two entries stand under number {seq} of {feed}", _brief(known), _brief(entry))

    def run_of(self, feed: str) -> list[Entry]:
        """What is known of the feed from 1 on, up to the first number that nobody has heard."""
        return list(_contiguous(self.feeds.get(feed, {})))

    def conversations(self) -> list[str]:
        return [feed for feed in list(self.feeds) if feed.startswith("conversation:")]

    def therapists(self) -> list[str]:
        return [feed for feed in list(self.feeds) if feed.startswith("therapist:")]

    def write(self, file: Path) -> None:
        """The whole history as JSON lines."""
        file.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(each, default=str, ensure_ascii=False) for each in self.events]
        lines += [json.dumps({"what": "accused", **asdict(each)}, default=str) for each in self.violations]
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _contiguous(entries: Mapping[int, Entry]) -> Iterator[Entry]:
    seq = 1
    while seq in entries:
        yield entries[seq]
        seq += 1


def _brief(entry: Entry) -> dict[str, Any]:
    """An entry without what is only there to be shown."""
    data = entry["data"]
    kept = ("state", "revision", "text", "from", "client_id", "key", "card", "offer_id", "why")
    return {
        **{name: entry.get(name) for name in ("feed", "seq", "id", "type")},
        **{name: data[name] for name in kept if data.get(name) is not None},
    }


def _line(evidence: Any) -> str:
    if isinstance(evidence, Operation):
        tries = [f"{each.began:.3f} via {each.via}: {each.answer}" for each in evidence.tries]
        return f"{evidence.who} {evidence.name} {dict(evidence.payload)}; " + "; ".join(tries)
    if isinstance(evidence, Mapping) and "seq" in evidence and "data" in evidence:
        return str(_brief(evidence))
    return str(evidence)
