"""A booking walked from confirmation to visit: what both are told, when, by which channels and in which words."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import ClientSession

from bot.integrations.incoming import WIZARD, record_id
from bot.runtime.embedded import Servers
from bot.store.notifications import Row
from tests.agreement import eventually
from tests.clients import Client, guest, therapist
from tests.stories.test_webhooks import BOOKING_ID, STRIPE_SECRET, WIZARD_SECRET, Senders, payment
from tests.workers.offices import Providers, providers_of
from tests.workers.walks import EMAIL, HERE, Place, Walk, table, walk_of

# Hours before the visit, what the customer is told then, and what the therapist.
ALL_OF_IT = """
    h  | customer                             | therapist
    30 |                                      | new_offer: push
    30 | booking_confirmed: email sms in_app  | new_booking: in_app push
    24 | reminder_24h: email sms              |
    5  |                                      | reminder_5h: in_app push
    4  |                                      | reminder_4h: in_app push
    3  | reminder_3h: push in_app             | reminder_3h: in_app push
    2  | reminder_2h: sms                     | reminder_2h: in_app push
    1  |                                      | reminder_1h: in_app push
"""
# How pages play each of them.
PLAYED = {
    ("customer", "booking_confirmed"): ("booking-success", "normal"),
    ("customer", "reminder_3h"): ("app-download", "normal"),
    ("therapist", "new_booking"): ("urgent-booking", "urgent"),
    ("therapist", "reminder_5h"): ("reminder-5h", "low"),
    ("therapist", "reminder_4h"): ("reminder-4h", "low"),
    ("therapist", "reminder_3h"): ("reminder-3h", "normal"),
    ("therapist", "reminder_2h"): ("reminder-2h", "high"),
    ("therapist", "reminder_1h"): ("reminder-1h", "urgent"),
}

# Those of Berlin go forward in the night before the visit, and those of New York go back.
PLACES = {
    "WIB": HERE,
    "WITA": Place("Asia/Makassar", "WITA", datetime(2030, 6, 12, 6, tzinfo=UTC), "id", "en", (-5.1477, 119.4327)),
    "WIT": Place("Asia/Jayapura", "WIT", datetime(2030, 6, 12, 5, tzinfo=UTC), "id", "id", (-2.5337, 140.7181)),
    "CEST": Place("Europe/Berlin", "CEST", datetime(2030, 3, 31, 12, tzinfo=UTC), "en", "en", (52.52, 13.405)),
    "EST": Place("America/New_York", "EST", datetime(2030, 11, 3, 19, tzinfo=UTC), "en", "id", (40.7128, -74.006)),
}


@pytest.fixture(scope="module")
def by(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Providers]:
    with providers_of(tmp_path_factory.mktemp("providers")) as providers:
        yield providers


@pytest.mark.parametrize(("clocks", "each_job"), [("WIB", 1), ("WITA", 2), ("WIT", 1), ("CEST", 2), ("EST", 1)])
async def test_all_leaves_once_and_in_time_in_the_words_and_on_the_clocks_of_its_reader(
    servers: Servers, database: str, by: Providers, clocks: str, each_job: int
) -> None:
    place = PLACES[clocks]
    async with walk_of(servers, database, by, place) as walk:
        walk.each_job = each_job
        await walk.book()
        await walk.go_on()
        pages = await walk.pages()
        assert await walk.told() == table(ALL_OF_IT)
        assert len(walk.console.of_type("offer")) == 1, "the page shows an offer by itself"
        assert walk.offers_of_the_app() == [3]
        rows = await walk.rows()
    assert {row.status for row in rows} == {"sent"}
    assert {row.attempts for row in rows if row.channel != "in_app"} == {1}
    dated = [each for each in (*walk.received, *pages) if each.told.kind != "new_offer"]
    assert [each for each in dated if place.hour(each.told.side) not in each.says] == []
    played = {(each.told.side, each.told.kind): (each.entry["sound"], each.entry["urgency"]) for each in pages}
    assert played == PLAYED
    assert visits_of(walk) == [(place.begins_at, 1, "CONFIRMED")]


def visits_of(walk: Walk) -> list[tuple[datetime, int, str]]:
    """What the customer's calendar was told, in order."""
    return [each.visit for each in walk.received if each.visit is not None]


