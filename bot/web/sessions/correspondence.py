"""What somebody who comes in is told of the other side of their visit, and of receipts and what is unread."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from bot.identity import Audience, conversation_of, other_side
from bot.live.presence import NOTHING_SEEN, Sight
from bot.live.receipts import Tail
from bot.live.signals import LiveVisit, live_visit_of
from bot.services import Motion
from bot.store.tickets import Bearer
from bot.web.http.bearers import Stretch
from conversations.conversation import state_on_screen


async def correspondence(
    services: Motion,
    conversation_id: str,
    side: Audience,
    visit: LiveVisit | None,
    *,
    first: int = 1,
    tail: Tail | None = None,
) -> tuple[dict[str, Any], Sight]:
    """The fields of the snapshot, and the sight they were made of.

    Presence and typing are said in the words of their signals, and are None where no visit is on; presence also where
    nobody can say. `first` is the entry from which on this side may read, `tail` what is known of the last ones.
    """
    standing, sight = await asyncio.gather(
        services.receipts.standing(conversation_id, side, first=first, tail=tail), _sight(services, visit, side)
    )
    other = other_side(side)
    own = services.signals.delivered_to(conversation_id, side) if visit else 0
    delivered = {side: own, other: sight.delivered}
    fields: dict[str, Any] = {
        # Who has read something has got it, also where nobody remembers that.
        "receipts": {by: {"delivered": max(delivered[by], read), "read": read} for by, read in standing.read.items()},
        "unread": standing.unread,
        "typing": {"by": other, "on": sight.is_typing} if visit else None,
        "presence": {other: sight.presence} if sight.presence else None,
    }
    return fields, sight


async def visits_of(services: Motion, bearer: Bearer, stretch: Stretch) -> dict[LiveVisit, Sight]:
    """The visit that is on in this stretch, if there is one, and what there is to be seen of its other side."""
    visit: LiveVisit | None = None
    if bearer.audience == "guest":
        stored = await services.conversations.load(bearer.subject)
        visit = live_visit_of(bearer.subject, asdict(state_on_screen(stored.record))) if stored else None
    elif bearer.audience == "therapist" and stretch.booking_id is not None and stretch.last is None:
        visit = LiveVisit(conversation_of(stretch.feed), stretch.booking_id, bearer.subject)
    return {visit: await services.signals.sight(visit, bearer.audience)} if visit is not None else {}


async def _sight(services: Motion, visit: LiveVisit | None, side: Audience) -> Sight:
    return await services.signals.sight(visit, side) if visit is not None else NOTHING_SEEN
