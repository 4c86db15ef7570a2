"""What HTTP answers: to pages and apps, to monitors, and to whoever tries the handles of the doors."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import pytest
from aiohttp import ClientSession
from yarl import URL

from bot.runtime.embedded import Servers
from bot.settings.settings import DEMO_ADDRESS, DEMO_PHONE
from bot.web.http.exchange import LARGEST_BODY
from bot.web.http.pages import HTML_BY_PATH, PAGES
from tests.clients import JAKARTA, PATIENCE_S
from tests.house import KILOMETRE_IN_DEGREES, House, house_of, settings_for
from tests.lines import line_to
from tests.rhythms import SWIFT, paced

SIGN_IN = "/api/therapist/sign-in"
NOT_FOUND: dict[str, Any] = {"code": "not_found", "message": "We can't find that.", "fields": {}, "retry_after_s": None}


@pytest.fixture
async def http(house: House) -> AsyncIterator[ClientSession]:
    async with ClientSession(house.url, headers={"Accept-Language": "en"}) as session:
        yield session


async def get(http: ClientSession, path: str, **options: Any) -> dict[str, Any]:
    """The JSON of a request that is expected to succeed."""
    async with http.get(path, **options) as response:
        assert response.status == 200, await response.text()
        answer: dict[str, Any] = await response.json()
        return answer


async def error_of(http: ClientSession, method: str, path: str | URL, **options: Any) -> tuple[int, dict[str, Any]]:
    async with http.request(method, path, **options) as response:
        assert response.content_type == "application/json", await response.text()
        return response.status, (await response.json())["error"]


# --- the menu and the therapists --------------------------------------------------------------------------------------


async def test_the_menu_shows_services_with_their_prices(http: ClientSession) -> None:
    answer = await get(http, "/api/services")
    (service,) = answer["services"]
    assert (service["id"], service["name"], service["description"]) == (
        *("balinese", "Balinese massage"),
        "Calm and slow.",
    )
    assert [each["minutes"] for each in service["durations"]] == [60, 90, 120]
    assert service["durations"][0]["price"] == {"amount": 24_000_000, "currency": "IDR"}
    assert service["durations"][0]["price_text"] == "Rp240.000"
    assert answer["server_time"].endswith("Z")


NAMES: dict[tuple[str, str], str] = {
    ("", "en"): "Balinese massage",
    ("", "id-ID,id;q=0.9,en;q=0.8"): "Pijat Bali",
    ("", "fr, en;q=0.1"): "Balinese massage",
    ("", "fr"): "Pijat Bali",
    ("", "ÿ;q=x," * 100): "Pijat Bali",
    ("?locale=id", "en"): "Pijat Bali",
    ("?locale=en-GB", "id"): "Balinese massage",
    ("?locale=%00%ff", "en"): "Balinese massage",
}


async def test_the_menu_is_in_the_language_of_who_asks(http: ClientSession) -> None:
    async def name(query: str, accepted: str) -> str:
        answer = await get(http, f"/api/services{query}", headers={"Accept-Language": accepted})
        return str(answer["services"][0]["name"])

    assert {asked: await name(*asked) for asked in NAMES} == NAMES


async def test_therapists_are_shown_by_distance_and_nothing_is_told_that_is_theirs_alone(
    house: House, http: ClientSession
) -> None:
    far = await house.add_therapist(km=12, name="Far")
    near = await house.add_therapist(km=0.5, name="Near", durations=(60,), specialties=("Reflexology", "Four-handed"))
    away = await house.add_therapist(km=0.1, name="Away", is_available=False)
    position = {"latitude": str(JAKARTA[0]), "longitude": str(JAKARTA[1])}
    answer = await get(http, "/api/therapists", params=position)
    shown = answer["therapists"]
    assert [each["id"] for each in shown] == [near.id, far.id, away.id]
    assert [each["available"] for each in shown] == [True, True, False]
    assert [each["distance_text"] for each in shown] == ["1 km", "12 km", "1 km"]
    assert shown[0] == {
        "id": near.id,
        "name": "Near",
        "photo": near.photo,
        "rating": 4.8,
        "rating_count": 120,
        "specialties": ["Reflexology", "Four-handed"],
        "languages": ["English"],
        "gender": "female",
        "available": True,
        "distance_km": 1.0,
        "distance_text": "1 km",
        "durations": [60],
    }


async def test_therapists_are_found_around_a_position_and_for_a_duration(house: House, http: ClientSession) -> None:
    short = await house.add_therapist(km=1, durations=(60,))
    long = await house.add_therapist(km=3, durations=(60, 90, 120))

    async def ids(**query: str) -> list[str]:
        return [each["id"] for each in (await get(http, "/api/therapists", params=query))["therapists"]]

    assert await ids() == [short.id, long.id]
    assert await ids(duration="90") == [long.id]
    assert await ids(duration="60") == [short.id, long.id]
    from_the_north = {"latitude": str(JAKARTA[0] + 9 * KILOMETRE_IN_DEGREES), "longitude": str(JAKARTA[1])}
    assert await ids(**from_the_north) == [long.id, short.id]


async def test_distances_asked_for_from_everywhere_lead_to_no_therapists_door(
    house: House, http: ClientSession
) -> None:
    here = await house.add_therapist(km=0)
    a_street_further = await house.add_therapist(km=0.2)

    async def distances(north_km: float, east_km: float) -> dict[str, float]:
        place = (JAKARTA[0] + north_km * KILOMETRE_IN_DEGREES, JAKARTA[1] + east_km * KILOMETRE_IN_DEGREES)
        query = {"latitude": str(place[0]), "longitude": str(place[1])}
        shown = (await get(http, "/api/therapists", params=query))["therapists"]
        return {each["id"]: each["distance_km"] for each in shown}

    for corner in ((3.3, 0.0), (-2.4, 1.7), (0.1, -4.9), (0.05, 0.0)):
        told = await distances(*corner)
        assert told[here.id] == told[a_street_further.id], "two doors of one cell look the same"
        assert list(told) == sorted(told), "and their order says nothing"


WRONG_QUERIES: dict[str, dict[str, str]] = {
    "latitude=north": {"latitude": "must be a number"},
    "latitude=nan": {"latitude": "must be a number"},
    "longitude=1e999": {"longitude": "must be a number"},
    "latitude=%ff": {"latitude": "must be a number"},
    "latitude=-90.1&longitude=181": {"latitude": "is out of range", "longitude": "is out of range"},
    "duration=61": {"duration": "is not one of the choices"},
    "duration[$gt]=0": {"duration[$gt]": "is not known"},
    "limit=1000": {"limit": "is not known"},
    f"{'x' * 4000}=1": {"x" * 64: "is not known"},
}


async def test_a_query_that_makes_no_sense_is_refused_by_name(http: ClientSession) -> None:
    async def refusal(query: str) -> tuple[int, str, dict[str, str]]:
        status, error = await error_of(http, "GET", URL(f"/api/therapists?{query}", encoded=True))
        return status, error["code"], error["fields"]

    expected = {query: (422, "invalid", fields) for query, fields in WRONG_QUERIES.items()}
    assert {query: await refusal(query) for query in WRONG_QUERIES} == expected


# --- words and settings for the pages ---------------------------------------------------------------------------------


async def test_the_words_of_a_language_are_kept_for_minutes(house: House, http: ClientSession) -> None:
    async with http.get("/words/id.json") as response:
        assert (await response.json())["We can't find that."] == "Kami tidak dapat menemukannya."
        assert response.headers["Cache-Control"] == "max-age=300"
    english = await get(http, "/words/en.json")
    assert english["We can't find that."] == "We can't find that."


async def test_words_of_no_language_of_ours_are_not_found(http: ClientSession) -> None:
    for locale in ("fr", "EN", "%00", "..%2f..%2fjanji", "en.json%00"):
        async with http.get(URL(f"/words/{locale}.json", encoded=True)) as response:
            assert (locale, response.status) == (locale, 404)


@pytest.mark.parametrize("demo", [True, False])
async def test_pages_are_told_what_they_need_and_the_demonstrations_number_only_in_it(
    servers: Servers, database: str, demo: bool
) -> None:
    async with house_of(settings_for(servers, database, demo=demo)) as house, ClientSession(house.url) as http:
        assert await get(http, "/api/client-settings") == {
            "locale_default": "id",
            "locales": ["en", "id"],
            "demo": demo,
            "demo_therapist_phone": DEMO_PHONE if demo else None,
            "fallback_after_s": 6.0,
            "patience": asdict(SWIFT.pages),
            "app_store_url": None,
            "play_store_url": None,
            "map_default": {
                "latitude": JAKARTA[0],
                "longitude": JAKARTA[1],
                "address": DEMO_ADDRESS if demo else "",
            },
        }


# --- health -----------------------------------------------------------------------------------------------------------


async def ready(http: ClientSession) -> tuple[int, str, str, str]:
    async with http.get("/health/ready") as response:
        answer = await response.json()
        return response.status, answer["status"], answer["checks"]["mongodb"], answer["checks"]["redis"]


async def until_ready_says(http: ClientSession, *expected: Any) -> None:
    """What another task notices has no event that could be awaited from outside."""
    seen: tuple[Any, ...] = ()
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                seen = await ready(http)
                if seen == expected:
                    return
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"ready says {seen}, not {expected}") from None


async def test_a_process_that_serves_is_live_and_ready(http: ClientSession) -> None:
    assert await get(http, "/health/live") == {"status": "ok"}
    await until_ready_says(http, 200, "ok", "ok", "ok")


async def test_without_redis_a_process_serves_and_says_that_it_is_degraded(servers: Servers, database: str) -> None:
    async with line_to(servers.redis_url or "") as line:
        await line.cut()
        settings = settings_for(servers, database, redis_url=line.address)
        async with house_of(settings) as house, ClientSession(house.url) as http:
            assert await ready(http) == (200, "ok", "ok", "away")
            await line.mend()
            await until_ready_says(http, 200, "ok", "ok", "ok")
            await line.cut()
            await until_ready_says(http, 200, "ok", "ok", "away")


async def test_without_mongodb_a_process_lives_says_so_and_comes_back(servers: Servers, database: str) -> None:
    rhythms = paced(SWIFT, database={"operation_within_s": 0.4})
    async with line_to(servers.mongodb_uri or "") as line:
        settings = settings_for(servers, database, mongodb_uri=line.address, log_level="error", rhythms=rhythms)
        async with house_of(settings) as house, ClientSession(house.url, headers={"Accept-Language": "en"}) as http:
            await until_ready_says(http, 200, "ok", "ok", "ok")
            await line.cut()
            await until_ready_says(http, 503, "unavailable", "away", "ok")
            assert await get(http, "/health/live") == {"status": "ok"}
            async with http.get("/api/services") as response:
                error = (await response.json())["error"]
                assert (response.status, error["code"], error["fields"]) == (503, "unavailable", {})
                assert error["message"].startswith("We can't do this right now. Nothing was lost")
                assert (response.headers["Retry-After"], error["retry_after_s"]) == ("2", 2.0)
            await line.mend()
            await until_ready_says(http, 200, "ok", "ok", "ok")
            assert (await get(http, "/api/services"))["services"]


async def test_a_process_that_stops_asks_for_no_more_visitors(house: House, http: ClientSession) -> None:
    await until_ready_says(http, 200, "ok", "ok", "ok")
    house.services.stopping.set()
    assert await ready(http) == (503, "stopping", "ok", "ok")
    assert await get(http, "/health/live") == {"status": "ok"}


# --- what is not there, and what is no request ------------------------------------------------------------------------


NO_ROUTES = (
    ("GET", "/api/nothing"),
    ("POST", "/api/nothing"),
    ("GET", "/api/"),
    ("GET", "/api/%00"),
    ("GET", f"/api/{'x' * 3000}"),
    ("GET", "/api/services/../secret"),
    ("GET", SIGN_IN),
    ("POST", "/api/services"),
    ("DELETE", "/api/services"),
    ("PUT", SIGN_IN),
    ("OPTIONS", "/api/services"),
)


async def test_an_api_route_that_is_not_there_is_not_found_in_the_shape_of_the_contract(http: ClientSession) -> None:
    for method, path in NO_ROUTES:
        assert await error_of(http, method, URL(path, encoded=True)) == (404, NOT_FOUND), (method, path)


async def test_a_page_is_only_read(http: ClientSession) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        async with http.request(method, "/") as response:
            assert (method, response.status) == (method, 405)


NOT_JSON: dict[str, bytes] = {
    "nothing": b"",
    "words": b"phone=081234567890",
    "cut off": b'{"phone": "0812',
    "not a number": b'{"phone": NaN}',
    "endless": b'{"phone": Infinity}',
    "too big for a float": b'{"phone": 1e999}',
    "half a character": b'{"phone": "\\ud800"}',
    "a control character": b'{"phone": "0812\x00"}',
    "no UTF-8": b'{"phone": "\xff"}',
    "UTF-16": '{"phone": "081234567890"}'.encode("utf-16"),
    "a comment": b"{} // phone",
    "very deep": b'{"phone":' + b"[" * 5000 + b"]" * 5000 + b"}",
    "deeper than any stack": b"[" * 60_000,
}


async def test_a_body_that_is_not_json_is_refused(http: ClientSession) -> None:
    refused = (422, "invalid", "The body is not JSON.", {"": "is not JSON"})
    for what, body in NOT_JSON.items():
        status, error = await error_of(http, "POST", SIGN_IN, data=body)
        assert (status, error["code"], error["message"], error["fields"]) == refused, what


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "identity, gzip", "anything"])
async def test_a_packed_body_is_refused_before_it_is_unpacked(http: ClientSession, encoding: str) -> None:
    """Fifty kilobytes that unpack to fifty megabytes took a tenth of a second of everybody's time."""
    bomb = gzip.compress(b"0" * 50_000_000)
    status, error = await error_of(http, "POST", SIGN_IN, data=bomb, headers={"Content-Encoding": encoding})
    assert (status, error["code"], error["fields"]) == (415, "invalid", {})


