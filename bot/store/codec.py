"""Records and effects to documents and back: plain dataclasses, moments kept as moments, a tag where a union is.

A document that an older program wrote is read with the defaults of today's dataclasses; what it has besides is
left out.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar

from cattrs import Converter
from cattrs.strategies import configure_tagged_union

import conversations.effects
import matching.effects
from conversations import booking, external_booking, machine
from matching import search

T = TypeVar("T")

ConversationEffect = conversations.effects.Effect
SearchEffect = matching.effects.Effect


def _build() -> Converter:
    converter = Converter(unstruct_collection_overrides={tuple: list})
    converter.register_unstructure_hook(datetime, lambda moment: moment)
    converter.register_structure_hook(datetime, lambda moment, _: _aware(moment))
    converter.register_structure_hook(str | int, lambda value, _: value)
    for enumeration in (machine.State, booking.Status, external_booking.Status, search.State, search.Answer):
        converter.register_unstructure_hook(enumeration, lambda member: member.value)
    for union in (booking.Event, ConversationEffect, SearchEffect):
        configure_tagged_union(union, converter, tag_name="type")
    return converter


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


_converter = _build()


def to_document(value: Any, kind: Any = None) -> dict[str, Any]:
    """The document of a dataclass; name the union as `kind` where the value is one of several, so that it is tagged."""
    document: dict[str, Any] = _converter.unstructure(value, kind or type(value))
    return document


def from_document(document: dict[str, Any], kind: type[T] | Any) -> T:
    """The dataclass of a document; a document that does not fit raises, since what we wrote ourselves always does."""
    value: T = _converter.structure(document, kind)
    return value
