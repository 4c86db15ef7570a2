"""`/unsubscribe`: asks who opens the link in a mail, and does what a mail program or a person says with one POST."""

from __future__ import annotations

from html import escape
from string import Template

from aiohttp import web

from bot.notifications.unsubscribing import PATH
from bot.web.http.exchange import SERVICES, locale_of
from bot.web.http.pages import PAGES, page_headers
from conversations.replies import N_

PAGE = Template((PAGES / "unsubscribe/unsubscribe.html").read_text(encoding="utf-8"))
BUTTON = Template("""<form method="post"><button class="btn btn-primary" type="submit">$label</button></form>""")

ASKED = (
    N_("Do you want no more of these mails?"),
    N_("What a visit needs, such as its confirmation, still comes."),
)
DONE = (
    N_("You are unsubscribed"),
    N_("You will get no more mails but those that a visit needs, such as its confirmation."),
)
WRONG = (
    N_("This link can't be used"),
    N_("Please use the whole link from one of our mails."),
)


async def ask(request: web.Request) -> web.Response:
    """Programs that look at every link in a mail open this: nothing happens before somebody presses the button."""
    if _address_of(request) is None:
        return _page(request, WRONG, status=404)
    label = request.app[SERVICES].words.say(locale_of(request), N_("Unsubscribe"))
    return _page(request, ASKED, BUTTON.substitute(label=escape(label)))


async def unsubscribe(request: web.Request) -> web.Response:
    """Once more changes nothing."""
    services, address = request.app[SERVICES], _address_of(request)
    if address is None:
        return _page(request, WRONG, status=404)
    await services.preferences.switch_off(address, "email", services.clock.now())
    return _page(request, DONE)


def _address_of(request: web.Request) -> str | None:
    return request.app[SERVICES].unsubscribing.read(request.query.get("t", ""))


def _page(request: web.Request, said: tuple[str, str], action: str = "", *, status: int = 200) -> web.Response:
    services, locale = request.app[SERVICES], locale_of(request)
    title, text = (escape(services.words.say(locale, each)) for each in said)
    brand = escape(services.settings.brand)
    page = PAGE.substitute(locale=locale, brand=brand, title=title, text=text, action=action)
    # The address of this page must be nobody else's: it is not told to whom a link leads, and not kept.
    headers = {**page_headers("'none'"), "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return web.Response(text=page, status=status, content_type="text/html", charset="utf-8", headers=headers)


ROUTES = [web.get(PATH, ask), web.post(PATH, unsubscribe)]
