"""Where the sender of an example stands: people brought there by the commands of the contract themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bot.contract import story
from bot.contract.examples import Scene
from bot.identity import Audience
from bot.store.kinds import CONVERSATION, SEARCH
from conversations import events as on
from matching import events as found
from tests.clients import Client, Guest, Therapist, client_id, guest, therapist
from tests.house import House

GUEST_SCENES: tuple[Scene, ...] = (
    "idle",
    "confirming",
    "searching",
    "choosing",
    "active",
    "no_therapist",
    "completed",
)


@dataclass(slots=True)
class Sender:
    """Who sends an example, and what the story's ids and numbers are called here."""

    audience: Audience
    client: Client
    token: str
    known: dict[str, Any] = field(default_factory=dict)
    revision: Callable[[], int] = lambda: 0

    def present(self, payload: Any) -> Any:
        """The payload with the ids of this moment; what is wrong in it stays wrong."""
        told = {name: self._present(name, value) for name, value in payload.items()}
        return {**told, "client_id": client_id()} if isinstance(told.get("client_id"), str) else told

    def _present(self, name: str, value: Any) -> Any:
        if name == "revision" and isinstance(value, int) and value > 0:
            return self.revision()
        return self.known.get(value, value) if isinstance(value, str) else value


@asynccontextmanager
async def scene(house: House, name: str) -> AsyncIterator[Sender]:
    """A sender who stands there, and nobody else on the stage."""
    async with AsyncExitStack() as stage:
        record = await house.add_therapist()
        token = house.token_of(record)
        console = await stage.enter_async_context(therapist(house.url, token))
        budi = await stage.enter_async_context(guest(house.url))
        known = await _play(name, budi, console)
        known[story.THERAPIST_ID] = record.id
        if name in GUEST_SCENES:
            sender = Sender("guest", budi, budi.token, known, lambda: budi.revision)
        else:
            sender = Sender("therapist", console, token, known)
        yield sender
        # Nobody who leaves the stage asks or is asked in the next scene; who was forgotten in it has no line left.
        await _leave(house, budi.session["conversation_id"])
        await house.services.therapists.set_available(record.id, False)


async def _leave(house: House, conversation_id: str) -> None:
    """End what the guest asked for, and its search: left to itself it ends later, when others are on the stage."""
    who, turns = f"guest:{conversation_id}", house.services.turns
    stored = await house.services.conversations.load(conversation_id)
    await turns.take(CONVERSATION, conversation_id, on.Cancelled("guest"), by=who)
    if stored and stored.record.search_id:
        await turns.take(SEARCH, stored.record.search_id, found.SearchCancelled("guest"), by=who)


async def _play(name: str, budi: Guest, console: Therapist) -> dict[str, Any]:
    if name in ("idle", "free"):
        return {}
    await budi.book()
    if name == "confirming":
        return {}
    await budi.confirm()
    offer = await console.until_offer()
    known: dict[str, Any] = {story.OFFER_ID: offer["offer_id"]}
    if name in ("searching", "asked"):
        return known
    await console.do("accept_offer", offer_id=offer["offer_id"])
    card = await budi.until_card("therapist")
    known[story.OFFER_ID] = card["offer_id"]
    if name == "choosing":
        return known
    await budi.accept()
    booking = await console.until_booking("active")
    known[story.BOOKING_ID] = booking["id"]
    await budi.until_state("active")
    endings: Mapping[str, tuple[str, dict[str, Any]]] = {
        "no_therapist": ("cancel_booking", {"reason": "The road is closed."}),
        "completed": ("progress", {"step": "completed"}),
    }
    if name in endings:
        command, payload = endings[name]
        await console.do(command, booking_id=booking["id"], **payload)
        await budi.until_state(name)
    return known
