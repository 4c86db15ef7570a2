"""What nobody should send: values that have broken other programs, and good JSON bent in every way."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any


def nested(depth: int, *, as_objects: bool = False) -> Any:
    value: Any = "$token"
    for _ in range(depth):
        value = {"a": value} if as_objects else [value]
    return value


# Queries where a value belongs, names of fields and of the language's own things, numbers beyond every type, text that
# is none, other types than the field's.
VALUES: tuple[Any, ...] = (
    *({"$ne": None}, {"$gt": ""}, {"$where": "sleep(9999)"}, {"$regex": ".*"}, {"a.b": 1}, {"": 1}, {"$literal": 1}),
    *("$token", "$$ROOT", "$$NOW", "$phone", "__proto__", "constructor", "../../etc/passwd", "%00", "'; --", "<img>"),
    *(float("nan"), float("inf"), -float("inf"), 2**70, -(2**70), 2**63, 2**53 + 1, 1e308, -0.0, 5e-324, 1.5, -1, 0),
    *("\ud800", "\udfff x", "\x00", "\u202e", "\u200b", "é" * 64, "👩‍👩‍👧" * 9, "\r\nBcc: x@y.zz", "\x1e", " ", ""),
    *(None, True, False, [], {}, [[]], [None], "true", "null", "NaN", "1", "1e9", "٣", "²", 7, "x" * 65, "x" * 5000),
    *(nested(100), nested(100, as_objects=True), nested(400)),
)
# Rare ones: they are long.
HUGE: tuple[Callable[[], Any], ...] = (
    lambda: "x" * 1_000_000,
    lambda: nested(600),
    lambda: ["$token"] * 20_000,
    lambda: {f"k{number}": number for number in range(5_000)},
)
FIELDS = (
    "$where",
    "__proto__",
    "constructor",
    "_id",
    "from",
    "conversation_id",
    "token",
    "",
    "a.b",
    "\x00",
    "x" * 5000,
)
BYTES: tuple[bytes, ...] = (
    b"",
    b"\x00",
    b"\xff\xfe",
    b'"',
    b"{",
    b"}",
    b"[",
    b",",
    b":",
    b"\\u",
    b"\xed\xa0\x80",
    b"1e",
)


def value(random: Random, strange: Sequence[Any] = ()) -> Any:
    """Something wrong; `strange` are ids of other people, which look right."""
    if random.random() < 0.004:
        return random.choice(HUGE)()
    if strange and random.random() < 0.15:
        return random.choice(strange)
    chosen = random.choice(VALUES)
    # A copy, since it may be bent in its turn.
    return json.loads(json.dumps(chosen)) if isinstance(chosen, dict | list) else chosen


def bend(payload: Any, random: Random, strange: Sequence[Any] = ()) -> Any:
    """The payload with one to three things changed in it, wherever they stand."""
    bent = json.loads(json.dumps(payload))
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        bent = _bend_once(bent, random, strange)
    return bent


def _bend_once(payload: Any, random: Random, strange: Sequence[Any]) -> Any:
    if not isinstance(payload, dict) or random.random() < 0.05:
        return random.choice((value(random, strange), [payload], {"data": payload}))
    names = list(payload)
    name = random.choice(names) if names else random.choice(FIELDS)
    match random.randrange(7):
        case 0 | 1:
            payload[name] = value(random, strange)
        case 2:
            payload.pop(name, None)
        case 3:
            payload[random.choice(FIELDS)] = value(random, strange)
        case 4:
            payload[name] = _bend_once(payload.get(name), random, strange)
        case 5:
            payload[name] = _as_another_type(payload.get(name))
        case _:
            payload[name] = [payload.get(name)]
    return payload


def _as_another_type(was: Any) -> Any:
    if isinstance(was, bool):
        return int(was)
    if isinstance(was, int | float):
        return random_sign(str(was)) if was else bool(was)
    if isinstance(was, str):
        return {"$eq": was}
    return str(was)


def random_sign(text: str) -> str:
    return f"+{text}"


def text_of(payload: Any) -> str:
    """JSON as a careless client writes it: with NaN, lone surrogates and endless numbers in it."""
    return json.dumps(payload)


def noise(text: bytes, random: Random) -> bytes:
    """The bytes with a few of them changed, doubled, cut or put where they do not belong."""
    changed = bytearray(text)
    for _ in range(random.randint(1, 4)):
        at = random.randrange(len(changed) + 1)
        match random.randrange(5):
            case 0 if changed:
                changed[at % len(changed)] = random.randrange(256)
            case 1:
                changed[at:at] = random.choice(BYTES)
            case 2:
                del changed[at : at + random.randint(1, 8)]
            case 3:
                changed[at:at] = changed[at : at + random.randint(1, 40)]
            case _:
                changed[at:at] = random.randbytes(random.randint(1, 6))
    return bytes(changed)
