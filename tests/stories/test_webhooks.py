"""Webhooks come twice, late, early and out of order, and from people who only pretend: each is taken for what it is."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientSession
from standardwebhooks import Webhook

from bot.integrations.delivery_desk import PREFIX
from bot.integrations.inbox import WAITED_FOR
from bot.integrations.incoming import WIZARD, record_id
from bot.runtime.embedded import Servers
from bot.services import Services
from bot.store.inbox import LEASE
from conversations.external_booking import ExternalBooking, Status
from conversations.money.amounts import Money
from tests.clients import PATIENCE_S, guest, therapist
from tests.house import House, house_of, settings_for
from tests.stories.test_booking_notifications import NEWS, integrator_of

pytestmark = pytest.mark.slow

STRIPE_SECRET = "whsec_test_of_a_secret_of_stripe"
WIZARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BOOKING_ID = NEWS["booking_id"]


@pytest.fixture
async def house(servers: Servers, database: str) -> AsyncIterator[House]:
    secrets = {"stripe_webhook_secret": STRIPE_SECRET, "booking_wizard_secret": WIZARD_SECRET, "sweep_s": 60.0}
    async with house_of(settings_for(servers, database, **secrets)) as running:
        yield running


async def worked_off(services: Services) -> None:
    """Until what was begun with the answers has come to its end."""
    await asyncio.gather(*(task for task in services.background._tasks if "work_off" in repr(task.get_coro())))


@dataclass(slots=True)
class Senders:
    """Stripe and the booking wizard, who sign what they send."""

    house: House
    http: ClientSession

    async def stripe(self, event: Any, *, signed: Any = None) -> int:
        body = json.dumps(event).encode()
        at = int(self.house.services.clock.now().timestamp())
        signed_body = body if signed is None else json.dumps(signed).encode()
        made = hmac.new(STRIPE_SECRET.encode(), b"%d.%s" % (at, signed_body), hashlib.sha256).hexdigest()
        return await self._post("stripe", body, {"Stripe-Signature": f"t={at},v1={made}"})

    async def wizard(self, event_id: str, kind: str, revision: int | None, **more: Any) -> int:
        data = {**NEWS, **more} | ({"revision": revision} if revision else {})
        body = json.dumps({"type": kind, "data": data})
        now = self.house.services.clock.now()
        headers = {
            "webhook-id": event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(WIZARD_SECRET).sign(event_id, now, body),
        }
        return await self._post("booking-wizard", body.encode(), headers)

    async def _post(self, sender: str, body: bytes, headers: Mapping[str, str]) -> int:
        async with self.http.post(f"{PREFIX}/webhooks/{sender}", data=body, headers=headers) as response:
            await response.read()
            return response.status

    async def kept(self) -> list[dict[str, Any]]:
        return [each async for each in self.house.services.database["inbox"].find({}).sort("received_at", 1)]

    async def until_worked_off(self) -> None:
        """Until what was begun with the answers has come to its end, effects included."""
        services = self.house.services
        await worked_off(services)
        booking_id = record_id(WIZARD, BOOKING_ID)
        await services.outboxes.settled("external_booking", booking_id, PATIENCE_S)

    async def booking(self) -> ExternalBooking | None:
        stored = await self.house.services.external_bookings.load(record_id(WIZARD, BOOKING_ID))
        return stored.record if stored else None


def payment(kind: str = "succeeded", event_id: str = "evt_1", booking_id: Any = BOOKING_ID, **more: Any) -> Any:
    """A PaymentIntent's event, as much of it as a program looks at, and something personal besides."""
    intent = {
        "id": "pi_1",
        "object": "payment_intent",
        "amount": 2500,
        "amount_received": 2500 if kind == "succeeded" else 0,
        "currency": "usd",
        "metadata": {} if booking_id is None else {"booking_id": booking_id},
        "receipt_email": "secret@example.com",
        "last_payment_error": {"code": "card_declined"} if kind != "succeeded" else None,
    }
    return {
        "id": event_id,
        "object": "event",
        "type": f"payment_intent.{kind}",
        "created": 1_796_000_000,
        "data": {"object": intent},
        **more,
    }


@pytest.fixture
async def senders(house: House) -> AsyncIterator[Senders]:
    async with ClientSession(house.url) as http:
        yield Senders(house, http)


async def until_state(senders: Senders, state: Status) -> ExternalBooking:
    await senders.until_worked_off()
    booking = await senders.booking()
    assert booking is not None
    assert booking.state is state
    return booking


# --- the booking wizard -----------------------------------------------------------------------------------------------