async def test_a_body_that_is_too_large_is_refused(http: ClientSession) -> None:
    body = b'{"phone": "' + b"1" * LARGEST_BODY + b'"}'
    status, error = await error_of(http, "POST", SIGN_IN, data=body)
    assert (status, error["code"], error["message"]) == (413, "too_large", "This is too long.")


async def test_a_body_may_begin_with_a_byte_order_mark(http: ClientSession) -> None:
    """As RFC 8259 permits who reads it."""
    status, error = await error_of(http, "POST", SIGN_IN, data=b"\xef\xbb\xbf" + b'{"phone": "no"}')
    assert (status, error["fields"].keys()) == (422, {"phone"})


async def test_a_body_of_the_largest_size_is_read(http: ClientSession) -> None:
    body = b'{"phone": "' + b"1" * (LARGEST_BODY - 13) + b'"}'
    assert len(body) == LARGEST_BODY
    status, error = await error_of(http, "POST", SIGN_IN, data=body)
    assert (status, error["fields"]) == (413, {"phone": "is too long"})


@pytest.mark.parametrize(("locale", "reason"), [("en", "is required"), ("id", "wajib diisi")])
async def test_an_error_is_in_the_language_of_who_asks(http: ClientSession, locale: str, reason: str) -> None:
    _, by_query = await error_of(http, "POST", f"{SIGN_IN}?locale={locale}", data=b"{}")
    _, by_header = await error_of(http, "POST", SIGN_IN, data=b"{}", headers={"Accept-Language": locale})
    assert by_query == by_header
    assert by_query["fields"] == {"phone": reason}


