"""One line per event, as JSON for machines or in colour for people; nothing a person said ever stands in it.

Every turn on a record is one line, see `bot/turns/lines.py`; a chat message is no turn, so the hot path writes none.
What libraries write by `logging`, warnings, and errors that nobody caught go the same way, through the same mask.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from bot.logs import failures
from bot.logs.masking import MASK, masked
from bot.settings.settings import Settings

log = structlog.get_logger()

OURS = ("bot.", "workers.")
FIRST = ("timestamp", "level", "message", "who", "event")
_ENCODER = json.JSONEncoder()
_QUOTATION = re.compile(r"""[\n'"<({\[]""")


def configure(settings: Settings) -> None:
    """Set up logging for this process; libraries speak through the same stream from WARNING on."""
    level = getattr(logging, settings.log_level.upper())
    is_json = settings.log_format == "json"
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # A turn says what happened in `event`; what a line is about stands in `message`.
            structlog.processors.EventRenamer("message", replace_by="_event"),
            _telling_errors(failures.told if is_json else failures.as_text),
            _mask,
            _as_json if is_json else _for_people(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Output(),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[_Libraries()], force=True)
    logging.raiseExceptions = False  # otherwise a line that cannot be written goes to standard error with its values
    # Malformed requests are answered; their bytes, in which a ticket may stand, are not written down.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    _speak_for_python()


def _as_json(_: Any, __: str, line: EventDict) -> str:
    return _ENCODER.encode(line)


def _for_people() -> Processor:
    return structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty(), event_key="message", sort_keys=False)


def _telling_errors(tell: Callable[[BaseException], Any]) -> Processor:
    """`exception` says where an error happened and what kind it was, without the values that were in hand."""

    def processor(_: Any, __: str, line: EventDict) -> EventDict:
        given = line.pop("exc_info", None)
        error = sys.exc_info()[1] if given is True else given[1] if isinstance(given, tuple) else given
        if error:
            line["exception"] = tell(error)
        return line

    return processor


def _mask(_: Any, __: str, line: EventDict) -> EventDict:
    masked_line = {name: masked(line.pop(name), name) for name in FIRST if name in line}
    for name, value in line.items():
        masked_line[name] = masked(value, name)
    return masked_line


class _Output:
    """Standard output; a full disk or a pipe that nobody reads costs lines and never a turn."""

    def write(self, line: str) -> None:
        with suppress(OSError, ValueError):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()

    debug = info = warning = error = critical = write


# --- what others write ------------------------------------------------------------------------------------------------


class _Libraries(logging.Handler):
    """Hands on what libraries log, as lines of ours."""

    def emit(self, record: logging.LogRecord) -> None:
        log.log(_level(record), _sentence(record), logger=record.name, exc_info=record.exc_info)


def _level(record: logging.LogRecord) -> int:
    """As among ourselves: what a library says while a server is away is at most a warning."""
    error = (record.exc_info or sys.exc_info())[1]
    return min(record.levelno, logging.WARNING) if error and failures.is_outage(error) else record.levelno


def _sentence(record: logging.LogRecord) -> str:
    """What a library puts into one may be what somebody said: of that only numbers stay. What we put in stays."""
    if not isinstance(record.msg, str):
        return f"<{type(record.msg).__name__}>"
    if not record.args:
        return _before_a_quotation(record.msg)
    values = record.args if record.name.startswith(OURS) else _only_numbers(record.args)
    template = record.msg.partition("\n")[0]
    try:
        return template % values
    except (TypeError, ValueError):
        return template


def _before_a_quotation(sentence: str) -> str:
    """Libraries that build a sentence by themselves put values into quotation marks or brackets."""
    kept: str = _QUOTATION.split(sentence, maxsplit=1)[0]
    return kept.rstrip()


def _only_numbers(values: Any) -> Any:
    if isinstance(values, Mapping):
        return {name: _only_numbers(value) for name, value in values.items()}
    if isinstance(values, tuple):
        return tuple(_only_numbers(value) for value in values)
    return values if isinstance(values, int | float) else MASK


def _speak_for_python() -> None:
    """What Python itself would write to standard error, with what an error quotes and how an object looks."""

    def lost(where: str, error: BaseException | None) -> None:
        log.error("an error was not caught", where=where, exc_info=error)

    def ended_by(kind: type[BaseException], error: BaseException, calls: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, calls)
        else:
            lost("program", error)

    def warned(message: Warning | str, kind: type[Warning], file: str, line: int, *_: Any, **__: Any) -> None:
        log.warning("a library warns", of=kind.__name__, said=_before_a_quotation(str(message)), at=f"{file}:{line}")

    sys.excepthook = ended_by
    threading.excepthook = lambda thread: lost("thread", thread.exc_value)
    sys.unraisablehook = lambda finalizer: lost("finalizer", finalizer.exc_value)
    warnings.showwarning = warned  # type: ignore[assignment]  # the rest of its arguments are of no use here
