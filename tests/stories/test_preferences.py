"""People say what they do not want to be told: on their pages, with one click in a mail, or by being forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import time
from html import unescape
from typing import Any

import pytest
from aiohttp import ClientSession

from bot.access.tokens import Tokens
from bot.notifications.unsubscribing import Unsubscribing
from bot.store.preferences import PreferencesStore, email_id, phone_id
from conversations.notices import BOOKING_CONFIRMED, Person, Preferences, is_wanted
from tests.clients import guest
from tests.house import SECRET, House

pytestmark = pytest.mark.slow

PATH = "/api/users/preferences"
EMAIL, PHONE = "Budi@Example.com", "+6281234567890"
BUDI = Person("guest:c_1", "Budi", "en", "Asia/Jakarta", PHONE, EMAIL)
CHOICE = {"off": ["reminder", "sms"], "quiet_hours": {"begins": "22:00", "ends": "07:00"}}


@pytest.fixture
async def http(house: House) -> AsyncIterator[ClientSession]:
    async with ClientSession(house.url, headers={"Accept-Language": "en"}) as session:
        yield session


async def ask(http: ClientSession, method: str, token: str, body: Any = None) -> tuple[int, dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    async with http.request(method, PATH, json=body, headers=headers) as response:
        return response.status, await response.json()


# --- on their pages ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["guest", "therapist"])
async def test_people_choose_for_themselves(house: House, http: ClientSession, who: str) -> None:
    tokens = {who: house.tokens.sign(who, f"{who[0]}_1"), "other": house.tokens.sign(who, f"{who[0]}_2")}  # type: ignore[arg-type]
    nothing = {"ok": True, "off": [], "quiet_hours": None}
    assert await ask(http, "GET", tokens[who]) == (200, nothing)
    assert await ask(http, "PUT", tokens[who], CHOICE) == (200, {"ok": True, **CHOICE})
    assert await ask(http, "GET", tokens[who]) == (200, {"ok": True, **CHOICE})
    assert await ask(http, "GET", tokens["other"]) == (200, nothing)
    known = await house.services.preferences.of(Person(f"{who}:{who[0]}_1", "x", "en", "UTC"))
    assert known == Preferences(frozenset({"reminder", "sms"}), (time(22), time(7)))
    assert await ask(http, "PUT", tokens[who], {}) == (200, nothing), "what is left out is wanted"


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"off": ["booking_confirmed"]}, ["off.0"]),
        ({"off": "sms"}, ["off"]),
        ({"quiet_hours": {"begins": "22:00"}}, ["quiet_hours.ends"]),
        ({"quiet_hours": {"begins": "25:00", "ends": "07:00"}}, ["quiet_hours.begins"]),
        ({"quiet_hours": {"begins": "7:00", "ends": "08:00"}}, ["quiet_hours.begins"]),
        ({"quiet_hours": {"begins": "07:00", "ends": "07:00"}}, ["quiet_hours.ends"]),
        ({"stopped": []}, ["stopped"]),
        ([], [""]),
    ],
    ids=str,
)
async def test_a_choice_that_makes_no_sense_changes_nothing(
    house: House, http: ClientSession, body: Any, fields: list[str]
) -> None:
    token = house.tokens.sign("guest", "c_1")
    await ask(http, "PUT", token, CHOICE)
    status, answer = await ask(http, "PUT", token, body)
    assert (status, list(answer["error"]["fields"])) == (422, fields)
    assert await ask(http, "GET", token) == (200, {"ok": True, **CHOICE})


async def test_nobody_chooses_without_a_token(house: House, http: ClientSession) -> None:
    link = house.services.unsubscribing.token(EMAIL)
    for token in ("", "x", link):
        assert [(await ask(http, method, token, CHOICE))[0] for method in ("GET", "PUT")] == [401, 401]


async def test_what_a_guest_chose_is_forgotten_with_them(house: House) -> None:
    async with guest(house.url) as budi, ClientSession(house.url) as http:
        await ask(http, "PUT", budi.token, CHOICE)
        assert await house.services.database["preferences"].count_documents({}) == 1
        await budi.do("forget_me")
        await house.services.outboxes.settled("conversation", budi.session["conversation_id"], 10.0)
    assert await house.services.database["preferences"].count_documents({}) == 0


# --- with a click in a mail -------------------------------------------------------------------------------------------


async def unsubscribe(http: ClientSession, token: str, *, method: str = "POST") -> tuple[int, str]:
    one_click = {"data": {"List-Unsubscribe": "One-Click"}} if method == "POST" else {}
    async with http.request(method, "/unsubscribe", params={"t": token}, **one_click) as response:  # type: ignore[arg-type]
        assert response.content_type == "text/html"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        return response.status, unescape(await response.text())


async def test_one_post_ends_mails_and_looking_at_the_link_does_not(house: House, http: ClientSession) -> None:
    store, token = house.services.preferences, house.services.unsubscribing.token(EMAIL)
    status, page = await unsubscribe(http, token, method="GET")
    assert (status, "Do you want no more of these mails?" in page, 'method="post"' in page) == (200, True, True)
    assert is_wanted("reminder_24h", "email", await store.of(BUDI))
    for _ in range(2):
        status, page = await unsubscribe(http, token)
        assert (status, "You are unsubscribed" in page) == (200, True)
    preferences = await store.of(BUDI)
    assert not is_wanted("reminder_24h", "email", preferences)
    assert is_wanted("reminder_24h", "sms", preferences), "only mails were ended"
    assert is_wanted(BOOKING_CONFIRMED, "email", preferences), "what a visit needs still comes"


async def test_a_link_that_is_not_ours_does_nothing(house: House, http: ClientSession) -> None:
    right = house.services.unsubscribing.token(EMAIL)
    strangers = Unsubscribing("another secret of thirty-two characters", None).token(EMAIL)
    for token in ("", "x", right[:-2], strangers, house.tokens.sign("guest", "c_1")):
        for method in ("GET", "POST"):
            status, page = await unsubscribe(http, token, method=method)
            assert (status, "This link can't be used" in page) == (404, True)
    assert await house.services.database["preferences"].count_documents({}) == 0


async def test_the_page_speaks_the_language_of_its_reader(house: House) -> None:
    token = house.services.unsubscribing.token(EMAIL)
    async with ClientSession(house.url, headers={"Accept-Language": "id"}) as http:
        assert "Anda sudah berhenti berlangganan" in (await unsubscribe(http, token))[1]


def test_a_link_tells_no_address_and_opens_nothing_else(house: House) -> None:
    link = Unsubscribing(SECRET, "https://janji.example.com").link(EMAIL)
    assert link is not None
    assert link.startswith("https://janji.example.com/unsubscribe?t=")
    assert "budi" not in link.lower()
    tokens: Tokens = house.tokens
    assert tokens.read("guest", link.partition("?t=")[2]) is None
    assert Unsubscribing(SECRET, None).link(EMAIL) is None, "nobody told us where we are"


# --- what counts together ---------------------------------------------------------------------------------------------


async def test_what_was_said_of_any_address_of_a_person_counts(house: House) -> None:
    store, now = PreferencesStore(house.services.database["preferences"]), house.services.clock.now()
    assert await store.of(BUDI) == Preferences()
    await store.choose(BUDI.id, ["push"], (time(22), time(6, 30)), now)
    await store.switch_off(email_id("budi@example.COM"), "email", now)
    await store.stop(phone_id(PHONE), "sms", now)
    both = Preferences(frozenset({"push", "email"}), (time(22), time(6, 30)), frozenset({"sms"}))
    assert await store.of(BUDI) == both
    await store.start_again(phone_id(PHONE), "sms", now)
    await store.start_again(phone_id("+6281377788899"), "sms", now)
    assert (await store.of(BUDI)).stopped == frozenset()
    assert await house.services.database["preferences"].count_documents({}) == 3
