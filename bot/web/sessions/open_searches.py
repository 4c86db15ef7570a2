"""Whether another search may begin: false ones would hold every therapist, and send some to where nobody is.

It is counted in the database itself: a Redis that is away opens no door.
"""

from __future__ import annotations

import hashlib
from ipaddress import ip_address

from bot.access.limits import network_of
from bot.errors import Refusal
from bot.services import Services
from conversations.replies import N_, REFUSALS

AGAIN_AFTER_S = 60.0


async def check_open_searches(services: Services, conversation_id: str, phone: str, address: str) -> None:
    """Raises `already_live` for a number that searches or is visited, `too_many_requests` for a network with enough.

    In a demonstration everybody has the same number.
    """
    settings, now = services.settings, services.clock.now()
    if settings.demo:
        return
    if settings.open_per_phone:
        key = _key(services, "phone", phone)
        if not await services.open_searches.take(key, settings.open_per_phone, conversation_id, now):
            fields = {"phone": N_("already has a booking under way")}
            raise Refusal("already_live", REFUSALS["already_live"], fields=fields)
    if settings.open_per_network and _is_public(address):
        key = _key(services, "network", network_of(address))
        if not await services.open_searches.take(key, settings.open_per_network, conversation_id, now):
            raise Refusal("too_many_requests", TOO_MANY, retry_after_s=AGAIN_AFTER_S)


TOO_MANY = N_("Several bookings are under way from this network. Please try again when one of them is over.")


def _key(services: Services, kind: str, value: str) -> str:
    """Nobody who sees the collection learns a number or an address."""
    secret = services.settings.secret.encode()[: hashlib.blake2b.MAX_KEY_SIZE]
    return f"{kind}:{hashlib.blake2b(value.encode(), key=secret, digest_size=12, person=b'open').hexdigest()}"


def _is_public(address: str) -> bool:
    """An address of a house or of a router before us is no stranger's: it would be everybody's."""
    try:
        return ip_address(address).is_global
    except ValueError:
        return False
