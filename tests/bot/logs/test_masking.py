"""What looks like a person or a key is taken out of what is logged, and what only looks a little like it stays."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bot.access.tokens import Tokens
from bot.logs.masking import MASK, masked
from conversations.ids import derived_id

TOKEN = Tokens("a secret of at least thirty-two characters", lambda: datetime.now(UTC)).sign(
    "guest", "c_49627b50a99d1e2e8014376e1bc0b760"
)
TICKET = "Zb3-kP0xQ_rV7sT1uW9yA2cE4gI6mO8n"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("call +6281377788899 now", "call [phone] now"),
        ("+62 813-7778-8899", "[phone]"),
        ("(+49 (0)30 1234567)", "([phone])"),
        ("08137-7788-899, please", "[phone], please"),
        ("0812-3456-7890", "[phone]"),
        ("phone=6281377788899", "phone=[phone]"),
        ("%2B6281377788899", "[phone]"),
        ("name,081377788899,phone:081377788899", "name,[phone],phone:[phone]"),
        ('E11000 duplicate key: { phone: "+6281377788899" }', 'E11000 duplicate key: { phone: "[phone]" }'),
        ("kusuma77@example.com is known", "[email] is known"),
        ("kusuma.77+x%40mail.example.co.id", "[email]"),
        (f"Authorization: Bearer {TOKEN}", "Authorization: [key]"),
        (f"got {TOKEN}.", "got [key]."),
        (TOKEN[:60], "[key]"),
        (f"used {TICKET} twice", "used [key] twice"),
        ('{"ticket": "abc"}', '{"[key]"}'),
        ("token=abc&x=1", "[key]&x=1"),
        (f"GET /api/poll/bookings?ticket={TICKET}&wait=0 was late", "GET /api/poll/bookings?… was late"),
        ("/api/therapists?name=Kusumawardhani", "/api/therapists?…"),
        ("at -6.212345, 106.843219", "at [place], [place]"),
        ("[-6.2123,106.8432]", "[[place],[place]]"),
        ("mongodb://janji:p@ss@db.example:27017/janji", "mongodb://…@db.example:27017/janji"),
        ("mongodb+srv://janji:hunter2@db.example/janji?w=majority", "mongodb+srv://…@db.example/janji?…"),
        ("rediss://:hunter2@10.0.0.1:6379", "rediss://…@10.0.0.1:6379"),
    ],
)
def test_a_sentence_loses_what_looks_like_a_person_or_a_key(said: str, kept: str) -> None:
    assert masked(said) == kept


@pytest.mark.parametrize(
    "value",
    [
        "c_3cd2eb64bad82e1f90c04e41d7e6e9b1",
        derived_id("b", "c_1", 3),
        "s_c7c324263dbac212ac04aa85609149fc:12:0",
        "conversation:c_aeee309b02e6c8e8ff7bcba4e91e95a0",
        "c_08123456789012345678901234567890",
        "guest:081234567890abcd",
        "0123456789abcdef",
        "ServiceConfirmed",
        "no_therapist",
        "bot/web/socketio/server.py:118 _hear",
        "aiohttp/web_protocol.py:510 _handle_request",
        "http://127.0.0.1:8000",
        "mongodb://127.0.0.1:27017",
        "localhost:27017: [Errno 111] Connection refused",
        "2026-12-01T08:12:34.567890Z",
        "2026-12-01 08:12:34.567890+07:00",
        "2026-08-12 10:20:30,123",
        "took 0.123456 s and 12.34567 ms",
        "Rp240.000",
        "Rp1.240.000,00",
        "24000000 IDR",
        "6 of 10, 99.95 %",
        "MongoDB 8.0.11, Python 3.11.7",
        "the bearer of it",
        "a token that was replaced was shown",
        "really? yes",
        "+62…33",
        24_000_000,
        628_123_456_789,
        12.3,
        0.5,
        1764590400.123456,
        True,
        None,
    ],
)
def test_what_says_nothing_about_anybody_stays(value: Any) -> None:
    assert masked(value) == value


def test_times_keep_all_their_decimals_and_places_lose_theirs() -> None:
    fields = {"took_ms": 0.123456, "wait_s": 12.34567, "lat": -6.212345, "lng": 106.8432}
    assert masked(fields) == {"took_ms": 0.123456, "wait_s": 12.34567, "lat": MASK, "lng": MASK}


def test_what_has_no_looks_is_known_by_the_field_that_it_stands_in() -> None:
    fields = {
        "name": "Kusumawardhani",
        "notes": ["anjing galak"],
        "latitude": -6.2,
        "location": {"text": "Gang Nangka"},
    }
    assert masked(fields) == {"name": MASK, "notes": [MASK], "latitude": MASK, "location": {"text": MASK}}


def test_nothing_is_too_deep_and_names_of_fields_are_looked_at_as_well() -> None:
    nested = {"a": [{"b": ({"c": "call 081377788899"},)}], "081377788899": 1}
    assert masked(nested) == {"a": [{"b": [{"c": "call [phone]"}]}], "[phone]": 1}


def test_of_a_value_of_another_kind_only_the_kind_is_told() -> None:
    assert masked({"raw": b"Kusuma", "error": ValueError("Kusuma")}) == {"raw": "<bytes>", "error": "<ValueError>"}


@pytest.mark.parametrize("text", ["a" * 100_000, "+1 " * 50_000, "eyJ" * 30_000, "a.@" * 30_000, "://" * 30_000])
def test_a_long_text_is_read_in_one_pass(text: str) -> None:
    assert masked(text) is not None
