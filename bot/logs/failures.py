"""Whose fault an error is, and what a log may say of it: its kind, its place, and its message where that quotes nobody.

Messages repeat what the program had in its hands: pydantic the input, MongoDB the document it could not write, and its
driver pieces of a password with a slash in it. So they are left out unless the kind of error is known to be discreet.
"""

from __future__ import annotations

from pathlib import Path
from traceback import walk_tb
from types import CodeType, TracebackType
from typing import Any

from bot.errors import Outage, Refusal
from bot.logs.masking import masked_text
from bot.messaging.driver import RedisConnectionError, RedisTimeoutError
from bot.store.driver import ConnectionFailure, OperationFailure, PyMongoError, is_away

REDIS_IS_AWAY = (RedisConnectionError, RedisTimeoutError)
# Ours, whose messages are written in this code, and those of servers that cannot be reached, which name the server.
DISCREET = (Outage, Refusal, ConnectionFailure, *REDIS_IS_AWAY)
LONGEST_MESSAGE = 200
MOST_CALLS = 40
MOST_ERRORS = 10
OUR_PLACE = f"{Path(__file__).parents[2]}/"


def is_outage(error: BaseException) -> bool:
    """Whether a dependency is to blame; any other error is a fault of ours and belongs in the log as one."""
    if isinstance(error, PyMongoError):
        return is_away(error)
    return isinstance(error, (Outage, OSError, *REDIS_IS_AWAY))  # a TimeoutError is an OSError, too


def why(error: BaseException) -> str:
    """One line: the kind of error and, where it may be told, what it says."""
    kind, message = type(error).__name__, _message(error)
    return f"{kind}: {message}" if message else kind


def told(error: BaseException) -> list[dict[str, Any]]:
    """The error, then what it came from: each with its `calls`, from the outermost to where it happened."""
    return [{"error": why(each), "calls": _calls(each.__traceback__)} for each in _line_of(error)]


def as_text(error: BaseException) -> str:
    """`told` for people: where it happened stands first."""
    lines: list[str] = []
    for each in told(error):
        lines += [each["error"], *(f"  at {call}" for call in reversed(each["calls"]))]
    return "\n".join(lines)


def _message(error: BaseException) -> str:
    if isinstance(error, DISCREET):
        return masked_text(str(error))[:LONGEST_MESSAGE]
    if isinstance(error, OSError):
        return masked_text(error.strerror or "")  # without the path, which a stranger may have chosen
    if isinstance(error, OperationFailure):
        return f"{error.code} {(error.details or {}).get('codeName', '')}".strip()
    return ""


def _line_of(error: BaseException) -> list[BaseException]:
    """The error, the members of a group, and whatever each was raised from or in the handling of."""
    line: list[BaseException] = []
    waiting = [error]
    while waiting and len(line) < MOST_ERRORS:
        each = waiting.pop(0)
        if each in line:
            continue
        line.append(each)
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
        cause = each.__cause__ or (None if each.__suppress_context__ else each.__context__)
        if cause is not None:
            waiting.append(cause)
    return line


def _calls(traceback: TracebackType | None) -> list[str]:
    calls = [f"{_place_of(frame.f_code)}:{line} {frame.f_code.co_name}" for frame, line in walk_tb(traceback)]
    return calls[-MOST_CALLS:]


def _place_of(code: CodeType) -> str:
    """A file of ours from the folder of the program on, and a library's from its own name on."""
    return code.co_filename.rpartition("/site-packages/")[2].removeprefix(OUR_PLACE)
