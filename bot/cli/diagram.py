"""The README's diagram of a conversation, printed from the table that decides."""

from __future__ import annotations

import re
from pathlib import Path

from conversations.conversation import ENDED_STATES, State
from conversations.events import DeadlinePassed
from conversations.machine import TRANSITIONS

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- diagram: begin -->", "<!-- diagram: end -->"


def mermaid() -> str:
    """A Mermaid state diagram: every row of `TRANSITIONS` that leads to another state, one arrow per pair of states."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.IDLE}"]
    for state, rows in TRANSITIONS.items():
        for target in State:
            names = sorted(_spoken(event) for event, move in rows.items() if target in move.to and target != state)
            if names:
                lines.append(f"    {state} --> {target}: {', '.join(names)}")
    lines += [f"    {state} --> [*]" for state in (*ENDED_STATES, State.ERASED)]
    return "\n".join(lines)


def _spoken(event: type) -> str:
    if event is DeadlinePassed:
        return "time is over"
    words = re.findall("[A-Z][a-z]*", event.__name__)
    return " ".join(words).lower()


def block() -> str:
    return f"{BEGIN}\n```mermaid\n{mermaid()}\n```\n{END}"


def current_block(readme: str) -> str | None:
    """The block as it stands in a README, or None where there is none."""
    found = re.search(f"{re.escape(BEGIN)}.*?{re.escape(END)}", readme, re.DOTALL)
    return found[0] if found else None


def write_into_readme() -> str:
    """Put the diagram of today's table into the README, and say what was done."""
    readme = README.read_text(encoding="utf-8")
    stands = current_block(readme)
    if stands is None:
        return f"README.md has no {BEGIN}\n"
    README.write_text(readme.replace(stands, block()), encoding="utf-8")
    return "the diagram is current\n"
