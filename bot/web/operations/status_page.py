"""The status page as HTML: written here, so that it needs neither a script nor anything but what it tells about."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from string import Template
from typing import Any

from aiohttp import web

from bot.web.http.pages import PAGES, page_headers
from bot.words import LOCALES, Words
from conversations.replies import N_
from conversations.values import Locale

PAGE = Template((PAGES / "status/status.html").read_text(encoding="utf-8"))
PART = Template(
    """<li class="status-part" data-part="$name" data-state="$state">
<h2>$label</h2><span class="status-word" data-field="state_text">$state_text</span>
<p data-field="text">$text</p>
</li>"""
)
LANGUAGE = Template("""<a class="$look" href="?locale=$locale" lang="$locale" $current>$name</a>""")


def page_of(view: Mapping[str, Any], words: Words, locale: Locale) -> web.Response:
    """The page of what `/api/status` answers."""
    commit = f" ({view['commit'][:12]})" if view["commit"] else ""
    page = PAGE.substitute(
        _escaped(view),
        locale=locale,
        parts="\n".join(PART.substitute(_escaped(part)) for part in view["parts"]),
        languages=escape(words.say(locale, N_("Language"))),
        locales="".join(_language(each, each == locale) for each in LOCALES),
        version=escape(f"Janji {view['version']}{commit}"),
    )
    headers = {**page_headers("'self'"), "Cache-Control": "no-store"}
    return web.Response(text=page, content_type="text/html", charset="utf-8", headers=headers)


def _language(locale: Locale, is_current: bool) -> str:
    return LANGUAGE.substitute(
        locale=locale,
        name=locale.upper(),
        look="locale locale-current" if is_current else "locale",
        current='aria-current="true"' if is_current else "",
    )


def _escaped(view: Mapping[str, Any]) -> dict[str, str]:
    return {name: escape(str(value)) for name, value in view.items()}