# --- bookings that are made late --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "told"),
    [
        (
            2.5,
            """
            h     | customer                             | therapist
            2.5   |                                      | new_offer: push
            2.5   | booking_confirmed: email sms in_app  | new_booking: in_app push
            2     | reminder_2h: sms                     | reminder_2h: in_app push
            1     |                                      | reminder_1h: in_app push
            """,
        ),
        (
            0.75,
            """
            h     | customer                             | therapist
            0.75  |                                      | new_offer: push
            0.75  | booking_confirmed: email sms in_app  | new_booking: in_app push
            0.25  | starts_soon: push in_app             | starts_soon: in_app push
            """,
        ),
        (
            0.125,
            """
            h     | customer                             | therapist
            0.125 |                                      | new_offer: push
            0.125 | booking_confirmed: email sms in_app  | new_booking: in_app push
            0.125 | starts_soon: push in_app             | starts_soon: in_app push
            """,
        ),
    ],
)
async def test_a_booking_made_late_keeps_what_is_still_ahead_and_one_word_covers_the_last_hour(
    servers: Servers, database: str, by: Providers, hours: float, told: str
) -> None:
    async with walk_of(servers, database, by, hours=hours) as walk:
        await walk.book()
        await walk.go_on()
        assert await walk.told() == table(told)


# --- bookings that change ---------------------------------------------------------------------------------------------


@asynccontextmanager
async def walk_with_senders(servers: Servers, database: str, by: Providers) -> AsyncIterator[tuple[Walk, Senders]]:
    async with (
        walk_of(
            servers, database, by, stripe_webhook_secret=STRIPE_SECRET, booking_wizard_secret=WIZARD_SECRET
        ) as walk,
        ClientSession(walk.house.url) as http,
    ):
        yield walk, Senders(walk.house, http)


async def pay(walk: Walk, senders: Senders, kind: str, payment_id: str, event_id: str) -> None:
    event = payment(kind, event_id, walk.booking_id)
    event["data"]["object"]["id"] = payment_id
    assert await senders.stripe(event) == 200
    await senders.until_worked_off()
    await walk.settled()
    await walk.look()


async def test_a_cancelled_booking_is_told_with_its_money_and_reminds_nobody(
    servers: Servers, database: str, by: Providers
) -> None:
    async with walk_of(servers, database, by) as walk:
        await walk.book()
        await walk.go_on(hours=10)
        await walk.budi.do("cancel")
        await walk.settled()
        await walk.look()
        assert "pending" not in {row.status for row in await walk.rows()}, "nothing waits for its time to be skipped"
        await walk.go_on()
        assert await walk.told() == table(
            """
            h  | customer                             | therapist
            30 |                                      | new_offer: push
            30 | booking_confirmed: email sms in_app  | new_booking: in_app push
            24 | reminder_24h: email sms              |
            10 | booking_cancelled: email sms in_app  | booking_cancelled: in_app push
            """
        )
        pages, rows = await walk.pages(), await walk.rows()
    of_the_end = [each for each in (*walk.received, *pages) if each.told.kind == "booking_cancelled"]
    assert {(each.told.side, "Tidak ada biaya yang ditagih." in each.says) for each in of_the_end} == {
        ("customer", True),
        ("therapist", False),
    }
    assert visits_of(walk) == [(HERE.begins_at, 1, "CONFIRMED"), (HERE.begins_at, 2, "CANCELLED")]
    skipped = {(row.kind, row.reasons[-1].what) for row in rows if row.status == "skipped"}
    assert skipped == {(f"reminder_{hours}h", "cancelled") for hours in range(1, 6)}


async def test_each_payment_is_told_once_with_the_reference_of_its_booking(
    servers: Servers, database: str, by: Providers
) -> None:
    async with walk_with_senders(servers, database, by) as (walk, senders):
        await walk.book()
        await walk.go_on(hours=28)
        await pay(walk, senders, "payment_failed", "pi_1", "evt_1")
        await pay(walk, senders, "payment_failed", "pi_1", "evt_2")
        await pay(walk, senders, "payment_failed", "pi_2", "evt_3")
        await walk.go_on(hours=27)
        for event_id in ("evt_4", "evt_5"):
            await pay(walk, senders, "succeeded", "pi_3", event_id)
        assert await walk.told() == table(
            """
            h  | customer                             | therapist
            30 |                                      | new_offer: push
            30 | booking_confirmed: email sms in_app  | new_booking: in_app push
            28 | payment_failed: email sms in_app     | payment_failed: in_app
            28 | payment_failed: email sms in_app     | payment_failed: in_app
            27 | payment_confirmed: email in_app      | payment_confirmed: in_app
            """
        )
        pages = await walk.pages()
        reference = walk.booking_id.removeprefix("b_")[:8].upper()
    of_money = [each for each in (*walk.received, *pages) if each.told.kind.startswith("payment_")]
    assert [each for each in of_money if reference not in each.says] == []
    [receipt] = [each for each in of_money if each.told.kind == "payment_confirmed" and each.mail]
    assert "Rp240.000" in receipt.says


