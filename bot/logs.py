"""One line per event, as JSON for machines or in colour for people; nothing a person said ever stands in it."""

from __future__ import annotations

import logging
import sys

import structlog

from bot.settings import Settings


def _tracebacks() -> structlog.typing.Processor:
    """Where it happened and why, without the values of variables: what people said may stand in them."""
    transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
    return structlog.processors.ExceptionRenderer(transformer)


def configure(settings: Settings) -> None:
    """Set up logging for this process; libraries speak through the same stream from WARNING on."""
    level = getattr(logging, settings.log_level.upper())
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _tracebacks() if settings.log_format == "json" else structlog.dev.set_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(),
        cache_logger_on_first_use=True,
    )
    # Malformed requests are answered; their bytes, in which a ticket may stand, are not written down.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    logging.basicConfig(
        level=max(level, logging.WARNING), stream=sys.stdout, format="%(levelname)s %(name)s %(message)s"
    )
