"""Therapists come in with a code: short-lived, guarded, and telling nobody which numbers there are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import ClientSession
from structlog.testing import capture_logs

from bot.doors.sign_in import SigningIn
from bot.embedded import Servers
from bot.errors import Refusal
from bot.store.sign_ins import CODE_LIVES, CODES_WITHIN, MOST_CODES, MOST_TRIES
from bot.store.therapists import TherapistRecord
from bot.views import moment
from tests.clock import FakeClock
from tests.house import House, house_of, settings_for

PHONE = "+6281234567890"
NOBODYS_PHONE = "+6281299999999"
WRONG = "This code is not right."
SPENT = "This code can't be used any more. Please ask for a new one."


@dataclass(slots=True)
class Desk:
    """The two requests of signing in, and their answers."""

    house: House
    http: ClientSession

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
        async with self.http.post(url, json=body) as response:
            return response.status, await response.json()


@asynccontextmanager
async def desk_of(house: House) -> AsyncIterator[Desk]:
    async with ClientSession() as http:
        yield Desk(house, http)


@pytest.fixture
async def desk(house: House) -> AsyncIterator[Desk]:
    async with desk_of(house) as opened:
        yield opened


@pytest.fixture
async def ayu(house: House) -> TherapistRecord:
    return await house.add_therapist(phone=PHONE, name="Ayu")


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


def problem(answer: tuple[int, dict[str, Any]]) -> tuple[int, str, str, dict[str, str]]:
    status, body = answer
    return status, body["error"]["code"], body["error"]["message"], body["error"]["fields"]


async def test_a_code_opens_the_door_of_its_therapist(desk: Desk, ayu: TherapistRecord) -> None:
    status, answer = await desk.ask("0812-3456-7890")
    assert (status, answer["ok"]) == (200, True)
    code = answer["demo_code"]
    status, answer = await desk.confirm(code)
    assert (status, answer["ok"]) == (200, True)
    assert answer["therapist"] == {"id": ayu.id, "name": "Ayu", "photo": ayu.photo}
    assert (claims := desk.house.tokens.read("therapist", answer["token"])) is not None
    assert claims.subject == ayu.id


async def test_a_code_is_kept_as_a_hash_that_only_we_can_make(desk: Desk) -> None:
    _, answer = await desk.ask()
    kept = await desk.kept()
    assert kept["code_hash"] == desk.house.tokens.code_hash(PHONE, answer["demo_code"])
    assert answer["demo_code"] not in str({name: value for name, value in kept.items() if name != "_id"})
    assert moment(kept["expires_at"]) == answer["expires_at"]
    assert kept["expires_at"] - kept["issued"][0] == timedelta(minutes=10)


@pytest.mark.usefixtures("ayu")
async def test_a_code_is_used_once_even_by_two_at_the_same_moment(desk: Desk) -> None:
    code = await desk.code()
    answers = await asyncio.gather(desk.confirm(code), desk.confirm(code), desk.confirm(code))
    assert sorted(status for status, _ in answers) == [200, 401, 401]
    assert problem(await desk.confirm(code)) == (401, "unauthorized", SPENT, {})


@pytest.mark.usefixtures("ayu")
async def test_after_five_wrong_tries_the_code_is_spent_and_a_new_one_is_not(desk: Desk) -> None:
    code = await desk.code()
    for _ in range(MOST_TRIES):
        answer = await desk.confirm(other_than(code))
        assert problem(answer) == (401, "unauthorized", WRONG, {"code": "is not right"})
    assert problem(await desk.confirm(code)) == (401, "unauthorized", SPENT, {})
    fresh = await desk.code()
    assert (await desk.confirm(fresh))[0] == 200


@pytest.mark.usefixtures("ayu")
async def test_only_the_newest_code_counts(desk: Desk) -> None:
    first, second = await desk.code(), await desk.code()
    assert (await desk.confirm(first))[0] == (401 if first != second else 200)
    assert (await desk.confirm(second))[0] == 200


@pytest.mark.usefixtures("ayu")
async def test_a_code_ends_after_ten_minutes_by_the_clock_of_the_database(house: House) -> None:
    clock = FakeClock(house.services.clock.now())
    house.services.clock = clock  # type: ignore[assignment]
    signing_in = SigningIn(house.services)
    code = (await signing_in.send_code(PHONE))["demo_code"]
    started = clock.at
    clock.at = started + CODE_LIVES
    with pytest.raises(Refusal, match="can't be used any more"):
        await signing_in.confirm(PHONE, code)
    clock.at = started + CODE_LIVES - timedelta(seconds=1)
    assert (await signing_in.confirm(PHONE, code))["ok"]


async def test_the_sixth_code_within_an_hour_is_refused_with_the_time_to_try_again(house: House) -> None:
    clock = FakeClock(house.services.clock.now())
    house.services.clock = clock  # type: ignore[assignment]
    signing_in = SigningIn(house.services)
    for _ in range(MOST_CODES):
        await signing_in.send_code(PHONE)
        clock.at += timedelta(minutes=5)
    with pytest.raises(Refusal) as caught:
        await signing_in.send_code(PHONE)
    assert (caught.value.code, caught.value.retry_after_s) == ("too_many_requests", 35 * 60)
    await signing_in.send_code(NOBODYS_PHONE)
    clock.at += timedelta(minutes=35)
    assert (await signing_in.send_code(PHONE))["ok"]


async def test_a_browser_is_told_how_long_to_wait_in_the_header_too(desk: Desk) -> None:
    for _ in range(MOST_CODES):
        await desk.ask()
    url = f"{desk.house.url}/api/therapist/sign-in?locale=en"
    async with desk.http.post(url, json={"phone": PHONE}) as response:
        error = (await response.json())["error"]
        assert (response.status, error["code"]) == (429, "too_many_requests")
        assert error["message"] == "Too many codes were asked for. Please try again later."
        assert 0 < error["retry_after_s"] <= CODES_WITHIN.total_seconds()
        assert response.headers["Retry-After"] == str(round(error["retry_after_s"]))


async def test_nobody_learns_whether_a_number_belongs_to_a_therapist(servers: Servers, database: str) -> None:
    async with house_of(settings_for(servers, database, demo=False)) as house, desk_of(house) as desk:
        await house.add_therapist(phone=PHONE)
        assert await _all_that_is_heard(desk, PHONE) == await _all_that_is_heard(desk, NOBODYS_PHONE)


async def _all_that_is_heard(desk: Desk, phone: str) -> list[Any]:
    """What somebody without the code can hear about a number; of moments only that they are there."""
    heard: list[Any] = [problem(await desk.confirm("123456", phone))]
    for _ in range(MOST_CODES):
        status, answer = await desk.ask(phone)
        heard.append((status, sorted(answer), answer["demo_code"]))
    code_hash = (await desk.kept(phone))["code_hash"]
    tokens = desk.house.tokens
    wrong = next(code for code in ("000000", "111111") if tokens.code_hash(phone, code) != code_hash)
    heard += [problem(await desk.confirm(wrong, phone)) for _ in range(MOST_TRIES + 1)]
    heard.append(problem(await desk.ask(phone)))
    return heard


async def test_the_right_code_of_a_number_that_nobody_has_is_not_right(desk: Desk) -> None:
    _, answer = await desk.ask(NOBODYS_PHONE)
    assert problem(await desk.confirm(answer["demo_code"], NOBODYS_PHONE)) == (
        *(401, "unauthorized", WRONG),
        {"code": "is not right"},
    )


@pytest.mark.parametrize("demo", [True, False])
async def test_a_code_is_shown_by_the_demonstration_only(servers: Servers, database: str, demo: bool) -> None:
    async with house_of(settings_for(servers, database, demo=demo)) as house, desk_of(house) as desk:
        _, answer = await desk.ask()
        assert (answer["demo_code"] is not None) is demo


@pytest.mark.parametrize("shown", [True, False])
async def test_a_code_is_logged_only_where_the_operator_wants_it_and_a_number_never_whole_besides(
    servers: Servers, database: str, shown: bool
) -> None:
    settings = settings_for(servers, database, show_sign_in_codes=shown)
    async with house_of(settings) as house, desk_of(house) as desk:
        ayu = await house.add_therapist(phone=PHONE, name="Ayu")
        with capture_logs() as logs:
            code = await desk.code()
            assert (await desk.confirm(code))[0] == 200
    asked, came_in = (line for line in logs if "sign" in line["event"])
    assert (asked.get("phone"), asked.get("code")) == ((PHONE, code) if shown else ("+62…90", None))
    assert came_in == {"event": "a therapist signed in", "therapist": ayu.id, "log_level": "info"}