async def test_a_booking_of_the_wizard_is_taken_in_moved_and_cancelled(senders: Senders) -> None:
    assert await senders.wizard("m1", "booking.created", 1) == 200
    booking = await until_state(senders, Status.CONFIRMED)
    assert (booking.told, booking.revision, booking.reference) == (1, 1, BOOKING_ID)
    assert await senders.wizard("m2", "booking.updated", 2, appointment_date="2099-12-02T10:00:00Z") == 200
    assert (await until_state(senders, Status.CONFIRMED)).revision == 2
    assert await senders.wizard("m3", "booking.cancelled", 3, reason="ill") == 200
    assert (await until_state(senders, Status.CANCELLED)).cancel_reason == "ill"
    ledger = senders.house.services.database["notifications"]
    assert set(await ledger.distinct("kind", {"status": "pending"})) == {"booking_cancelled"}


async def test_what_comes_twice_is_taken_once(senders: Senders) -> None:
    for _ in range(3):
        assert await senders.wizard("m1", "booking.created", 1) == 200
    await until_state(senders, Status.CONFIRMED)
    [kept] = await senders.kept()
    assert (kept["_id"], kept["status"], kept["attempts"]) == ("booking-wizard:m1", "done", 1)
    assert "body" not in kept, "what it said is needed no more"
    booking = await senders.booking()
    assert booking is not None
    assert booking.version == 1


async def test_what_comes_out_of_order_ends_where_it_should(senders: Senders) -> None:
    assert await senders.wizard("m3", "booking.cancelled", 3) == 200
    await until_state(senders, Status.CANCELLED)
    assert await senders.wizard("m1", "booking.created", 1) == 200
    assert await senders.wizard("m2", "booking.updated", 2, appointment_date="2099-12-02T10:00:00Z") == 200
    await until_state(senders, Status.CANCELLED)


@pytest.mark.parametrize(
    ("kind", "revision", "more"),
    [("booking.created", None, {}), ("booking.burnt", 1, {}), ("booking.created", 1, {"appointment_duration": 0})],
)
async def test_what_makes_no_sense_is_said_to_its_sender_and_not_kept(
    senders: Senders, kind: str, revision: int | None, more: dict[str, Any]
) -> None:
    assert await senders.wizard("m1", kind, revision, **more) == 422
    assert await senders.kept() == []


# --- Stripe -----------------------------------------------------------------------------------------------------------


async def test_a_payment_reaches_its_booking(senders: Senders) -> None:
    await senders.wizard("m1", "booking.created", 1)
    await senders.until_worked_off()
    assert await senders.stripe(payment("payment_failed", "evt_1")) == 200
    await senders.until_worked_off()
    booking = await senders.booking()
    assert booking is not None
    assert booking.payment is not None
    assert booking.payment.state == "failed"
    assert await senders.stripe(payment("succeeded", "evt_2")) == 200
    await senders.until_worked_off()
    booking = await senders.booking()
    assert booking is not None
    assert booking.payment is not None
    assert (booking.payment.state, booking.payment.money) == ("paid", Money(2500, "USD"))


async def test_a_payment_reaches_a_booking_of_our_own_once(senders: Senders) -> None:
    house = senders.house
    record = await house.add_therapist()
    async with guest(house.url) as budi, therapist(house.url, house.token_of(record)) as console:
        await budi.book()
        await budi.confirm()
        await console.do("accept_offer", offer_id=(await console.until_offer())["offer_id"])
        await budi.until_card("therapist")
        await budi.accept()
        booking_id = (await console.until_booking("active"))["id"]
        for number, kind in enumerate(("payment_failed", "succeeded", "succeeded", "payment_failed")):
            assert await senders.stripe(payment(kind, f"evt_{number}", booking_id)) == 200
            await senders.until_worked_off()
            await house.services.outboxes.settled("booking", booking_id, PATIENCE_S)
    stored = await house.services.bookings.load(booking_id)
    assert stored is not None
    assert (stored.record.paid, stored.record.payments) == (Money(2500, "USD"), ("failed:pi_1", "pi_1"))
    rows = await house.services.notifications.of_booking(booking_id)
    told = [(row.kind, row.status) for row in rows if row.channel == "in_app" and row.side == "customer"]
    assert {("payment_failed", "sent"), ("payment_confirmed", "sent")} <= set(told)
    assert {each["status"] for each in await senders.kept()} == {"done"}


async def test_a_payment_of_a_booking_of_ours_that_nobody_knows_yet_waits(senders: Senders) -> None:
    assert await senders.stripe(payment(booking_id=f"b_{'0' * 24}")) == 200
    await senders.until_worked_off()
    assert [(each["status"], each["why"]) for each in await senders.kept()] == [("pending", "too_early")]


