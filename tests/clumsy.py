"""A web process whose handlers fail in the most talkative way: with everything they were given, in their message.

`python -m tests.clumsy` serves like `python -m bot`. A booking comes about in it; after that messages, cancelling,
signing in, streams, tickets and coming again with a token fail.
"""

from __future__ import annotations

from typing import Any, NoReturn

import bot.services
import bot.web.http.bearers
import bot.web.sessions.guest
import bot.web.sessions.therapist
import bot.web.streams.reading
from bot.access.admission import Access, Renewed
from bot.app import serve
from bot.logs.setup import configure
from bot.settings.loading import load_settings
from bot.store.kinds import CONVERSATION
from bot.store.therapists import Therapists
from bot.web.http.sign_in import SigningIn
from conversations import events as on
from conversations import machine
from conversations.conversation import Conversation, Decision


def blurt(*given: Any, **named: Any) -> NoReturn:
    raise ValueError(f"{given!r} {named!r}")


class ClumsyAccess(Access):
    async def renew(self, token: str | None) -> Renewed | None:
        return blurt(token) if token else await super().renew(token)


def decide(conversation: Conversation, event: on.Event, now: Any) -> Decision:
    return blurt(conversation, event) if isinstance(event, on.Cancelled) else DECIDE(conversation, event, now)


DECIDE = machine.decide


def main() -> int:
    object.__setattr__(CONVERSATION, "decide", decide)
    bot.services.Access = ClumsyAccess  # type: ignore[misc]
    for module in (bot.web.sessions.guest, bot.web.sessions.therapist):
        module.post_message = blurt
    bot.web.streams.reading.encode_entry = bot.web.streams.reading.render_entry = blurt
    bot.web.http.bearers._hash = blurt
    SigningIn.confirm = Therapists.nearest = blurt  # type: ignore[method-assign]
    settings = load_settings()
    configure(settings)
    serve(settings)
    return 0


if __name__ == "__main__":
    main()
