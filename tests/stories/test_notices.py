"""What a booking's turns write into the ledger, and what people see of it at once."""

from __future__ import annotations

from typing import Any

import pytest

from tests.agreement import eventually
from tests.clients import Guest, Therapist, guest, therapist
from tests.house import House

pytestmark = pytest.mark.slow


def notices(client: Any, feed: str) -> list[dict[str, Any]]:
    """Those on a person's own feed: therapists read along in the conversation."""
    shown = [entry for entry in client.entries if entry["type"] == "notification"]
    return [entry["data"] for entry in shown if entry["feed"].startswith(feed)]


def kinds(client: Any) -> list[str]:
    return [notice["kind"] for notice in notices(client, "therapist:" if isinstance(client, Therapist) else "conv")]


async def book(budi: Guest, console: Therapist, **more: Any) -> str:
    await budi.search(**more)
    await console.accept()
    await budi.accept()
    await budi.until_state("active")
    return str((await console.until_booking("active"))["id"])


async def rows(house: House, booking_id: str) -> dict[tuple[str, str], str]:
    """What each row of the ledger has come to, by kind and channel."""
    return {(row.kind, row.channel): row.status for row in await house.services.notifications.of_booking(booking_id)}


async def test_a_confirmed_booking_is_seen_by_both_and_waits_for_the_channels_that_leave_the_house(
    house: House,
) -> None:
    sari = await house.add_therapist()
    async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
        booking_id = await book(budi, console, email="budi@example.com")
        await console.until(lambda: kinds(console) == ["new_booking"], "the therapist's notice")
        await budi.until(lambda: kinds(budi) == ["booking_confirmed"], "the guest's notice")
        [notice] = notices(console, "therapist:")
        assert (notice["sound"], notice["urgency"]) == ("urgent-booking", "urgent")

        async def written() -> None:
            assert await rows(house, booking_id) == {
                ("booking_confirmed", "email"): "pending",
                ("booking_confirmed", "sms"): "pending",
                ("booking_confirmed", "in_app"): "sent",
                ("new_booking", "in_app"): "sent",
                ("new_booking", "push"): "pending",
                ("starts_soon", "push"): "pending",
                ("starts_soon", "in_app"): "pending",
            }

        await eventually(written)


async def test_cancelling_tells_both_and_skips_what_was_still_to_come(house: House) -> None:
    sari = await house.add_therapist()
    async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
        booking_id = await book(budi, console)
        await budi.do("cancel")
        await console.until(lambda: kinds(console) == ["new_booking", "booking_cancelled"], "both notices")
        await budi.until(lambda: kinds(budi) == ["booking_confirmed", "booking_cancelled"], "both notices")

        async def skipped() -> None:
            found = await rows(house, booking_id)
            assert {status for (kind, _), status in found.items() if kind == "starts_soon"} == {"skipped"}
            assert found["booking_cancelled", "sms"] == "pending"
            assert found["new_booking", "push"] == "skipped"

        await eventually(skipped)