async def test_a_payment_that_comes_before_its_booking_waits_for_it(senders: Senders) -> None:
    services = senders.house.services
    assert await senders.stripe(payment()) == 200
    await senders.until_worked_off()
    [kept] = await senders.kept()
    assert (kept["status"], kept["why"]) == ("pending", "too_early")
    assert "secret@example.com" not in str(kept), "what we need not know is not kept"
    await senders.wizard("m1", "booking.created", 1)
    await senders.until_worked_off()
    await services.database["inbox"].update_many({"status": "pending"}, {"$set": {"next_at": services.clock.now()}})
    await services.inbox_work.once()
    booking = await senders.booking()
    assert booking is not None
    assert booking.payment is not None
    assert {each["status"] for each in await senders.kept()} == {"done"}


async def test_a_payment_whose_booking_never_comes_is_given_up_after_days_and_can_be_looked_at(
    senders: Senders,
) -> None:
    services = senders.house.services
    await senders.stripe(payment())
    await senders.until_worked_off()
    long_ago = services.clock.now() - WAITED_FOR
    inbox = services.database["inbox"]
    await inbox.update_many({}, {"$set": {"received_at": long_ago, "next_at": services.clock.now()}})
    await services.inbox_work.once()
    [kept] = await senders.kept()
    assert (kept["status"], kept["why"]) == ("dead", "too_early")
    assert kept["body"]["booking_id"] == BOOKING_ID


async def test_a_payment_of_two_systems_with_the_same_id_is_nobodys(senders: Senders) -> None:
    shop = await integrator_of(senders.house, senders.http, "notifications:send")
    await shop.tell("booking-confirmed")
    await senders.wizard("m1", "booking.created", 1)
    await senders.until_worked_off()
    await senders.stripe(payment())
    await senders.until_worked_off()
    assert ("dead", "ambiguous") in {(each["status"], each.get("why")) for each in await senders.kept()}
    ours = (await senders.booking()).id  # type: ignore[union-attr]
    await senders.stripe(payment(event_id="evt_2", booking_id=ours))
    await senders.until_worked_off()
    assert (await senders.booking()).payment is not None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "event",
    [
        payment(booking_id=None),
        payment(booking_id=7),
        {**payment(), "type": "charge.refunded"},
        {**payment(), "data": None},
        {**payment(), "created": None},
        [],
        "text",
    ],
    ids=range(7),
)
async def test_what_is_none_of_our_business_is_answered_and_left(senders: Senders, event: Any) -> None:
    assert await senders.stripe(event) == 200
    assert await senders.kept() == []


@pytest.mark.parametrize("event_id", [None, "", "x" * 201, 7, "a\nb"])
async def test_an_event_without_an_id_cannot_be_kept(senders: Senders, event_id: Any) -> None:
    assert await senders.stripe(payment(event_id=event_id)) == 422
    assert await senders.kept() == []


# --- strangers, and a house that dies ---------------------------------------------------------------------------------


async def test_what_is_not_signed_right_leaves_nothing_but_a_count(senders: Senders) -> None:
    assert await senders.stripe(payment(), signed=payment(booking_id="another")) == 403
    for sender in ("stripe", "booking-wizard"):
        assert await senders._post(sender, b"{}", {}) == 403
        assert await senders._post(sender, b"\xff", {"Stripe-Signature": "t=1,v1=\xff"}) == 403
    assert await senders.kept() == []
    assert senders.house.services.unsigned_webhooks == {"stripe": 3, "booking-wizard": 2}


async def test_without_a_secret_there_are_no_webhooks(servers: Servers, database: str) -> None:
    async with house_of(settings_for(servers, database)) as house, ClientSession(house.url) as http:
        senders = Senders(house, http)
        assert await senders.stripe(payment()) == 404
        assert await senders.wizard("m1", "booking.created", 1) == 404
        assert await senders.kept() == []


async def test_who_dies_over_an_event_leaves_it_to_the_sweep(senders: Senders, monkeypatch: pytest.MonkeyPatch) -> None:
    services = senders.house.services
    inbox = services.inbox
    event_id = await inbox.keep("stripe", "evt_1", "x", {}, services.clock.now())
    assert event_id is not None
    now = services.clock.now()
    assert await inbox.claim(event_id, now) is not None, "and nothing more is heard of who claimed it"
    assert await inbox.claim(event_id, now) is None
    assert await inbox.due(now) == []
    assert await inbox.due(now + LEASE) == [event_id]
    again = await inbox.claim(event_id, now + LEASE + timedelta(seconds=1))
    assert again is not None
    assert again.attempts == 2
