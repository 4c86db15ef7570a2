"""The story of a booking, in the product's words: two people, one chat, real servers."""

from __future__ import annotations

import pytest

from tests.clients import guest, therapist
from tests.house import House

pytestmark = pytest.mark.slow


async def test_a_guest_books_is_found_a_therapist_accepts_chats_and_the_visit_is_completed(house: House) -> None:
    sari = await house.add_therapist(km=2)
    async with therapist(house.url, house.token_of(sari)) as console, guest(house.url) as budi:
        card = await budi.book()
        assert [each["price_text"] for each in card["durations"]] == ["Rp240.000", "Rp360.000", "Rp480.000"]
        assert budi.lines() == ["checking_availability"]
        await budi.confirm(duration=90)
        searching = await budi.until_state("searching")
        assert searching["countdown"]["attempt"] == 1
        assert searching["countdown"]["max_attempts"] == 5

        offer = await console.until_offer()
        assert offer["guest"] == {"name": "Budi"}
        assert offer["earnings_text"] == "Rp252.000"
        await console.do("accept_offer", offer_id=offer["offer_id"])

        await budi.until_state("choosing")
        proposed = await budi.until_card("therapist")
        assert proposed["therapist"]["name"] == sari.name
        assert budi.standing["header"]["title"] == sari.name
        await budi.accept()
        active = await budi.until_state("active")
        assert active["header"]["locked"] is True
        assert active["countdown"] is None
        assert active["booking"]["status"] == "active"

        booking = await console.until_booking("active")
        assert booking["guest"]["phone"] == "+6281234567890"
        await budi.do("message", text="Blok B, lantai 3 – terima kasih!")
        await console.until(lambda: bool(console.of_type("message")), "the guest's message")
        assert console.of_type("message")[0]["text"] == "Blok B, lantai 3 – terima kasih!"
        await console.do("message", booking_id=booking["id"], text="Baik, saya berangkat.")
        await budi.until(lambda: len(budi.of_type("message")) == 2, "the therapist's message")

        await console.do("progress", booking_id=booking["id"], step="on_the_way")
        await console.do("progress", booking_id=booking["id"], step="delayed", minutes=10)
        await console.do("progress", booking_id=booking["id"], step="arrived")
        await console.do("progress", booking_id=booking["id"], step="completed")
        completed = await budi.until_state("completed")
        assert completed["booking"]["status"] == "completed"
        assert "earnings" not in completed["booking"]
        done = await console.until_booking("completed")
        assert done["earnings"] == {"amount": 25_200_000, "currency": "IDR"}
        asked = await budi.until_card("rating")
        assert asked["therapist"]["name"] == sari.name
        await budi.do("rate", stars=5, comment="Tangan yang tenang.", **asked["actions"][0]["payload"])
        await budi.until(lambda: (budi.card("rating") or {})["stars"] == 5, "the rating")
        assert "Tangan" not in str(console.entries), "what a guest thinks of a visit is not read in its room"
        assert [entry["seq"] for entry in budi.entries] == list(range(1, len(budi.entries) + 1))
        await budi.book()