# --- pages and their files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(HTML_BY_PATH))
async def test_a_page_runs_our_own_files_and_nothing_else(http: ClientSession, path: str) -> None:
    async with http.get(path) as response:
        policy = dict(each.split(" ", 1) for each in response.headers["Content-Security-Policy"].split("; "))
        assert (response.status, response.content_type) == (200, "text/html")
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"
        assert await response.text() == (PAGES / HTML_BY_PATH[path]).read_text()
    assert policy["default-src"] == policy["script-src"] == policy["style-src"] == "'self'"
    assert (policy["object-src"], policy["base-uri"]) == ("'none'", "'none'")
    assert not any(
        "unsafe" in sources or "*" in sources for name, sources in policy.items() if name != "frame-ancestors"
    )
    assert policy["frame-ancestors"] == ("*" if path == "/chat" else "'self'")


async def test_only_the_named_websites_show_the_chat_in_a_frame(servers: Servers, database: str) -> None:
    settings = settings_for(servers, database, frame_ancestors="'self' https://spa.example")
    async with house_of(settings) as house, ClientSession(house.url) as http:
        for path, ancestors in (("/chat", "'self' https://spa.example"), ("/therapist", "'self'"), ("/", "'self'")):
            async with http.get(path) as response:
                assert response.headers["Content-Security-Policy"].endswith(f"frame-ancestors {ancestors}")


