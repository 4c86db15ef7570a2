"""Takes out of what is about to be logged whatever looks like a person or a key: the second net under our own care.

The first net is that nobody hands such things to a log. Names and texts look like nothing in particular, so this one
knows them only by the fields that they stand in.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

MASK = "…"

# Fields whose values are somebody's words, somebody's whereabouts or a key, whatever they look like.
PRIVATE = frozenset(
    {
        *("address", "comment", "cookie", "email", "latitude", "location", "longitude", "name", "notes", "password"),
        *("reason", "secret", "text", "ticket", "token"),
    }
)
# A number with this many decimals is a place on the map, a dozen metres or better; times say their unit in their name.
PLACE_DECIMALS = 4
TIMES = ("_ms", "_s")

# Most of what is logged: names in the code, words, ids, pseudonyms and moments. There is nothing in them to look for.
_PLAIN = re.compile(
    r"""
      [A-Za-z_ ]{0,31}
    | (?: [a-z]+ : )? [a-z]{1,4} _ (?: [0-9a-f]{24} | [0-9a-f]{32} ) (?: : \d{1,6} ){0,2}
    | [a-z]+ : [0-9a-f]{16}
    | \d{4} - \d\d - \d\d T [\d:.]+ Z
    """,
    re.VERBOSE,
)
_SUSPECT = re.compile(
    r"""
      (?P<credentials> (?<=://) [^\s/]* @ )                                      # mongodb://user:password@host
    | (?P<query> (?<=[\w/]) \? (?=[\w.%-]+=) [^\s"'<>)\]]* )                     # /api/poll/bookings?ticket=…
    | (?P<key> (?i: \b (?: bearer \s+ (?=[\w.~+/=-]{8})
                    | (?: token | ticket | password | secret ) \b ["']? \s* [:=] \s* ["']? )) [^\s"'&,;}\]]+ )
    | (?P<apikey> \b jk_[0-9a-f]+_[\w-]+ )                                     # bot/store/api_keys.py
    | (?P<jwt> \b eyJ [\w-]{8,} (?: \. [\w-]+ ){0,2} )                           # RFC 7519; every token of ours is one
    | (?P<random> (?<![\w-]) (?=[\w-]*[A-Z]) (?=[\w-]*[a-z]) (?=[\w-]*\d) [\w-]{32,} )   # a ticket, a secret
    | (?P<email> (?<![\w.+-]) [\w.+-]++ (?: @ | %40 ) [\w-]+ (?: \. [\w-]+ )+ )
    | (?P<phone> (?<![\w+]) (?: \+ | %2B ) [1-9] (?: [ .()-]{0,2} \d ){7,14} (?!\d)      # E.164
               | (?<![\w+.]) (?: 0 | 62\ ? ) 8 \d{2} (?: [ .-]? \d ){6,9} (?!\w) )      # as it is written in Indonesia
    | (?P<place> (?<![\w.:]) -? \d{1,3} \. \d{4,}+ (?! [\w.] | \ (?: s | ms | µs ) \b ) )
    """,
    re.VERBOSE,
)
_SHOWN = {
    "credentials": f"{MASK}@",
    "query": f"?{MASK}",
    "key": "[key]",
    "apikey": "[key]",
    "jwt": "[key]",
    "random": "[key]",
    "email": "[email]",
    "phone": "[phone]",
    "place": "[place]",
}


def masked(value: Any, field: str = "") -> Any:
    """The same value, fit to be written; `field` is the name it stands under. Of an unknown type only its name is."""
    if isinstance(value, str):
        return MASK if field in PRIVATE else masked_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return MASK if field in PRIVATE or _is_place(value, field) else value
    if isinstance(value, Mapping):
        return {masked_text(str(name)): masked(each, str(name)) for name, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [masked(each, field) for each in value]
    if isinstance(value, datetime):
        return value.isoformat()
    return f"<{type(value).__name__}>"


def masked_text(text: str) -> str:
    """A sentence without what looks like a person or a key in it."""
    return text if _PLAIN.fullmatch(text) else _SUSPECT.sub(lambda found: _SHOWN[found.lastgroup or ""], text)


def _is_place(number: float, field: str) -> bool:
    if isinstance(number, int) or field.endswith(TIMES):
        return False
    return abs(number) <= 180 and round(number, PLACE_DECIMALS - 1) != number
