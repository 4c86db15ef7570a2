"""Therapists come in with a code: short-lived, guarded, and telling nobody which numbers there are."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from bot.errors import Refusal
from bot.runtime.embedded import Servers
from bot.schemas.views import moment
from bot.settings.settings import Settings
from bot.store.sign_ins import CODE_IS_FRESH, CODE_LIVES
from bot.store.therapists import TherapistRecord
from bot.web.http.sign_in import SigningIn
from tests.clock import FakeClock
from tests.house import WIDE_LIMITS, House, house_of, settings_for

PHONE = "+6281234567890"
NOBODYS_PHONE = "+6281299999999"
HOME, STRANGER = "203.0.113.7", "198.51.100.66"
DEFAULTS = {name: each.default for name, each in Settings.model_fields.items()}
WRONG = "This code is not right."
SPENT = "This code can't be used any more. Please ask for a new one."


@dataclass(slots=True)
class Console:
    """The two requests of signing in, and their answers."""

    house: House
    http: ClientSession
    address: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    async def ask(self, phone: str = PHONE) -> tuple[int, dict[str, Any]]:
        return await self._post("sign-in", {"phone": phone})

    async def confirm(self, code: str, phone: str = PHONE) -> tuple[int, dict[str, Any]]:
        return await self._post("sign-in/confirm", {"phone": phone, "code": code})

    async def code(self) -> str:
        """A fresh code, as the demonstration shows it."""
        _, answer = await self.ask()
        return str(answer["demo_code"])

    async def kept(self, phone: str = PHONE) -> dict[str, Any]:
        document: dict[str, Any] = await self.house.services.database["sign_ins"].find_one({"_id": phone})
        return document

    async def _post(self, route: str, body: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        url = f"{self.house.url}/api/therapist/{route}?locale=en"
        seen_by_router = {"X-Forwarded-For": self.address} if self.address else {}
        async with self.http.post(url, json=body, headers=seen_by_router) as response:
            self.headers = response.headers
            return response.status, await response.json()


@asynccontextmanager
async def console_of(house: House) -> AsyncIterator[Console]:
    async with ClientSession() as http:
        yield Console(house, http)


@pytest.fixture
async def console(house: House) -> AsyncIterator[Console]:
    async with console_of(house) as opened:
        yield opened


@pytest.fixture
async def ayu(house: House) -> TherapistRecord:
    return await house.add_therapist(phone=PHONE, name="Ayu")


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def problem(answer: tuple[int, dict[str, Any]]) -> tuple[int, str, str, dict[str, str]]:
    status, body = answer
    return status, body["error"]["code"], body["error"]["message"], body["error"]["fields"]


async def test_a_code_opens_the_door_of_its_therapist(console: Console, ayu: TherapistRecord) -> None:
    status, answer = await console.ask("0812-3456-7890")
    assert (status, answer["ok"]) == (200, True)
    code = answer["demo_code"]
    status, answer = await console.confirm(code)
    assert (status, answer["ok"]) == (200, True)
    assert answer["therapist"] == {"id": ayu.id, "name": "Ayu", "photo": ayu.photo}
    assert (claims := console.house.tokens.read("therapist", answer["token"])) is not None
    assert claims.subject == ayu.id


async def test_what_is_kept_of_a_code_is_not_the_code(console: Console) -> None:
    _, answer = await console.ask()
    kept = await console.kept()
    (code,) = kept["codes"]
    assert console.house.tokens.sign_in_code(PHONE, code["nonce"]) == answer["demo_code"]
    assert answer["demo_code"] not in str({name: value for name, value in kept.items() if name != "_id"})
    assert moment(code["born_at"] + timedelta(minutes=10)) == answer["expires_at"]


@pytest.mark.usefixtures("ayu")
async def test_a_code_is_used_once_even_by_two_at_the_same_moment(console: Console) -> None:
    code = await console.code()
    answers = await asyncio.gather(console.confirm(code), console.confirm(code), console.confirm(code))
    assert sorted(status for status, _ in answers) == [200, 401, 401]
    assert problem(await console.confirm(code)) == (401, "unauthorized", SPENT, {})


@pytest.mark.usefixtures("ayu")
async def test_the_code_that_was_asked_for_twice_is_the_same(console: Console) -> None:
    first, second = await console.code(), await console.code()
    assert first == second
    assert (await console.confirm(second))[0] == 200


@pytest.mark.usefixtures("ayu")
async def test_a_code_ends_after_ten_minutes_by_the_clock_of_the_database(house: House) -> None:
    clock = FakeClock(house.services.clock.now())
    house.services.clock = clock
    signing_in = SigningIn(house.services)
    code = (await signing_in.send_code(PHONE, HOME))["demo_code"]
    started = clock.at
    clock.at = started + CODE_LIVES
    with pytest.raises(Refusal, match="can't be used any more"):
        await signing_in.confirm(PHONE, code, HOME)
    clock.at = started + CODE_LIVES - timedelta(seconds=1)
    assert (await signing_in.confirm(PHONE, code, HOME))["ok"]


# --- how often --------------------------------------------------------------------------------------------------------


@pytest.fixture
async def guarded(servers: Servers, database: str) -> AsyncIterator[Console]:
    """A console behind a router that names addresses, with the limits on codes and guesses that people get."""
    codes = {name: DEFAULTS[name] for name in WIDE_LIMITS if name.startswith(("limit_codes", "limit_guesses"))}
    async with (
        house_of(settings_for(servers, database, trust_proxy=True, **codes)) as house,
        console_of(house) as console,
    ):
        await house.add_therapist(phone=PHONE, name="Ayu")
        yield console


async def test_who_asks_too_often_is_told_when_to_ask_again(guarded: Console) -> None:
    guarded.address = STRANGER
    answers = [await guarded.ask() for _ in range(5)]
    assert [status for status, _ in answers] == [200] * 4 + [429]
    error = answers[-1][1]["error"]
    assert (error["code"], error["message"]) == (
        *("too_many_requests", "Too many codes were asked for. Please try again later."),
    )
    assert 500 < error["retry_after_s"] <= 600
    assert guarded.headers["Retry-After"] == str(math.ceil(error["retry_after_s"]))


async def test_a_stranger_cannot_lock_a_therapist_out(guarded: Console) -> None:
    """Whatever one address asks for and guesses about a number, its owner signs in from another one."""
    guarded.address = STRANGER
    asked = [(await guarded.ask())[0] for _ in range(50)]
    guarded.address = HOME
    code = await guarded.code()
    guarded.address = STRANGER
    guessed = [(await guarded.confirm(other_than(code)))[0] for _ in range(50)]
    again = [(await guarded.ask())[0] for _ in range(10)]
    guarded.address = HOME
    assert (await guarded.confirm(code))[0] == 200
    assert (asked.count(200), guessed.count(401), again.count(200)) == (4, 5, 0)
    assert {*asked, *again} == {200, 429}


async def test_a_stranger_who_asks_first_does_not_shorten_the_code_of_its_owner(guarded: Console) -> None:
    clock = FakeClock(guarded.house.services.clock.now())
    guarded.house.services.clock = clock
    signing_in = SigningIn(guarded.house.services)
    await signing_in.send_code(PHONE, STRANGER)
    clock.at += CODE_IS_FRESH - timedelta(seconds=1)
    code = (await signing_in.send_code(PHONE, HOME))["demo_code"]
    clock.at += timedelta(seconds=2)
    await signing_in.send_code(PHONE, STRANGER)
    clock.at += CODE_IS_FRESH - timedelta(seconds=2)
    assert (await signing_in.confirm(PHONE, code, HOME))["ok"]


async def test_a_phone_that_changes_its_network_brings_its_code_along(guarded: Console) -> None:
    guarded.address = HOME
    code = await guarded.code()
    guarded.address = "2001:db8::17"
    assert (await guarded.confirm(code))[0] == 200


async def test_many_addresses_together_guess_no_more_than_the_number_allows(guarded: Console) -> None:
    code = await guarded.code()
    statuses = []
    for number in range(40):
        guarded.address = f"198.51.100.{number}"
        statuses.append((await guarded.confirm(other_than(code)))[0])
    assert (statuses.count(401), statuses.count(429)) == (15, 25)


async def test_a_made_up_address_does_not_help_who_guesses(guarded: Console) -> None:
    """AT6.6: the router appends the address it sees, and what the client wrote before it counts for nothing."""
    code = await guarded.code()
    statuses = []
    for number in range(8):
        guarded.address = f"198.51.100.{number}, {STRANGER}"
        statuses.append((await guarded.confirm(other_than(code)))[0])
    assert statuses == [401] * 5 + [429] * 3


async def test_nobody_learns_whether_a_number_belongs_to_a_therapist(servers: Servers, database: str) -> None:
    rates = {"limit_codes_per_phone": "1/h:4", "limit_guesses_per_phone": "1/h:6"}
    async with house_of(settings_for(servers, database, demo=False, **rates)) as house, console_of(house) as console:
        await house.add_therapist(phone=PHONE)
        assert await _all_that_is_heard(console, PHONE) == await _all_that_is_heard(console, NOBODYS_PHONE)


async def _all_that_is_heard(console: Console, phone: str) -> list[Any]:
    """What somebody without the code can hear about a number; of moments only that they are there."""
    heard: list[Any] = [problem(await console.confirm("123456", phone))]
    for _ in range(5):
        status, answer = await console.ask(phone)
        heard.append((status, sorted(answer), answer.get("demo_code")))
    (code,) = (await console.kept(phone))["codes"]
    wrong = other_than(console.house.tokens.sign_in_code(phone, code["nonce"]))
    heard += [problem(await console.confirm(wrong, phone)) for _ in range(6)]
    return heard


async def test_the_right_code_of_a_number_that_nobody_has_is_not_right(console: Console) -> None:
    _, answer = await console.ask(NOBODYS_PHONE)
    assert problem(await console.confirm(answer["demo_code"], NOBODYS_PHONE)) == (
        *(401, "unauthorized", WRONG),
        {"code": "is not right"},
    )


@pytest.mark.parametrize("demo", [True, False])
async def test_a_code_is_shown_by_the_demonstration_only(servers: Servers, database: str, demo: bool) -> None:
    async with house_of(settings_for(servers, database, demo=demo)) as house, console_of(house) as console:
        _, answer = await console.ask()
        assert (answer["demo_code"] is not None) is demo


@pytest.mark.parametrize("shown", [True, False])
async def test_a_code_is_logged_only_where_the_operator_wants_it_and_a_number_never_whole_besides(
    servers: Servers, database: str, shown: bool
) -> None:
    settings = settings_for(servers, database, show_sign_in_codes=shown)
    async with house_of(settings) as house, console_of(house) as console:
        ayu = await house.add_therapist(phone=PHONE, name="Ayu")
        with capture_logs() as logs:
            code = await console.code()
            assert (await console.confirm(code))[0] == 200
    asked, came_in = (line for line in logs if "sign" in line["event"])
    assert (asked.get("phone"), asked.get("code")) == ("+62…90", code if shown else None)
    assert came_in == {
        "event": "a therapist signed in",
        "who": house.tokens.pseudonym("therapist", ayu.id),
        "log_level": "info",
    }