FILES = {
    "/chat/chat.js": "text/javascript",
    "/parts/style.css": "text/css",
    "/icon.svg": "image/svg+xml",
    "/widget.js": "text/javascript",
    "/sw-reminders.js": "text/javascript",
    "/icon-maskable-512.png": "image/png",
    "/manifest.webmanifest": "application/manifest+json",
    "/photos/01.svg": "image/svg+xml",
    "/vendor/socket.io.esm.min.js": "text/javascript",
}


async def test_a_file_says_what_it_is_and_is_not_sent_twice(http: ClientSession) -> None:
    for path, content_type in FILES.items():
        async with http.get(path) as response:
            assert (response.status, response.content_type) == (200, content_type), path
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Cache-Control"] == "no-cache"
            tag = response.headers["ETag"]
        async with http.get(path, headers={"If-None-Match": tag}) as response:
            assert response.status == 304, path


async def test_the_head_of_an_answer_can_be_asked_for_alone(http: ClientSession) -> None:
    for path in ("/", "/chat", "/parts/style.css", "/api/services", "/words/en.json", "/health/live"):
        async with http.get(path) as whole, http.head(path) as head:
            assert (head.status, head.content_type) == (200, whole.content_type), path
            assert head.headers.get("Content-Security-Policy") == whole.headers.get("Content-Security-Policy")
            assert head.headers["Content-Length"] == whole.headers["Content-Length"], path
            assert await head.read() == b""


