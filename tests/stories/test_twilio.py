"""Twilio tells what became of a short message, and who wants no more: signed for our public address, in any order."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientSession
from twilio.request_validator import RequestValidator

from bot.integrations.delivery_desk import PREFIX
from bot.notifications.delivery_reports import AGAIN_AFTER
from bot.runtime.embedded import Servers
from bot.store.preferences import phone_id
from bot.web.integrations.twilio import NOTHING_TO_SAY, word_of
from conversations.notices import Person
from tests.house import House, house_of, settings_for
from tests.stories.test_booking_notifications import NEWS, integrator_of
from tests.stories.test_webhooks import worked_off

pytestmark = pytest.mark.slow

TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC = "https://janji.example.com"
SID = "SM0123456789abcdef0123456789abcdef"
PHONE = NEWS["customer_phone"]
TWILIO: Mapping[str, Any] = {
    "twilio_account_sid": "AC" + "0" * 32,
    "twilio_auth_token": TOKEN,
    "twilio_from": "+15005550006",
    "public_url": PUBLIC,
}


@dataclass(slots=True)
class Twilio:
    """Calls us behind a router that takes TLS off: the address that it signs is not the one that we see."""

    house: House
    http: ClientSession
    token: str = TOKEN
    public: str = PUBLIC
    headers: dict[str, str] = field(default_factory=dict)

    async def post(self, path: str, form: Mapping[str, str]) -> int:
        where = f"{PREFIX}/webhooks/{path}"
        signature = RequestValidator(self.token).compute_signature(f"{self.public}{where}", form)
        headers = {"X-Twilio-Signature": signature, **self.headers}
        async with self.http.post(where, data=form, headers=headers) as response:
            if response.status == 200:
                assert response.content_type == "text/xml"
                assert await response.text() == NOTHING_TO_SAY
            return response.status

    async def says(self, status: str, notification_id: str, sid: str = SID, code: str | None = None) -> int:
        form = {"MessageSid": sid, "MessageStatus": status, **({"ErrorCode": code} if code else {})}
        return await self.post(f"twilio-status?n={notification_id}", form)

    async def writes(self, text: str, sid: str, **more: str) -> int:
        status = await self.post("twilio-inbound", {"MessageSid": sid, "From": PHONE, "Body": text, **more})
        await worked_off(self.house.services)
        return status

    async def stopped(self) -> frozenset[str]:
        person = Person("customer:x_1", "Budi", "en", "Asia/Jakarta", PHONE)
        return (await self.house.services.preferences.of(person)).stopped


@pytest.fixture
async def twilio(servers: Servers, database: str) -> AsyncIterator[Twilio]:
    async with (
        house_of(settings_for(servers, database, **TWILIO, sweep_s=60.0)) as house,
        ClientSession(house.url) as http,
    ):
        yield Twilio(house, http)


async def sms_of(twilio: Twilio) -> str:
    """The id of a short message that has been handed to Twilio."""
    shop = await integrator_of(twilio.house, twilio.http, "notifications:send")
    answer = await shop.tell("booking-confirmed")
    [row_id] = [each["id"] for each in answer["notifications"] if each["channel"] == "sms"][:1]
    return str(row_id)


async def standing(twilio: Twilio, row_id: str) -> tuple[str | None, str]:
    row = await twilio.house.services.notifications.get(row_id)
    assert row is not None
    return row.provider_status, row.status


async def test_a_message_moves_forward_only(twilio: Twilio) -> None:
    row_id = await sms_of(twilio)
    for status, leads_to in (("queued", "queued"), ("sent", "sent"), ("queued", "sent"), ("delivered", "delivered")):
        assert await twilio.says(status, row_id) == 200
        assert (await standing(twilio, row_id))[0] == leads_to
    for late in ("sent", "queued", "delivered", "failed", "undelivered"):
        assert await twilio.says(late, row_id) == 200
        assert await standing(twilio, row_id) == ("delivered", "delivered")


async def test_what_is_said_of_another_message_or_of_none_changes_nothing(twilio: Twilio) -> None:
    row_id = await sms_of(twilio)
    await twilio.says("sent", row_id)
    for status, row, sid in (("delivered", row_id, "SMother"), ("delivered", "n_nobody", SID), ("read", row_id, SID)):
        assert await twilio.says(status, row, sid) == 200
        assert (await standing(twilio, row_id))[0] == "sent"


async def taken(twilio: Twilio, row_id: str, sid: str = SID, attempts: int = 1) -> None:
    """As if Twilio had just taken the message, the second time half an hour later."""
    services = twilio.house.services
    row = await services.notifications.get(row_id)
    assert row is not None
    assert row.next_at is not None
    claimed = await services.notifications.claim(row, f"d_{sid}", row.next_at, timedelta(minutes=1))
    assert claimed is not None
    assert claimed.attempts == attempts
    assert await services.notifications.settle(claimed, "sent", row.next_at, provider_id=sid)


@pytest.mark.parametrize(("said", "code"), [("undelivered", "30005"), ("undelivered", "30007"), ("failed", None)])
async def test_what_did_not_arrive_and_never_will_is_dead_with_its_code(
    twilio: Twilio, said: str, code: str | None
) -> None:
    row_id, ledger = await sms_of(twilio), twilio.house.services.notifications
    await taken(twilio, row_id)
    for _ in range(2):
        await twilio.says(said, row_id, code=code)
        assert await standing(twilio, row_id) == (said, "dead")
    row = await ledger.get(row_id)
    assert row is not None
    assert [(reason.what, reason.code) for reason in row.reasons] == [(said, code)]
    document = await twilio.house.services.database["notifications"].find_one({"_id": row_id})
    assert "remove_at" not in document, "dead rows stay"
    assert await ledger.revive(row_id, row.updated_at, row.useful_until)
    await taken(twilio, row_id, "SMlater")
    await twilio.says("delivered", row_id, "SMlater")
    assert await standing(twilio, row_id) == ("delivered", "delivered")


async def test_a_phone_that_is_off_is_tried_again_later_and_three_times_at_most(twilio: Twilio) -> None:
    row_id = await sms_of(twilio)
    for attempt in (1, 2):
        await taken(twilio, row_id, f"SM{attempt}", attempt)
        before = twilio.house.services.clock.now()
        await twilio.says("undelivered", row_id, f"SM{attempt}", "30003")
        row = await twilio.house.services.notifications.get(row_id)
        assert row is not None
        assert (row.status, row.provider_id, row.sent_at) == ("pending", None, None)
        assert row.next_at is not None
        assert row.next_at >= before + AGAIN_AFTER
        for late in ("undelivered", "sent", "delivered"):
            await twilio.says(late, row_id, f"SM{attempt}", "30003")
            assert await standing(twilio, row_id) == (None, "pending")
    await taken(twilio, row_id, "SM3", 3)
    await twilio.says("undelivered", row_id, "SM3", "30003")
    assert await standing(twilio, row_id) == ("undelivered", "dead")


async def test_a_suspended_account_rests_and_burns_nothing(twilio: Twilio) -> None:
    row_id = await sms_of(twilio)
    await taken(twilio, row_id)
    await twilio.says("failed", row_id, code="30002")
    breaker = (await twilio.house.services.breakers.all())["sms"]
    row = await twilio.house.services.notifications.get(row_id)
    assert row is not None
    assert (breaker.is_misconfigured, row.status, row.next_at) == (True, "pending", breaker.open_until)


@pytest.mark.parametrize(
    ("written", "word"),
    [
        *((each, "stop") for each in ("STOP", " stop. ", "Berhenti!", "UNREG", "unsubscribe", "Keluar")),
        *((each, "start") for each in ("START", "Mulai", "unstop", "lanjut")),
        *((each, None) for each in ("", "please stop calling", "batal", "terima kasih", "stopover", "🙂")),
    ],
)
def test_a_word_alone_is_an_order_and_a_sentence_is_not(written: str, word: str | None) -> None:
    assert word_of({"Body": written}) == word


def test_what_twilio_has_understood_counts_more_than_the_words() -> None:
    assert word_of({"Body": "genug", "OptOutType": "STOP"}) == "stop"
    assert word_of({"Body": "stop", "OptOutType": "START"}) == "start"
    assert word_of({"Body": "stop", "OptOutType": "HELP"}) == "stop"


async def test_who_writes_stop_gets_no_more_until_they_write_start(twilio: Twilio) -> None:
    assert await twilio.writes("Berhenti", "SM1") == 200
    assert await twilio.stopped() == {"sms"}
    assert await twilio.writes("Mulai", "SM2") == 200
    assert await twilio.stopped() == frozenset()
    assert await twilio.writes("Berhenti", "SM1") == 200
    assert await twilio.stopped() == frozenset(), "the old word came once more"


async def test_of_who_wrote_only_a_digest_is_kept_and_of_what_nothing(twilio: Twilio) -> None:
    await twilio.writes("STOP", "SM1")
    await twilio.writes("my door is the green one", "SM2")
    stores = twilio.house.services.database
    kept = [each for name in ("inbox", "preferences") async for each in stores[name].find({})]
    assert [each["_id"] for each in kept] == ["twilio:SM1", phone_id(PHONE)]
    assert PHONE[1:] not in str(kept)


async def test_what_twilio_has_not_signed_leaves_nothing_but_a_count(twilio: Twilio) -> None:
    row_id = await sms_of(twilio)
    strangers = (
        Twilio(twilio.house, twilio.http, token="f" * 32),
        Twilio(twilio.house, twilio.http, public="http://127.0.0.1"),
        Twilio(twilio.house, twilio.http, headers={"X-Twilio-Signature": ""}),
        Twilio(twilio.house, twilio.http, headers={"X-Twilio-Webhooks-Signature-Settings": "algorithm=MD5"}),
    )
    for stranger in strangers:
        assert await stranger.says("delivered", row_id) == 403
        assert await stranger.writes("STOP", "SM1") == 403
    where = f"{PREFIX}/webhooks/twilio-inbound"
    for body in ({"data": b"\xff\xfe=\xff"}, {"json": {"Body": "STOP"}}, {}):
        async with twilio.http.post(where, **body) as response:  # type: ignore[arg-type]
            assert response.status == 403
    assert await standing(twilio, row_id) == (None, "pending")
    assert await twilio.stopped() == frozenset()
    assert twilio.house.services.unsigned_webhooks["twilio"] == 11


async def test_without_a_token_nobody_is_believed_to_be_twilio(house: House) -> None:
    async with ClientSession(house.url) as http:
        assert await Twilio(house, http).says("delivered", "n_1") == 404


@pytest.mark.parametrize(
    ("caller", "signature"),
    [("+14158675309", "RSOYDt4T1cUTdK1PDd93/VVr8B8="), ("+12349013030", "0/KCTR6DLpKmkAf8muzZqo1nDgQ=")],
)
def test_signatures_are_those_that_twilio_has_published(caller: str, signature: str) -> None:
    form = {"CallSid": "CA1234567890ABCDE", "Caller": caller, "Digits": "1234", "From": caller, "To": "+18005551212"}
    validator = RequestValidator("12345")
    for url in ("https://mycompany.com/myapp.php?foo=1&bar=2", "https://mycompany.com:443/myapp.php?foo=1&bar=2"):
        assert validator.validate(url, form, signature)
        assert not validator.validate(url, {**form, "Digits": "1235"}, signature)
