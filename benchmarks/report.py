"""Figures with their spread, the ratio to what was measured beside them, and the one table that shows them all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

COLUMNS = ("what", "Janji", "beside it", "ratio", "goal")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement, once per repetition."""

    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.samples)

    def __str__(self) -> str:
        return f"{_number(self.median)} ({_number(min(self.samples))}–{_number(max(self.samples))})"

    def ratio_to(self, other: Figure) -> Figure:
        """Repetition by repetition, since what disturbs the machine disturbs both halves of one repetition alike."""
        return Figure(tuple(ours / theirs for ours, theirs in zip(self.samples, other.samples, strict=True)))


@dataclass(frozen=True, slots=True)
class Goal:
    """What the median shall be: of the ratio where something stands beside, unless it is `for_janji` alone."""

    limit: float
    is_upper: bool = False
    for_janji: bool = False

    def verdict(self, value: float) -> str:
        is_met = value <= self.limit if self.is_upper else value >= self.limit
        return f"{'≤' if self.is_upper else '≥'} {self.limit:g} {'met' if is_met else '**missed**'}"


def at_least(limit: float) -> Goal:
    return Goal(limit)


def at_most(limit: float, *, for_janji: bool = False) -> Goal:
    return Goal(limit, is_upper=True, for_janji=for_janji)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `what` carries the unit."""

    what: str
    janji: Figure
    beside: Figure | None = None
    goal: Goal | None = None

    @property
    def ratio(self) -> Figure | None:
        return self.janji.ratio_to(self.beside) if self.beside else None

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        judged = self.janji if self.ratio is None or self.goal.for_janji else self.ratio
        return self.goal.verdict(judged.median)


@dataclass(frozen=True, slots=True)
class Section:
    """Rows that were measured together, and what they were measured beside."""

    title: str
    rows: tuple[Row, ...]


def figure(samples: Iterable[float]) -> Figure:
    return Figure(tuple(samples))


def percentile(samples: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: a value that was really measured."""
    return sorted(samples)[max(ceil(share * len(samples)) - 1, 0)]


def as_table(sections: Iterable[Section]) -> str:
    """The sections as one Markdown table, aligned for the terminal."""
    lines: list[tuple[str, ...]] = [COLUMNS]
    for section in sections:
        lines.append((f"**{section.title}**", "", "", "", ""))
        lines += [_cells(row) for row in section.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    rule = tuple("-" * width for width in widths)
    return "\n".join(_line(each, widths) for each in (lines[0], rule, *lines[1:]))


def _cells(row: Row) -> tuple[str, ...]:
    return row.what, str(row.janji), str(row.beside or ""), str(row.ratio or ""), row.verdict


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def _number(value: float) -> str:
    """Three digits that mean something, and none that pretend to."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