NOBODYS_FILES = (
    "/../app.py",
    "/../../etc/passwd",
    "//etc/passwd",
    "/%2fetc%2fpasswd",
    "/%2e%2e/app.py",
    "/..%2fapp.py",
    "/..%5capp.py",
    "/..%2f..%2f.git%2fconfig",
    "/photos/../../app.py",
    "/photos/..%2f..%2fapp.py",
    "/photos/%2e%2e/%2e%2e/settings.py",
    "/%252e%252e/app.py",
    "/....//app.py",
    "/vendor/..%2fpackage.json",
    "/vendor/..%2f..%2f..%2f..%2fpyproject.toml",
    "/vendor/../../pyproject.toml",
    "/app.py%00.js",
    "/parts/style.css%00",
    "/%00",
    "/vendor/%00",
    "/%ff%fe",
    "/%ed%a0%80",
    "/" + "x" * 300,
    "/" + "x" * 7000,
    "/photos",
    "/photos/",
    "/.",
    "/..",
    "/shop/shop.html",
    "/photos/../shop/shop.html",
    "/nothing.js",
)


async def test_no_name_leads_to_a_file_that_is_not_for_everybody(house: House) -> None:
    for path in NOBODYS_FILES:
        answer = await raw(house, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 404 "), (path, answer)
        assert answer.endswith(b"\r\n\r\n404: Not Found"), (path, answer)


async def raw(house: House, request: bytes) -> bytes:
    """The answer to bytes that no client would send: others tidy the path before it leaves them."""
    reader, writer = await asyncio.open_connection("127.0.0.1", URL(house.url).port)
    writer.write(request)
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()
