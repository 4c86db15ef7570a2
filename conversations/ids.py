"""Ids that follow from what caused them, so that doing a thing twice creates it once."""

from __future__ import annotations

from hashlib import blake2b


def derived_id(prefix: str, *cause: str | int) -> str:
    """`<prefix>_` and 96 bits that are the same for the same cause and say nothing about it."""
    text = "\x1f".join((prefix, *map(str, cause)))
    return f"{prefix}_{blake2b(text.encode(), digest_size=12).hexdigest()}"
