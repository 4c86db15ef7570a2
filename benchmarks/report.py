"""Figures with their spread, the ratio to what was measured beside them, and the one table that shows them all."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from statistics import median

COLUMNS = ("what", "Janji", "beside it", "ratio")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measurement, once per repetition."""

    samples: tuple[float, ...]

    def __str__(self) -> str:
        return f"{_number(median(self.samples))} ({_number(min(self.samples))}–{_number(max(self.samples))})"

    def ratio_to(self, other: Figure) -> Figure:
        """Repetition by repetition, since what disturbs the machine disturbs both halves of one repetition alike."""
        return Figure(tuple(ours / theirs for ours, theirs in zip(self.samples, other.samples, strict=True)))


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table; `what` carries the unit."""

    what: str
    janji: Figure
    beside: Figure | None = None


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
    lines = [COLUMNS]
    for section in sections:
        lines.append((f"**{section.title}**", "", "", ""))
        lines += [_cells(row) for row in section.rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS))]
    rule = tuple("-" * width for width in widths)
    return "\n".join(_line(each, widths) for each in (lines[0], rule, *lines[1:]))


def _cells(row: Row) -> tuple[str, str, str, str]:
    if row.beside is None:
        return row.what, str(row.janji), "", ""
    return row.what, str(row.janji), str(row.beside), str(row.janji.ratio_to(row.beside))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"


def _number(value: float) -> str:
    """Three digits that mean something, and none that pretend to."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