async def test_a_booking_that_is_moved_drops_its_reminders_for_new_ones_and_a_refund_is_said(
    servers: Servers, database: str, by: Providers
) -> None:
    """It is kept by another system, which tells its customer alone through us."""
    before = HERE.begins_at - timedelta(hours=4)
    news: dict[str, Any] = {"customer_email": EMAIL, "locale": "id", "timezone": HERE.zone, "currency": "IDR"}
    now: dict[str, Any] = {**news, "appointment_date": HERE.begins_at.isoformat(), "total_price": 240_000.0}
    async with walk_with_senders(servers, database, by) as (walk, senders):
        walk.booking_id = record_id(WIZARD, BOOKING_ID)

        async def tell(kind: str, revision: int, said: dict[str, Any]) -> None:
            assert await senders.wizard(f"m{revision}", kind, revision, **said) == 200
            await senders.until_worked_off()
            await walk.look()

        await tell("booking.created", 1, {**now, "appointment_date": before.isoformat()})
        await walk.go_on(hours=29)
        await tell("booking.updated", 2, now)
        await walk.go_on(hours=1)
        await tell("booking.cancelled", 3, {**now, "refund_amount": 100_000.0})
        await walk.go_on()
        assert await walk.told() == table(
            """
            h  | customer                      | therapist
            30 | booking_confirmed: email sms  |
            29 | booking_moved: email sms      |
            24 | reminder_24h: email sms       |
            2  | reminder_2h: sms              |
            1  | booking_cancelled: email sms  |
            """
        )
        rows = await walk.rows()
    skipped = {(row.revision, row.kind, row.channel): row.reasons[-1].what for row in rows if row.status == "skipped"}
    assert skipped == dict.fromkeys(
        [(1, "reminder_24h", "email"), (1, "reminder_24h", "sms"), (1, "reminder_2h", "sms")], "moved"
    )
    assert visits_of(walk) == [
        (before, 1, "CONFIRMED"),
        (HERE.begins_at, 2, "CONFIRMED"),
        (HERE.begins_at, 3, "CANCELLED"),
    ]
    of_the_end = [each for each in walk.received if each.told.kind == "booking_cancelled"]
    settled = "Rp100.000 akan dikembalikan; Rp140.000 tidak dapat dikembalikan."
    assert [settled in each.says for each in of_the_end] == [True, True]


# --- messages that wait -----------------------------------------------------------------------------------------------


async def say_at(walk: Walk, hours: float, speaker: Client, **said: Any) -> int:
    """Somebody writes, and is not read for the two minutes that end so many hours before the visit."""
    waiting = len(await waiting_rows(walk))
    walk.clock.at = walk.place.begins_at - timedelta(hours=hours, minutes=2)
    ack = await speaker.do("message", **said)
    walk.clock.at += timedelta(minutes=2)

    async def is_noticed() -> None:
        """As soon as the house knows that the reader has gone."""
        await walk.house.services.unread.once()
        assert len(await waiting_rows(walk)) > waiting

    await eventually(is_noticed)
    for _ in range(2):  # what a push does not reach is a short message at the next look
        await walk.look()
    return int(ack["seq"])


async def waiting_rows(walk: Walk) -> list[Row]:
    return [row for row in await walk.rows() if (row.kind, row.instead_of) == ("message_waiting", None)]


async def test_a_message_that_nobody_reads_for_two_minutes_finds_its_reader_elsewhere(
    servers: Servers, database: str, by: Providers
) -> None:
    """Without a device by SMS, and of those one is paid for within an hour."""
    async with walk_of(servers, database, by) as walk:
        await walk.book()
        before, house = len(walk.received), walk.house
        await walk.console.close()
        await say_at(walk, 28, walk.budi, text="Halo?")
        await walk.budi.close()
        async with therapist(house.url, house.token_of(walk.sari)) as console:
            for hours in (27, 26.25, 25.75, 25.25):
                seq = await say_at(walk, hours, console, booking_id=walk.booking_id, text="Saya segera datang")
                async with guest(house.url, token=walk.budi.token, locale=HERE.guest, timezone=HERE.zone) as back:
                    await back.signal("read", seq=seq)
                for device in await house.services.devices.of(walk.guest_id):
                    await house.services.devices.remove(device.id)
    assert Counter(each.told for each in walk.received[before:]) == table(
        """
        h     | customer               | therapist
        28    |                        | message_waiting: push
        27    | message_waiting: push  |
        26.25 | message_waiting: sms   |
        25.25 | message_waiting: sms   |
        """
    )
