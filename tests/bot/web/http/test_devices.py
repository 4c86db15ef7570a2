"""Where people say that they can be reached, and what is refused there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import ClientSession

from bot.contract.story import SUBSCRIPTION
from bot.runtime.embedded import Servers
from bot.schemas.webpush import is_known_service
from bot.settings.vapid import public_key_of
from tests.clients import guest, therapist
from tests.house import VAPID_PRIVATE_KEY, House, house_of, settings_for

SUBSCRIPTIONS, TOKENS = "/api/users/webpush-subscription", "/api/users/fcm-token"
ANDROID: dict[str, Any] = {"token": "a-token:of-a-phone", "platform": "android"}


@pytest.fixture
async def http(house: House) -> AsyncIterator[ClientSession]:
    async with ClientSession(house.url, headers={"Accept-Language": "id"}) as session:
        yield session


async def ask(
    http: ClientSession, method: str, path: str, token: str, body: dict[str, Any] | None = None
) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}"}
    async with http.request(method, path, headers=headers, json=body) as response:
        return response.status, await response.json()


async def test_a_guest_and_a_therapist_are_reached_on_the_devices_they_name(house: House, http: ClientSession) -> None:
    sari = await house.add_therapist()
    async with guest(house.url) as budi:
        assert await ask(http, "POST", TOKENS, budi.token, ANDROID) == (200, {"ok": True})
        assert await ask(http, "POST", SUBSCRIPTIONS, house.token_of(sari), SUBSCRIPTION) == (200, {"ok": True})
        phone, *others = await house.services.devices.of(f"guest:{budi.session['conversation_id']}")
        assert (phone.kind, phone.token, phone.locale, others) == ("fcm", ANDROID["token"], "id", [])
    browser, *others = await house.services.devices.of(f"therapist:{sari.id}")
    assert (browser.kind, browser.locale, others) == ("webpush", "id", [])
    assert browser.subscription == {"endpoint": SUBSCRIPTION["endpoint"], "keys": SUBSCRIPTION["keys"]}


async def test_a_device_that_changes_hands_reaches_its_new_person_only(house: House, http: ClientSession) -> None:
    sari, ayu = await house.add_therapist(), await house.add_therapist()
    for who in (sari, ayu):
        await ask(http, "POST", SUBSCRIPTIONS, house.token_of(who), SUBSCRIPTION)
    counts = [len(await house.services.devices.of(f"therapist:{who.id}")) for who in (sari, ayu)]
    assert counts == [0, 1]
    gone = {"endpoint": SUBSCRIPTION["endpoint"]}
    assert await ask(http, "DELETE", SUBSCRIPTIONS, house.token_of(sari), gone) == (200, {"ok": True})
    assert len(await house.services.devices.of(f"therapist:{ayu.id}")) == 1
    assert await ask(http, "DELETE", SUBSCRIPTIONS, house.token_of(ayu), gone) == (200, {"ok": True})
    assert await house.services.devices.of(f"therapist:{ayu.id}") == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"endpoint": "https://169.254.169.254/latest"}, "endpoint"),
        ({"endpoint": "http://fcm.googleapis.com/fcm/send/1"}, "endpoint"),
        ({"endpoint": "https://fcm.googleapis.com.evil.example/1"}, "endpoint"),
        ({"keys": {**SUBSCRIPTION["keys"], "auth": "short"}}, "keys.auth"),
        ({"keys": {**SUBSCRIPTION["keys"], "p256dh": "B" + "A" * 86}}, "keys.p256dh"),
        ({"keys": {"auth": SUBSCRIPTION["keys"]["auth"]}}, "keys.p256dh"),
        ({"expirationTime": "tomorrow"}, "expirationTime"),
    ],
)
async def test_a_subscription_that_we_would_not_write_to_is_refused_by_its_field(
    house: House, http: ClientSession, changes: dict[str, Any], field: str
) -> None:
    sari = await house.add_therapist()
    status, answer = await ask(http, "POST", SUBSCRIPTIONS, house.token_of(sari), {**SUBSCRIPTION, **changes})
    assert (status, answer["error"]["code"], list(answer["error"]["fields"])) == (422, "invalid", [field])
    assert await house.services.devices.of(f"therapist:{sari.id}") == []


@pytest.mark.parametrize(
    ("endpoint", "is_known"),
    [
        ("https://fcm.googleapis.com/fcm/send/abc", True),
        ("https://fcm.googleapis.com:443/fcm/send/abc", True),
        ("https://web.push.apple.com/QGx", True),
        ("https://wns2-par02p.notify.windows.com/w/?token=BQ", True),
        ("https://updates.push.services.mozilla.com/wpush/v2/g", True),
        ("https://push.apple.com.evil.example/x", False),
        ("https://evil.example/?https://web.push.apple.com/", False),
        ("https://fcm.googleapis.com:8443/fcm", False),
        ("https://user@fcm.googleapis.com/fcm", False),
        ("https://evil.example\\@fcm.googleapis.com/fcm", False),
        ("https://evil.example#.push.apple.com/", False),
        ("https://FCM.googleapis.com./fcm", False),
        ("https://fcm.googleapis.com/a b", False),
    ],
)
def test_only_known_push_services_are_written_to(servers: Servers, endpoint: str, is_known: bool) -> None:
    assert is_known_service(endpoint, settings_for(servers, "any").push_services) is is_known


async def test_the_public_key_is_told_and_the_private_one_is_not(servers: Servers, database: str) -> None:
    with_key = settings_for(servers, database)
    async with house_of(with_key) as house, ClientSession(house.url) as http:
        status, answer = await ask(http, "GET", "/api/users/webpush-key", "nobody")
        assert (status, answer) == (200, {"ok": True, "key": public_key_of(VAPID_PRIVATE_KEY)})
    assert VAPID_PRIVATE_KEY not in repr(with_key)
    async with (
        house_of(settings_for(servers, database, vapid_private_key=None)) as house,
        ClientSession(house.url) as http,
    ):
        status, answer = await ask(http, "GET", "/api/users/webpush-key", "nobody")
        assert (status, answer["error"]["code"]) == (404, "not_found")


async def test_a_test_notification_stands_on_the_callers_own_feed_at_once(house: House, http: ClientSession) -> None:
    sari = await house.add_therapist()
    token = house.token_of(sari)
    await ask(http, "POST", TOKENS, token, ANDROID)
    async with therapist(house.url, token) as console:
        assert await ask(http, "POST", "/api/test-notification", token) == (200, {"ok": True, "devices": 1})
        await console.until(lambda: bool(console.of_type("notification")), "the notification")
        [shown] = console.of_type("notification")
        assert (shown["kind"], shown["sound"], shown["urgency"]) == ("test", "booking-success", "normal")
        assert shown["title"] == "It works"
        async with guest(house.url) as budi:
            await ask(http, "POST", "/api/test-notification", budi.token)
            await budi.until(lambda: bool(budi.of_type("notification")), "the notification")
            assert [each["sound"] for each in budi.of_type("notification")] == ["booking-success"]


async def test_devices_are_counted_as_commands_are(servers: Servers, database: str) -> None:
    settings = settings_for(servers, database, limit_commands_per_token="1/h:1")
    async with house_of(settings) as house, ClientSession(house.url) as http:
        token = house.token_of(await house.add_therapist())
        assert (await ask(http, "POST", TOKENS, token, ANDROID))[0] == 200
        status, answer = await ask(http, "DELETE", TOKENS, token, {"token": ANDROID["token"]})
        assert (status, answer["error"]["code"]) == (429, "too_many_requests")
        assert answer["error"]["retry_after_s"] > 0
