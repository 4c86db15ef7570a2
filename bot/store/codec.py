"""Records and effects to documents and back: plain dataclasses, moments kept as moments, a tag where a union is.

A document that an older program wrote is read with the defaults of today's dataclasses; what it has besides is
left out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum
from typing import Any, TypeVar

from cattrs import Converter
from cattrs.strategies import configure_tagged_union

from bot.store.driver import Document
from bot.store.kinds import KINDS
from conversations import booking

T = TypeVar("T")


def _build() -> Converter:
    converter = Converter(unstruct_collection_overrides={tuple: list})
    converter.register_unstructure_hook(datetime, lambda moment: moment)
    converter.register_structure_hook(datetime, lambda moment, _: _aware(moment))
    converter.register_structure_hook(str | int, lambda value, _: value)
    converter.register_unstructure_hook_func(_is_enumeration, lambda member: member.value)
    # An effect tells a booking of an event, so that these stand in documents too.
    for union in (booking.Event, *dict.fromkeys(kind.effects for kind in KINDS)):
        configure_tagged_union(union, converter, tag_name="type")
    return converter


def _is_enumeration(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_converter = _build()


def to_document(value: object, kind: Any = None) -> Document:
    """The document of a dataclass; name the union as `kind` where the value is one of several, so that it is tagged."""
    document: Document = _converter.unstructure(value, kind or type(value))
    return document


def from_document(document: Document, kind: type[T] | Any) -> T:
    """The dataclass of a document; a document that does not fit raises, since what we wrote ourselves always does."""
    value: T = _converter.structure(document, kind)
    return value
