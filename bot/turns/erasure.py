"""Erases a guest: what was personal goes from records, feeds and memories, what happened and what it cost stays.

It is an effect of the conversation: performed at least once, by whichever process comes to it, and again a minute
later. Everything in it can be done twice. Where personal data stands is said in `docs/decisions/0009-erasure.md`.
"""

from __future__ import annotations

from bot.access.admission import Access
from bot.identity import key_of
from bot.store.devices import Devices
from bot.store.kinds import BOOKING, SEARCH
from bot.store.preferences import PreferencesStore
from bot.store.records import Records
from bot.store.redactions import Redactions
from bot.turns.turns import Take
from conversations.booking import Booking, GuestErased
from conversations.conversation import Conversation
from matching import events as found
from matching.records import Search


class Erasure:
    """`await erasure(take, conversation_id, feed)`: the conversation itself forgot its guest in the turn before."""

    def __init__(
        self,
        conversations: Records[Conversation],
        bookings: Records[Booking],
        searches: Records[Search],
        redactions: Redactions,
        devices: Devices,
        preferences: PreferencesStore,
        access: Access,
    ) -> None:
        self._conversations = conversations
        self._bookings = bookings
        self._searches = searches
        self._redactions = redactions
        self._devices = devices
        self._preferences = preferences
        self._access = access

    async def __call__(self, take: Take, conversation_id: str, feed: str) -> None:
        booking_ids = await self._bookings.of_conversation(conversation_id)
        for booking_id in booking_ids:
            await take(BOOKING, booking_id, GuestErased(), by="conversation")
        search_ids = await self._searches.of_conversation(conversation_id)
        for search_id in search_ids:
            await take(SEARCH, search_id, found.GuestErased(), by="conversation")
        await self._conversations.forget_answers(conversation_id)
        await self._devices.remove_of(key_of("guest", conversation_id))
        await self._preferences.forget(key_of("guest", conversation_id))
        changed = await self._redactions.redact(feed, [conversation_id, *search_ids, *booking_ids])
        await self._access.tell_changed("guest", conversation_id, changed)
