"""The templates of mails: Jinja to MJML to HTML, each with a text twin, ours or those of a brand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import mrml
import structlog
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from bot.schemas.texts import clean
from bot.words import Words
from conversations.values import Locale

log = structlog.get_logger()

OURS = Path(__file__).parent / "templates"
MAILS = (
    *("confirmed", "moved", "cancelled", "payment_confirmed", "payment_failed"),
    *("reminder", "starts_soon", "notice"),
)
MOST_ENVIRONMENTS = 64

Typeset = Callable[[Environment, str, Mapping[str, Any]], str]


class Templates:
    """Files of `<directory>/<brand slug>/` win over ours, one by one."""

    def __init__(self, words: Words, directory: Path | None = None, *, ours: Path = OURS) -> None:
        self._ours = ours
        self._words = words
        self._directory = directory
        self._environment = lru_cache(maxsize=MOST_ENVIRONMENTS)(self._new_environment)

    def html(self, mail: str, locale: Locale, brand: str, values: Mapping[str, Any]) -> str:
        return self._typeset(_as_html, mail, locale, brand, values)

    def text(self, mail: str, locale: Locale, brand: str, values: Mapping[str, Any]) -> str:
        """The mail as text, without the gaps that its conditions leave."""
        return self._typeset(_as_text, mail, locale, brand, values)

    def _typeset(self, typeset: Typeset, mail: str, locale: Locale, brand: str, values: Mapping[str, Any]) -> str:
        """By the brand's files where it has some; what is wrong with them is logged, and nobody waits for a mail."""
        own = slug(brand)
        if own and self._directory and (self._directory / own).is_dir():
            try:
                return typeset(self._environment(own, locale), mail, values)
            except Exception as error:  # whatever the expressions of somebody else's files may raise
                log.error("a brand's template is broken", brand=own, mail=mail, error=type(error).__name__)
        return typeset(self._environment("", locale), mail, values)

    def _new_environment(self, brand: str, locale: Locale) -> Environment:
        places = [self._directory / brand, self._ours] if brand and self._directory else [self._ours]
        environment = Environment(
            loader=FileSystemLoader(places),
            undefined=StrictUndefined,
            autoescape=select_autoescape(enabled_extensions=("mjml",), default=False),
            finalize=_fit_for_xml,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals.update(t=partial(_say, self._words, locale), locale=locale)
        return environment


def _fit_for_xml(value: Any) -> Any:
    """What was kept before texts were judged as they are now may hold what no mail can."""
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _as_html(environment: Environment, mail: str, values: Mapping[str, Any]) -> str:
    return str(mrml.to_html(environment.get_template(f"{mail}.mjml").render(values)).content)


def _as_text(environment: Environment, mail: str, values: Mapping[str, Any]) -> str:
    text = environment.get_template(f"{mail}.txt").render(values)
    return re.sub(r"\n{3,}", "\n\n", re.sub(r"[ \t]+\n", "\n", text)).strip() + "\n"


def slug(brand: str) -> str:
    """The name of a brand's folder: `Klinik & Spa` has its files in `klinik-spa`."""
    return re.sub(r"[^a-z0-9]+", "-", brand.lower()).strip("-")


def _say(words: Words, locale: Locale, msgid: str, **params: Any) -> str:
    return words.say(locale, msgid, params)
