"""What a person says, where they live and who they are never stands in a log, however much is logged."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiohttp import ClientSession, ClientWebSocketResponse, WSMsgType
from standardwebhooks import Webhook

from bot.access.tokens import Tokens
from bot.notifications.unsubscribing import Unsubscribing
from bot.runtime.embedded import Servers
from bot.services import connected
from bot.settings.settings import Settings
from bot.store.api_keys import SCOPES, ApiKeys
from bot.store.catalogue import Catalogue
from bot.store.therapists import TherapistRecord, Therapists
from tests.clients import JAKARTA, PATIENCE_S, Guest, guest, therapist
from tests.house import MASSAGE, SECRET, settings_for
from tests.processes import Web, site

pytestmark = pytest.mark.slow

PHONE, THERAPISTS_PHONE = "081377788899", "+6285211122233"
ADDRESS = "Jalan Teratai Gang Nangka 77"
# Everything that is told in the story, by what it is.
TOLD: Mapping[str, str] = {
    "the guest's name": "Kusumawardhani",
    "the guest's phone": PHONE[1:],
    "the therapist's name": "Puspitasari",
    "the therapist's phone": THERAPISTS_PHONE[3:],
    "the address": "Gang Nangka",
    "the latitude": "-6.212345",
    "the longitude": "106.843219",
    "the e-mail address": "kusuma77@example.com",
    "the notes": "anjing galak",
    "the guest's message": "gerbang hijau",
    "the therapist's message": "tunggu sebentar ya",
    "the reason": "jatuh dari motor",
}
ROOMS = {"conversation": "conversations", "search": "searches", "booking": "bookings"}
STREAMS = ("/api/poll/bookings", "/api/sse/bookings", "/ws/bookings")
SARI = TherapistRecord(
    id="t_sari",
    name=TOLD["the therapist's name"],
    phone=THERAPISTS_PHONE,
    photo="/photos/01.svg",
    rating=4.8,
    rating_count=120,
    gender="female",
    specialties=("Balinese",),
    languages=("English",),
    durations=(60, 90, 120),
    latitude=JAKARTA[0],
    longitude=JAKARTA[1],
    is_available=True,
    is_simulated=False,
    locale="en",
    visits=0,
)


async def test_the_whole_story_is_a_line_for_each_turn_and_leaves_nothing_of_anybody_in_the_log(
    servers: Servers, database: str, tmp_path: Path
) -> None:
    settings = settings_for(servers, database, log_level="debug", log_format="json", command_timeout_s=20.0)
    await open_shop(settings)
    async with site(settings, tmp_path) as place:
        web = await place.web()
        token, code = await sign_in(web)
        secrets = await tell_the_story(web, token)
        assert await web.stop() == 0
        logged = web.log.read_text()
    lines = lines_of(logged)
    assert {"turn", "a therapist signed in", "sign-in code"} <= {line["message"] for line in lines}
    assert not [line for line in lines if line["level"] == "error"]
    await assert_every_turn_is_one_line(settings, [line for line in lines if line["message"] == "turn"])
    assert_nothing_told(logged, {**TOLD, **secrets})
    # Six digits may stand in a longer number or an id by chance.
    assert re.search(rf"(?<![\w.]){code}(?!\w)", logged) is None, "the code is in the log"
    assert "127.0.0.1" not in logged.replace(web.url, ""), "an address of a client is in the log"


async def open_shop(settings: Settings) -> None:
    """Something to book, and Sari."""
    async with connected(settings) as stores:
        await Catalogue(stores["services"]).add_missing([MASSAGE])
        await Therapists(stores["therapists"]).add(SARI)


async def assert_every_turn_is_one_line(settings: Settings, turns: list[dict[str, Any]]) -> None:
    """The lines of each record, one after the other, lead through its states to where it stands now."""
    tokens = Tokens(SECRET, lambda: datetime.now(UTC))
    async with connected(settings) as stores:
        records = {room: await stores[name].find_one() for room, name in ROOMS.items()}
    conversation_id = records["conversation"]["_id"]
    assert {turn["conversation"] for turn in turns} == {conversation_id}
    for room, record in records.items():
        taken = [turn for turn in turns if (turn["record"], turn["result"]) == (record["_id"], "taken")]
        assert {turn["room"] for turn in taken} == {room}
        assert len(taken) == record["version"]
        states = [taken[0]["from"], *(turn["to"] for turn in taken)]
        assert states == [*(turn["from"] for turn in taken), record["state"]]
    people = {"guest": tokens.pseudonym("guest", conversation_id), "therapist": tokens.pseudonym("therapist", SARI.id)}
    told = [(turn["who"], turn["event"], turn["from"], turn["to"], turn.get("code")) for turn in turns]
    commands = [(who, *what) for who, *what in told if ":" in who]
    assert commands == [
        (people["guest"], "BookPressed", "idle", "confirming", None),
        (people["guest"], "ServiceConfirmed", "confirming", "confirming", "stale"),
        (people["guest"], "ScreenWanted", "confirming", "confirming", None),
        (people["guest"], "ServiceConfirmed", "confirming", "searching", None),
        (people["therapist"], "OfferAccepted", "asking", "keeping", None),
        (people["guest"], "TherapistAccepted", "choosing", "choosing", None),
        (people["therapist"], "TherapistWithdrew", "active", "no_therapist", None),
        (people["guest"], "Cancelled", "no_therapist", "cancelled", None),
    ]


def assert_nothing_told(logged: str, secrets: Mapping[str, str]) -> None:
    # What is no ASCII stands in JSON as it stands in a repr.
    for what, secret in secrets.items():
        for written in (secret, quote(secret), quote(secret, safe=""), secret.replace(" ", "+")):
            assert written not in logged, f"{what} is in the log"


def lines_of(logged: str) -> list[dict[str, Any]]:
    """Every line, whoever wrote it."""
    return [json.loads(line) for line in logged.splitlines()]


async def tell_the_story(web: Web, token: str) -> dict[str, str]:
    """A booking to the last word, with some mistakes on the way; gives what else is secret."""
    async with guest(web.url) as budi, therapist(web.url, token) as console:
        await budi.book()
        form = form_of(budi)
        await budi.refusal("confirm_service", **{**form, "duration": 61})
        await budi.refusal("confirm_service", **{**form, "revision": 9})
        await budi.refusal("confirm_service", **form, **{TOLD["the notes"]: TOLD["the address"]})
        await budi.do("confirm_service", **form)
        await console.do("accept_offer", offer_id=(await console.until_offer())["offer_id"])
        await budi.accept()
        await budi.until_state("active")
        booking = await console.until_booking("active")
        await budi.do("message", text=TOLD["the guest's message"])
        await budi.refusal("message", text=TOLD["the guest's message"] * 400)
        await console.do("message", booking_id=booking["id"], text=TOLD["the therapist's message"])
        await console.refusal("message", booking_id="b_unknown", text=TOLD["the therapist's message"])
        await console.do("cancel_booking", booking_id=booking["id"], reason=TOLD["the reason"])
        await budi.until_state("no_therapist")
        await budi.do("cancel", reason=TOLD["the reason"])
        await budi.until_state("cancelled")
        await speak_nonsense(web, budi, token)
        ticket = await read_by_ticket(web, token)
        return {"a token": budi.token, "the therapist's token": token, "a ticket": ticket, "our own secret": SECRET}


def form_of(budi: Guest) -> dict[str, Any]:
    latitude, longitude = float(TOLD["the latitude"]), float(TOLD["the longitude"])
    return budi.form(
        name=TOLD["the guest's name"],
        phone=PHONE,
        location={"address": ADDRESS, "latitude": latitude, "longitude": longitude},
        email=TOLD["the e-mail address"],
        notes=TOLD["the notes"],
    )


async def sign_in(web: Web) -> tuple[str, str]:
    """The token, and the code that it was given for."""
    async with ClientSession(web.url) as http:
        async with http.post("/api/therapist/sign-in", json={"phone": THERAPISTS_PHONE}) as response:
            code = (await response.json())["demo_code"]
        for tried in (code[::-1] if code != code[::-1] else "000000", code):
            body = {"phone": THERAPISTS_PHONE, "code": tried}
            async with http.post("/api/therapist/sign-in/confirm", json=body) as response:
                answer = await response.json()
    return str(answer["token"]), str(code)


async def read_by_ticket(web: Web, token: str) -> str:
    async with ClientSession(web.url) as http:
        async with http.post("/api/ticket", headers={"Authorization": f"Bearer {token}"}) as response:
            ticket = str((await response.json())["ticket"])
        for status in (200, 401):
            async with http.get("/api/poll/bookings", params={"ticket": ticket, "wait": "0"}) as response:
                assert response.status == status
    return ticket


async def speak_nonsense(web: Web, budi: Guest, token: str) -> None:
    """Requests and frames that are wrong, with what must not be logged in every place where it could stand."""
    query = {"latitude": TOLD["the latitude"], "longitude": TOLD["the longitude"], "name": TOLD["the guest's name"]}
    async with ClientSession(web.url, headers={"Authorization": f"Bearer {token}"}) as http:
        for path in ("/api/therapists", "/api/nothing", f"/{quote(ADDRESS)}.js", f"/{quote(ADDRESS)}%00"):
            async with http.get(path, params=query) as response:
                await response.read()
        for body in (f'{{"phone": "{PHONE}"', json.dumps({"phone": PHONE, "name": TOLD["the guest's name"]})):
            async with http.post("/api/therapist/sign-in", data=body) as response:
                await response.read()
        await speak_nonsense_in_handshakes(http, token)
        address = f"/socket.io/?EIO=4&transport=websocket&token={token}"
        async with http.ws_connect(address) as socket:
            hello = {"token": budi.token, TOLD["the notes"]: 1}
            await socket.send_str(f"40/guest,{json.dumps(hello)}")
            await socket.send_str(f"42/guest,1[{json.dumps(TOLD)}")
            async with asyncio.timeout(PATIENCE_S):
                async for _ in socket:
                    pass
        await speak_nonsense_on_streams(http, query, token)


async def speak_nonsense_in_handshakes(http: ClientSession, token: str) -> None:
    name = TOLD["the guest's name"]
    for strange in ({"sid": name}, {"sid": token, "transport": TOLD["the address"]}, {"EIO": PHONE}):
        question = {"EIO": "4", "transport": "websocket", **strange}
        for headers in ({}, {"Origin": f"https://{name}.example"}):
            async with http.get("/socket.io/", params=question, headers=headers) as response:
                assert response.status >= 400


async def speak_nonsense_on_streams(http: ClientSession, query: Mapping[str, str], token: str) -> None:
    """Tokens that open nothing, questions that make no sense, and frames that are none of ours."""
    refused = {"Authorization": f"Bearer {token}x"}
    for path in STREAMS:
        for headers, params in ((refused, {}), ({}, query), (refused, {"ticket": token})):
            async with http.get(path, params=params, headers=headers) as response:
                assert response.status >= 400
    for command in ("guest/cancel", "guest/message", "therapist/message", f"guest/{quote(ADDRESS)}"):
        async with http.post(f"/api/{command}", json=TOLD, headers=refused) as response:
            assert response.status >= 400
    async with http.ws_connect("/ws/bookings") as socket:
        for said in (TOLD["the guest's message"], json.dumps(TOLD), json.dumps({"event": "message", "data": TOLD})):
            await socket.send_str(said)
            assert (await next_ack(socket))["ok"] is False
        await socket.send_bytes(TOLD["the address"].encode())
        while (await socket.receive(timeout=PATIENCE_S)).type is WSMsgType.TEXT:
            pass


async def next_ack(socket: ClientWebSocketResponse) -> dict[str, Any]:
    """Entries of the feed are passed over."""
    while True:
        frame: dict[str, Any] = await socket.receive_json(timeout=PATIENCE_S)
        if "ack" in frame:
            return frame


@pytest.mark.parametrize("shown", [True, False])
async def test_a_running_program_tells_a_code_to_its_log_only_where_it_is_asked_to(
    servers: Servers, database: str, tmp_path: Path, shown: bool
) -> None:
    settings = settings_for(
        servers, database, log_level="info", log_format="json", demo=False, show_sign_in_codes=shown
    )
    async with site(settings, tmp_path) as place:
        web = await place.web()
        asked = {"phone": THERAPISTS_PHONE}
        async with ClientSession(web.url) as http, http.post("/api/therapist/sign-in", json=asked) as response:
            assert (await response.json())["demo_code"] is None
        await web.stop()
    async with connected(settings) as stores:
        kept = await stores["sign_ins"].find_one({"_id": THERAPISTS_PHONE})
    (line,) = [line for line in lines_of(web.log.read_text()) if line["message"] == "sign-in code"]
    assert line["phone"] == "+62…33"
    (code,) = kept["codes"]
    made = Tokens(SECRET, lambda: code["born_at"]).sign_in_code(THERAPISTS_PHONE, code["nonce"])
    assert line.get("code") == (made if shown else None)


# --- other systems ----------------------------------------------------------------------------------------------------

WIZARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TOLD_BY_OTHERS: Mapping[str, str] = {
    "their customer's name": "Wulandari",
    "their customer's phone": "81266655544",
    "their customer's e-mail address": "wulan66@example.com",
    "their place": "Gang Kenanga",
    "their provider": "Tukang Cukur Agus",
    "their reason": "listrik padam",
}
THEIR_NEWS: Mapping[str, Any] = {
    "booking_id": "9d2f4a6c-1e30-4957-9b8d-3f2b8c0d4e1a",
    "customer_name": TOLD_BY_OTHERS["their customer's name"],
    "customer_phone": "+62" + TOLD_BY_OTHERS["their customer's phone"],
    "customer_email": TOLD_BY_OTHERS["their customer's e-mail address"],
    "barbershop_name": "Potong Rapi",
    "barber_name": TOLD_BY_OTHERS["their provider"],
    "service_name": "Potong rambut",
    "appointment_date": "2099-12-01T10:00:00Z",
    "appointment_duration": 60,
    "address": TOLD_BY_OTHERS["their place"],
    "reason": TOLD_BY_OTHERS["their reason"],
}


async def test_nothing_that_other_systems_tell_stands_in_the_log_and_no_key_of_theirs(
    servers: Servers, database: str, tmp_path: Path
) -> None:
    settings = settings_for(
        servers, database, log_level="debug", log_format="json", booking_wizard_secret=WIZARD_SECRET
    )
    async with connected(settings) as stores:
        key, text = await ApiKeys(stores["api_keys"]).issue("shop", SCOPES, datetime.now(UTC))
    token = Unsubscribing(SECRET, None).token(THEIR_NEWS["customer_email"])
    async with site(settings, tmp_path) as place:
        web = await place.web()
        async with ClientSession(web.url) as http:
            await tell_as_another_system(http, text)
            await send_as_the_wizard(http)
            for method in ("GET", "POST"):
                async with http.request(method, "/unsubscribe", params={"t": token}) as response:
                    assert response.status == 200
        assert await web.stop() == 0
        logged = web.log.read_text()
    lines = lines_of(logged)
    assert {line["who"] for line in lines if line["message"] == "turn"} >= {f"integrator:{key.id}"}
    assert not [line for line in lines if line["level"] == "error"]
    secrets = {"a key": text.partition(key.id)[2], "a whole key": text, "a link": token, "a secret": WIZARD_SECRET[6:]}
    assert_nothing_told(logged, {**TOLD_BY_OTHERS, **secrets})


async def tell_as_another_system(http: ClientSession, key: str) -> None:
    """Right and wrong requests, with a right key, with pieces of it, and in places where none belongs."""
    path = "/api/v1/booking-notifications"
    for given in (f"Bearer {key}", f"Bearer {key}x", f"Bearer {key[:-1]}", key, f"Basic {key}"):
        headers = {"Authorization": given, "Idempotency-Key": key}
        for body in (THEIR_NEWS, {**THEIR_NEWS, TOLD_BY_OTHERS["their place"]: 1}, {**THEIR_NEWS, "timezone": key}):
            for what in ("booking-confirmed", "booking-cancelled", key):
                async with http.post(f"{path}/{what}", json=body, headers=headers, params={"key": key}) as response:
                    await response.read()
    for what in (f"notifications/{key}/status", f"notifications/{key}/retry", f"health?key={key}"):
        async with http.get(f"{path}/{what}", headers={"Authorization": f"Bearer {key}"}) as response:
            await response.read()


async def send_as_the_wizard(http: ClientSession) -> None:
    now = datetime.now(UTC)
    for body in (
        json.dumps({"type": "booking.created", "data": {**THEIR_NEWS, "revision": 1}}),
        json.dumps(THEIR_NEWS),
    ):
        for signed in (body, f"{body} "):
            headers = {
                "webhook-id": "msg_1",
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": Webhook(WIZARD_SECRET).sign("msg_1", now, signed),
            }
            async with http.post(
                "/api/v1/booking-notifications/webhooks/booking-wizard", data=body, headers=headers
            ) as response:
                assert response.status in (200, 403, 422)
