"""Prometheus's text format, version 0.0.4, written from plain integers when a collector asks.

Why not the official client: its counters take a lock and look up their labels at each event, on the path of every
message. Ours are integers that stand beside what they count, and writing them down takes the few lines below.
The format: https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass(frozen=True, slots=True)
class Family:
    """The samples of one name; the keys of `samples` are tuples of the values of `labels`, in their order."""

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    labels: tuple[str, ...] = ()
    samples: Mapping[Any, float] = field(default_factory=dict)


def exposition(families: Iterable[Family], common: Mapping[str, str]) -> str:
    """All families; `common` labels stand in every sample."""
    return "".join(f"{line}\n" for family in families for line in _lines(family, common))


def _lines(family: Family, common: Mapping[str, str]) -> Iterator[str]:
    yield f"# HELP {family.name} {family.help}"
    yield f"# TYPE {family.name} {family.kind}"
    for values, number in sorted(family.samples.items()):
        labels = {**common, **dict(zip(family.labels, values, strict=True))}
        inside = ",".join(f'{label}="{value.translate(_ESCAPES)}"' for label, value in labels.items())
        yield f"{family.name}{{{inside}}} {float(number)}"
