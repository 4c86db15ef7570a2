"""Other systems tell of their bookings over HTTP: who may, what is planned, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import ClientSession

from bot.integrations.delivery_desk import PREFIX, PROVIDERS
from bot.runtime.embedded import Servers
from bot.schemas.views import moment
from bot.store.api_keys import SCOPES, Scope
from bot.store.breakers import Breakers
from bot.store.idempotency import ANSWERS_LIVE, Idempotency
from conversations.booking import Status
from conversations.notices import why_not
from tests.clients import guest, therapist
from tests.house import House, house_of, settings_for

pytestmark = pytest.mark.slow

SEED: Mapping[str, Any] = {
    "booking_id": "3f2b8c0d-4e1a-4957-9b8d-2f4a6c1e3075",
    "customer_name": "Budi Santoso",
    "customer_phone": "+1234567890",
    "barbershop_name": "Fade Street",
    "barber_name": "Sam",
    "service_name": "Haircut",
    "appointment_date": "2099-12-01T10:00:00Z",
    "appointment_duration": 60,
    "total_price": 25.00,
    "booking_status": "confirmed",
}
NEWS: Mapping[str, Any] = {**SEED, "customer_phone": "+6281234567890", "customer_email": "budi@example.com"}
TRIGGERS = (
    "booking-confirmed",
    "payment-confirmed",
    "booking-cancelled",
    "payment-failed",
    "appointment-reminders/schedule",
)
# Every route, what it asks for, and what a key of that scope is answered for things that are not there.
ROUTES: tuple[tuple[str, str, Scope, int], ...] = (
    *(("POST", trigger, "notifications:send", 200) for trigger in TRIGGERS),
    ("GET", "notifications/pending", "notifications:read", 200),
    ("GET", "notifications/dead", "notifications:read", 200),
    ("GET", "notifications/n_1/status", "notifications:read", 404),
    ("GET", "health", "notifications:read", 200),
    ("POST", "notifications/n_1/retry", "notifications:manage", 404),
    ("POST", "notifications/n_1/discard", "notifications:manage", 404),
)


@dataclass(slots=True)
class Integrator:
    """Another system with a key of its own."""

    house: House
    http: ClientSession
    key: str

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
        sent = {
            "Authorization": f"Bearer {self.key}",
            **{name.replace("_", "-"): each for name, each in headers.items()},
        }
        async with self.http.request(method, f"{PREFIX}/{path}", json=body, headers=sent) as response:
            return response.status, await response.json()

    async def tell(self, what: str, **more: Any) -> dict[str, Any]:
        status, answer = await self.ask("POST", what, {**NEWS, **more})
        assert status == 200, answer
        return answer

    async def refused(self, what: str, **more: Any) -> dict[str, Any]:
        status, answer = await self.ask("POST", what, {**NEWS, **more})
        assert status == 422, answer
        fields: dict[str, Any] = answer["error"]["fields"]
        return fields


async def integrator_of(house: House, http: ClientSession, *scopes: Scope, name: str = "shop") -> Integrator:
    _, text = await house.services.api_keys.issue(name, scopes, house.services.clock.now())
    return Integrator(house, http, text)


@pytest.fixture
async def http(house: House) -> AsyncIterator[ClientSession]:
    async with ClientSession(house.url, headers={"Accept-Language": "en"}) as session:
        yield session


@pytest.fixture
async def shop(house: House, http: ClientSession) -> Integrator:
    return await integrator_of(house, http, *SCOPES)


def told(answer: Mapping[str, Any]) -> set[tuple[str, str, str]]:
    return {(each["kind"], each["channel"], each["status"]) for each in answer["notifications"]}


# --- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path", "scope", "answered"), ROUTES, ids=lambda each: str(each))
async def test_a_route_opens_to_a_key_of_its_scope_and_to_nothing_else(
    house: House, http: ClientSession, method: str, path: str, scope: Scope, answered: int
) -> None:
    right = await integrator_of(house, http, scope)
    small = await integrator_of(house, http, *(each for each in SCOPES if each != scope))
    revoked = await integrator_of(house, http, *SCOPES)
    [*_, last] = await house.services.api_keys.all()
    await house.services.api_keys.revoke(last.id, house.services.clock.now())
    body = NEWS if method == "POST" and path in TRIGGERS else None
    assert (await right.ask(method, path, body))[0] == answered
    status, answer = await small.ask(method, path, body)
    assert (status, answer["error"]["code"], answer["error"]["fields"]) == (403, "forbidden", {"scope": scope})
    therapists = house.token_of(await house.add_therapist())
    for wrong in (revoked.key, right.key[:-1], f"{right.key}x", "jk_", therapists, ""):
        status, answer = await Integrator(house, http, wrong).ask(method, path, body)
        assert (status, answer["error"]["code"]) == (401, "unauthorized"), wrong
    async with http.request(method, f"{PREFIX}/{path}", json=body) as response:
        assert response.status == 401
    async with http.request(method, f"{PREFIX}/{path}", json=body, headers={"Authorization": right.key}) as response:
        assert response.status == 401, "without its scheme it is no bearer key"


# --- what is planned --------------------------------------------------------------------------------------------------


async def test_the_example_of_the_seed_is_accepted_as_it_stands(shop: Integrator) -> None:
    status, answer = await shop.ask("POST", "booking-confirmed", SEED)
    assert status == 200
    assert answer["notifications"] == [], "there is no way to reach this customer"
    assert answer["unreachable"] == [
        {"channel": "email", "field": "customer_email", "reason": "is missing"},
        {"channel": "sms", "field": "customer_phone", "reason": "is not a complete phone number"},
    ]


async def test_a_confirmed_booking_is_told_at_once_and_reminded_of_in_time(shop: Integrator) -> None:
    answer = await shop.tell("booking-confirmed")
    assert told(answer) == {
        ("booking_confirmed", "email", "pending"),
        ("booking_confirmed", "sms", "pending"),
        ("reminder_24h", "email", "pending"),
        ("reminder_24h", "sms", "pending"),
        ("reminder_2h", "sms", "pending"),
    }
    due = {each["kind"]: each["due_at"] for each in answer["notifications"]}
    assert (due["reminder_24h"], due["reminder_2h"]) == ("2099-11-30T10:00:00.000Z", "2099-12-01T08:00:00.000Z")
    assert due["booking_confirmed"] <= answer["server_time"]
    assert answer["unreachable"] == []
    again = await shop.tell("booking-confirmed")
    assert again["notifications"] == answer["notifications"], "told twice is told once"


async def test_a_time_without_an_offset_is_on_the_clocks_of_the_customer(shop: Integrator) -> None:
    async def due(number: int, **more: Any) -> str:
        answer = await shop.tell("appointment-reminders/schedule", booking_id=str(number), **more)
        return next(each["due_at"] for each in answer["notifications"] if each["kind"] == "reminder_2h")

    assert await due(1, appointment_date="2099-12-01T10:00:00") == "2099-12-01T01:00:00.000Z"
    new_york = {"appointment_date": "2099-07-01T10:00:00", "timezone": "America/New_York"}
    starts_at = datetime(2099, 7, 1, 10, tzinfo=ZoneInfo("America/New_York"))
    assert await due(2, **new_york) == moment(starts_at - timedelta(hours=2))
    assert await due(3, appointment_date="2099-12-01T10:00:00+09:00") == "2099-11-30T23:00:00.000Z"


async def test_reminders_alone_can_be_asked_for(shop: Integrator) -> None:
    answer = await shop.tell("appointment-reminders/schedule")
    assert {kind for kind, _, _ in told(answer)} == {"reminder_24h", "reminder_2h"}


async def test_a_booking_that_is_moved_has_new_reminders_and_none_of_the_old(shop: Integrator) -> None:
    first = await shop.tell("booking-confirmed")
    second = await shop.tell("booking-confirmed", appointment_date="2099-12-02T10:00:00Z")
    assert (first["revision"], second["revision"]) == (1, 2)
    assert ("booking_moved", "email", "pending") in told(second)
    assert {each["revision"] for each in second["notifications"]} == {2}
    old = [await shop.ask("GET", f"notifications/{each['id']}/status") for each in first["notifications"]]
    assert {(status, row["status"], row["reason"]) for status, row in old} == {(200, "skipped", "moved")}


async def test_a_cancelled_booking_is_told_and_reminded_of_no_more(shop: Integrator) -> None:
    await shop.tell("booking-confirmed")
    answer = await shop.tell("booking-cancelled", booking_status="cancelled", refund_amount=25.00, reason="ill")
    assert ("booking_cancelled", "email", "pending") in told(answer)
    assert ("reminder_24h", "email", "skipped") in told(answer)
    record = await shop.house.services.external_bookings.load(answer["id"])
    assert record is not None
    assert (record.record.cancel_reason, record.record.refund) == ("ill", record.record.details.price)  # type: ignore[union-attr]


async def test_payments_are_told(shop: Integrator) -> None:
    await shop.tell("booking-confirmed")
    failed = await shop.tell("payment-failed", payment_intent="pi_1")
    assert {("payment_failed", "email", "pending"), ("payment_failed", "sms", "pending")} <= told(failed)
    paid = await shop.tell("payment-confirmed", payment_intent="pi_2")
    assert ("payment_confirmed", "email", "pending") in told(paid)


async def test_every_payment_that_fails_is_told_and_none_of_them_twice(shop: Integrator, house: House) -> None:
    webhooks = house.services.webhooks
    await webhooks.add("https://example.com/hook", ["payment.failed"], house.services.clock.now())
    await shop.tell("booking-confirmed")
    answer: dict[str, Any] = {}
    for payment in ("pi_1", "pi_2", "pi_1", "pi_2"):
        answer = await shop.tell("payment-failed", payment_intent=payment)
    rows = [each["channel"] for each in answer["notifications"] if each["kind"] == "payment_failed"]
    assert sorted(rows) == ["email", "email", "sms", "sms"]
    assert (await webhooks.counts())["waiting"] == 2, "integrators hear of both as well"


async def test_a_receipt_comes_whenever_the_visit_takes_place_and_if_it_does_not(
    shop: Integrator, house: House
) -> None:
    services = house.services
    await shop.tell("booking-confirmed")
    paid = await shop.tell("payment-confirmed", payment_intent="pi_1")
    [receipt_id] = [each["id"] for each in paid["notifications"] if each["kind"] == "payment_confirmed"]
    await shop.tell("booking-confirmed", appointment_date="2099-12-02T10:00:00Z")
    await shop.tell("booking-cancelled")
    receipt = await services.notifications.get(receipt_id)
    booking_facts = await services.facts_of_bookings.find("external_booking", paid["id"])
    assert receipt is not None
    assert booking_facts is not None
    assert receipt.status == "pending"
    now = services.clock.now()
    assert why_not(receipt.kind, receipt.revision, receipt.useful_until, booking_facts, now) is None
    assert why_not("reminder_24h", receipt.revision, receipt.useful_until, booking_facts, now) == "moved"


async def test_the_same_id_in_two_systems_is_two_bookings_and_a_new_key_of_one_finds_its_own(
    shop: Integrator, house: House, http: ClientSession
) -> None:
    other = await integrator_of(house, http, "notifications:send", name="another shop")
    renewed = await integrator_of(house, http, "notifications:send", name="shop")
    first, theirs, again = [await each.tell("booking-confirmed") for each in (shop, other, renewed)]
    assert first["id"] == again["id"] != theirs["id"]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"appointment_date": "tomorrow"}, "is not a moment like 2026-12-01T10:00:00Z"),
        ({"appointment_date": "2099-12-01"}, "is not a moment like 2026-12-01T10:00:00Z"),
        ({"appointment_date": "2099-W48-3"}, "is not a moment like 2026-12-01T10:00:00Z"),
        ({"appointment_date": "2099-12-01x10:00:00Z"}, "is not a moment like 2026-12-01T10:00:00Z"),
        ({"appointment_date": "20991201T100000Z"}, "is not a moment like 2026-12-01T10:00:00Z"),
        ({"appointment_date": "1500-01-01T00:00:00Z"}, "is out of range"),
        ({"appointment_date": "2020-01-01T00:00:00Z"}, "has passed"),
        ({"appointment_duration": 0}, "is out of range"),
        ({"appointment_duration": "60"}, "must be a whole number"),
        ({"total_price": -1}, "is out of range"),
        ({"total_price": 1.005}, "has too many decimals"),
        ({"customer_name": " "}, "must not be empty"),
        ({"timezone": "Mars/Olympus"}, "is not the name of a time zone"),
        ({"timezone": "../etc/passwd"}, "is not the name of a time zone"),
        ({"currency": "rupiah"}, "is not valid"),
        ({"booking_status": "cancelled"}, "does not go with this request"),
        ({"booking_id": "two words"}, "is not valid"),
        ({"surprise": 1}, "is not known"),
    ],
    ids=str,
)
async def test_what_makes_no_sense_is_named_and_leaves_nothing(
    shop: Integrator, wrong: dict[str, Any], reason: str
) -> None:
    assert await shop.refused("booking-confirmed", **wrong) == {next(iter(wrong)): reason}
    assert await shop.house.services.database["external_bookings"].count_documents({}) == 0


@pytest.mark.parametrize(
    ("written", "zone", "starts_at"),
    [
        (
            "2099-10-25T02:30:00",
            "Europe/Berlin",
            datetime(2099, 10, 25, 0, 30, tzinfo=UTC),
        ),  # it comes twice
        ("2099-03-29T02:30:00", "Europe/Berlin", datetime(2099, 3, 29, 1, 30, tzinfo=UTC)),  # it is left out
        ("2099-12-01t10:00:00z", "Asia/Jakarta", datetime(2099, 12, 1, 10, tzinfo=UTC)),
        ("2099-12-01 10:00:00+07:00", "Asia/Makassar", datetime(2099, 12, 1, 3, tzinfo=UTC)),
    ],
)
async def test_the_same_news_three_times_is_one_revision_at_one_moment(
    shop: Integrator, house: House, written: str, zone: str, starts_at: datetime
) -> None:
    """Local times of one zone compare by their wall clocks: it had a new time each time that it was told."""
    news = {"appointment_date": written, "timezone": zone}
    told = [await shop.tell("booking-confirmed", **news) for _ in range(3)]
    assert [each["revision"] for each in told] == [1, 1, 1]
    facts = await house.services.facts_of_bookings.find("external_booking", told[0]["id"])
    assert facts is not None
    assert facts.starts_at == starts_at
    assert facts.ends_at - facts.starts_at == timedelta(minutes=NEWS["appointment_duration"])


async def test_the_id_of_the_customer_there_is_kept(shop: Integrator, house: House) -> None:
    answer = await shop.tell("booking-confirmed", user_id="uuid")
    stored = await house.services.external_bookings.load(answer["id"])
    assert stored is not None
    assert stored.record.details.customer.reference == "uuid"


async def test_news_that_are_deeper_than_any_are_refused_under_a_key_too(shop: Integrator) -> None:
    """What could not be written again had no digest, and was unavailable for ever."""
    deep: Any = "end"
    for _ in range(400):
        deep = {"a": deep}
    status, answer = await shop.ask("POST", "booking-confirmed", {**NEWS, "deep": deep}, Idempotency_Key="deep")
    assert (status, answer["error"]["fields"]) == (422, {"deep": "is not known"})


# --- bookings of our own ----------------------------------------------------------------------------------------------


async def test_of_our_own_bookings_what_is_told_is_shown_and_a_payment_is_news(shop: Integrator, house: House) -> None:
    record = await house.add_therapist()
    async with guest(house.url) as budi, therapist(house.url, house.token_of(record)) as console:
        await budi.book()
        await budi.confirm()
        offer = await console.until_offer()
        await console.do("accept_offer", offer_id=offer["offer_id"])
        await budi.until_card("therapist")
        await budi.accept()
        booking = await console.until_booking("active")
        confirmed = await shop.tell("booking-confirmed", booking_id=booking["id"])
        assert ("booking_confirmed", "in_app", "sent") in told(confirmed)
        paid = await shop.tell("payment-confirmed", booking_id=booking["id"], payment_intent="pi_1")
        assert ("payment_confirmed", "in_app", "sent") in told(paid)
        missing = await shop.refused("payment-failed", booking_id=booking["id"])
        assert missing == {"payment_intent": "is required"}
        status, answer = await shop.ask("POST", "booking-cancelled", {**NEWS, "booking_id": booking["id"]})
        assert (status, answer["error"]["code"]) == (409, "not_now")
        stored = await house.services.bookings.load(booking["id"])
        assert stored is not None
        assert stored.record.state is Status.ACTIVE, "nobody cancels a visit by telling of it"
    status, answer = await shop.ask("POST", "booking-confirmed", {**NEWS, "booking_id": f"b_{'0' * 24}"})
    assert (status, answer["error"]["code"]) == (404, "not_found")


# --- what became of it ------------------------------------------------------------------------------------------------


async def test_pages_are_in_the_order_in_which_things_are_due(shop: Integrator) -> None:
    await shop.tell("booking-confirmed")
    _, whole = await shop.ask("GET", "notifications/pending")
    assert (whole["total"], whole["limit"], whole["offset"]) == (5, 50, 0)
    assert [each["due_at"] for each in whole["notifications"]] == sorted(
        each["due_at"] for each in whole["notifications"]
    )
    pages = [(await shop.ask("GET", f"notifications/pending?limit=2&offset={offset}"))[1] for offset in (0, 2, 4, 6)]
    assert [len(each["notifications"]) for each in pages] == [2, 2, 1, 0]
    assert [row for page in pages for row in page["notifications"]] == whole["notifications"]
    for wrong in ("limit=101", "limit=0", "offset=-1", "limit=x", "surprise=1"):
        status, answer = await shop.ask("GET", f"notifications/pending?{wrong}")
        assert (status, list(answer["error"]["fields"])) == (422, [wrong.partition("=")[0]])


async def test_a_dead_notification_can_be_tried_again_or_given_up(shop: Integrator, house: House) -> None:
    answer = await shop.tell("booking-confirmed")
    first, second = [each["id"] for each in answer["notifications"][:2]]
    status, refused = await shop.ask("POST", f"notifications/{first}/retry")
    assert (status, refused["error"]["code"]) == (409, "not_now")
    stored = house.services.database["notifications"]
    dead = {"$set": {"status": "dead", "attempts": 4}, "$unset": {"next_at": ""}}
    await stored.update_many({"_id": {"$in": [first, second]}}, dead)
    _, page = await shop.ask("GET", "notifications/dead")
    assert {each["id"] for each in page["notifications"]} == {first, second}
    status, row = await shop.ask("POST", f"notifications/{first}/retry")
    assert (status, row["status"], row["attempts"], row["reason"]) == (200, "pending", 0, "retried")
    assert row["next_at"] is not None
    status, row = await shop.ask("POST", f"notifications/{second}/discard")
    assert (status, row["status"], row["reason"]) == (200, "skipped", "discarded")
    _, health = await shop.ask("GET", "health")
    assert (health["pending"], health["dead"]) == (4, 0)
    assert health["oldest_due_at"] is not None


async def test_the_health_names_each_provider_and_which_of_them_rests(shop: Integrator, house: House) -> None:
    async def states() -> dict[str, tuple[str, str | None]]:
        _, health = await shop.ask("GET", "health")
        return {each["name"]: (each["state"], each["code"]) for each in health["channels"]}

    assert await states() == {**dict.fromkeys(PROVIDERS, ("not_set", None)), "web_push": ("working", None)}
    breakers = Breakers(house.services.database["breakers"])
    await breakers.failed("web_push", "503", house.services.clock.now())
    assert (await states())["web_push"] == ("failing", "503")
    await breakers.failed("web_push", "401", house.services.clock.now(), is_misconfigured=True)
    assert (await states())["web_push"] == ("resting", "401")


# --- once -------------------------------------------------------------------------------------------------------------


async def test_the_same_key_and_body_get_the_first_answer_again(shop: Integrator) -> None:
    first = await shop.ask("POST", "booking-confirmed", NEWS, Idempotency_Key="k-1")
    await shop.tell("booking-confirmed", appointment_date="2099-12-02T10:00:00Z")
    assert await shop.ask("POST", "booking-confirmed", NEWS, Idempotency_Key="k-1") == first
    reordered = dict(reversed(NEWS.items()))
    assert await shop.ask("POST", "booking-confirmed", reordered, Idempotency_Key="k-1") == first
    for path, body in (("booking-confirmed", {**NEWS, "customer_name": "Ani"}), ("booking-cancelled", NEWS)):
        status, answer = await shop.ask("POST", path, body, Idempotency_Key="k-1")
        assert (status, answer["error"]["code"]) == (422, "invalid")
        assert answer["error"]["fields"] == {"Idempotency-Key": "was used for something else"}


async def test_what_was_refused_does_not_use_its_key_up(shop: Integrator) -> None:
    status, _ = await shop.ask("POST", "booking-confirmed", {**NEWS, "timezone": "x"}, Idempotency_Key="k-1")
    assert status == 422
    assert (await shop.ask("POST", "booking-confirmed", NEWS, Idempotency_Key="k-1"))[0] == 200


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
async def test_a_key_that_is_none_is_refused(shop: Integrator, key: str) -> None:
    status, answer = await shop.ask("POST", "booking-confirmed", NEWS, Idempotency_Key=key)
    assert (status, list(answer["error"]["fields"])) == (422, ["Idempotency-Key"])


async def test_of_two_requests_at_once_one_is_done_and_the_other_told_to_wait(
    shop: Integrator, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()
    tell = type(house.services.booking_intake).tell

    async def slowly(self: Any, *arguments: Any) -> dict[str, Any]:
        begun.set()
        await go_on.wait()
        return await tell(self, *arguments)

    monkeypatch.setattr(type(house.services.booking_intake), "tell", slowly)
    first = asyncio.create_task(shop.ask("POST", "booking-confirmed", NEWS, Idempotency_Key="k-1"))
    await begun.wait()
    async with shop.http.post(
        f"{PREFIX}/booking-confirmed",
        json=NEWS,
        headers={"Authorization": f"Bearer {shop.key}", "Idempotency-Key": "k-1"},
    ) as response:
        assert response.status == 409
        assert 1 <= int(response.headers["Retry-After"]) <= 60
        assert (await response.json())["error"]["code"] == "not_now"
    go_on.set()
    answered = await first
    assert answered[0] == 200
    assert await shop.ask("POST", "booking-confirmed", NEWS, Idempotency_Key="k-1") == answered


async def test_a_process_that_died_over_a_request_does_not_hold_its_key_for_ever(
    shop: Integrator, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die(self: Any, *arguments: Any) -> None:
        raise ConnectionResetError

    with monkeypatch.context() as crash:
        crash.setattr(Idempotency, "finish", die)  # the booking is told, and nobody can say so any more
        crash.setattr(Idempotency, "give_up", die)
        assert (await shop.ask("POST", "booking-confirmed", NEWS, Idempotency_Key="k-1"))[0] == 503
    assert (await shop.ask("POST", "booking-confirmed", NEWS, Idempotency_Key="k-1"))[0] == 409
    requests = house.services.database["idempotency"]
    await requests.update_many({}, {"$set": {"lease_until": house.services.clock.now()}})
    status, answer = await shop.ask("POST", "booking-confirmed", NEWS, Idempotency_Key="k-1")
    assert (status, len(answer["notifications"])) == (200, 5)
    assert await house.services.database["notifications"].count_documents({}) == 5, "it was told once"
    await requests.update_many({}, {"$set": {"remove_at": house.services.clock.now() - ANSWERS_LIVE}})
    assert (await shop.ask("POST", "booking-confirmed", SEED, Idempotency_Key="k-1"))[0] == 200


async def test_a_key_and_an_address_have_each_their_limit(servers: Servers, database: str) -> None:
    limits = {"limit_desk_per_token": "1/h:2", "limit_desk_per_address": "1/h:5"}
    async with house_of(settings_for(servers, database, **limits)) as house, ClientSession(house.url) as http:
        first, second = [await integrator_of(house, http, *SCOPES) for _ in range(2)]
        assert [(await first.ask("GET", "health"))[0] for _ in range(3)] == [200, 200, 429]
        assert [(await second.ask("GET", "health"))[0] for _ in range(2)] == [200, 200]
        nobody = Integrator(house, http, "jk_")
        assert [(await nobody.ask("GET", "health"))[0] for _ in range(2)] == [401, 429], "the address has had enough"
