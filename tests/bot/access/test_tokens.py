"""A token opens what it was signed for, for as long as it was signed for, and nothing else."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from bot.access.tokens import LIVES, Claims, Tokens
from bot.identity import Audience, digest_of, new_id
from tests.clock import FakeClock

SECRET = "a secret for the tests, longer than sixty-four characters, as HS512 wants it"
START = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
AUDIENCES: tuple[Audience, ...] = ("guest", "therapist")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def tokens(clock: FakeClock) -> Tokens:
    return Tokens(SECRET, clock.now)


def claims(**changes: Any) -> dict[str, Any]:
    """What we would sign ourselves; a claim that is changed to None is left out."""
    signed = {"aud": "guest", "sub": "c_1", "iat": START, "exp": START + timedelta(days=1), **changes}
    return {name: value for name, value in signed.items() if value is not None}


def signed(secret: str | None = SECRET, algorithm: str = "HS256", **changes: Any) -> str:
    return jwt.encode(claims(**changes), secret, algorithm=algorithm)


def segment(data: Any) -> str:
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


def with_payload_of(token: str, other: str) -> str:
    """The header and signature of one token around the claims of another."""
    header, _, signature = token.split(".")
    return ".".join((header, other.split(".")[1], signature))


def subject_of(tokens: Tokens, audience: Audience, token: str | None) -> str | None:
    known = tokens.read(audience, token)
    return known.subject if known else None


@pytest.mark.parametrize("audience", AUDIENCES)
def test_a_token_says_whose_it_is(tokens: Tokens, audience: Audience) -> None:
    assert subject_of(tokens, audience, tokens.sign(audience, "x_1")) == "x_1"


def test_a_token_says_its_place_in_the_row_and_its_version(tokens: Tokens) -> None:
    assert tokens.read("guest", tokens.sign("guest", "c_1", generation=7, version=2)) == Claims("guest", "c_1", 7, 2)
    assert tokens.read("guest", signed()) == Claims("guest", "c_1", 0, 0), "one from before there were such claims"
    assert tokens.read("guest", signed(gen="7")) is None


def test_a_token_of_one_audience_is_nothing_to_the_other(tokens: Tokens) -> None:
    assert subject_of(tokens, "therapist", tokens.sign("guest", "x_1")) is None
    assert subject_of(tokens, "guest", tokens.sign("therapist", "x_1")) is None


@pytest.mark.parametrize("audience", AUDIENCES)
def test_a_token_ends_at_its_moment_by_the_clock_of_the_database(
    tokens: Tokens, clock: FakeClock, audience: Audience
) -> None:
    token = tokens.sign(audience, "x_1")
    clock.at = START + LIVES[audience] - timedelta(seconds=1)
    assert subject_of(tokens, audience, token) == "x_1"
    clock.at = START + LIVES[audience]
    assert subject_of(tokens, audience, token) is None


@pytest.mark.parametrize("year", [1999, 2099])
def test_a_machine_with_a_wrong_clock_takes_a_token_all_the_same(year: int) -> None:
    elsewhere = Tokens(SECRET, FakeClock(START.replace(year=year)).now)
    assert subject_of(elsewhere, "guest", elsewhere.sign("guest", "c_1")) == "c_1"


FORGED: dict[str, str] = {
    "signed with another key": signed(secret=SECRET[::-1]),
    "not signed at all": signed(secret=None, algorithm="none"),
    "not signed, and the header shouts": f"{segment({'alg': 'NONE'})}.{signed().split('.')[1]}.",
    "signed with another algorithm": signed(algorithm="HS512"),
    "signed with a third algorithm": signed(algorithm="HS384"),
    "a public key algorithm over our secret": f"{segment({'alg': 'RS256'})}.{'.'.join(signed().split('.')[1:])}",
    "the signature cut off": signed().rpartition(".")[0] + ".",
    "the signature of other claims": with_payload_of(signed(), signed(sub="c_2")),
    "without an end": signed(exp=None),
    "without an audience": signed(aud=None),
    "without a subject": signed(sub=None),
    "the subject is a number": jwt.encode(claims(sub=7), SECRET, algorithm="HS256"),
    "the end is a word": signed(exp="tomorrow"),
    "the end is no number": signed(exp=float("nan")),
    "the end was long ago": signed(exp=START - timedelta(days=1)),
    "too few parts": "a.b",
    "too many parts": signed() + ".x",
    "no token": "null",
    "dots": "..",
    "a zero byte": "\x00",
    "a letter beyond ASCII": "ü" + signed(),
    "half a character": "\ud800",
    "a header without end": segment(b"[" * 1500) + ".e30.e30",
    "a header that is a list": segment([]) + ".e30.e30",
    "an algorithm that is an object": segment({"alg": {"$ne": None}}) + ".e30.e30",
}


@pytest.mark.parametrize("how", sorted(FORGED))
def test_a_forged_token_opens_nothing(tokens: Tokens, how: str) -> None:
    assert subject_of(tokens, "guest", signed()) == "c_1", "an honest token is made the same way"
    assert subject_of(tokens, "guest", FORGED[how]) is None


@pytest.mark.parametrize("missing", [None, ""])
def test_no_token_is_nobody(tokens: Tokens, missing: str | None) -> None:
    assert subject_of(tokens, "guest", missing) is None


def test_a_code_is_six_digits_and_hard_to_guess(tokens: Tokens) -> None:
    codes = {tokens.sign_in_code("+6281234567890", f"nonce {number}") for number in range(2000)}
    assert all(len(code) == 6 and code.isascii() and code.isdigit() for code in codes)
    assert len(codes) > 1900
    assert any(code.startswith("0") for code in codes)


def test_a_code_cannot_be_made_without_the_secret_nor_for_another_number(tokens: Tokens) -> None:
    code = tokens.sign_in_code("+6281234567890", "nonce")
    assert code == tokens.sign_in_code("+6281234567890", "nonce")
    others = (
        tokens.sign_in_code("+6281234567890", "another nonce"),
        tokens.sign_in_code("+6281234567891", "nonce"),
        Tokens(SECRET[::-1], tokens.now).sign_in_code("+6281234567890", "nonce"),
    )
    assert code not in others


def test_ids_are_never_the_same_and_digests_always_are() -> None:
    assert len({new_id("t") for _ in range(100)}) == 100
    assert new_id("t").startswith("t_")
    assert digest_of("book", {"a": 1}) == digest_of("book", {"a": 1})
    assert digest_of("book", {"a": 1}) != digest_of("book", {"a": "1"})


def test_a_pseudonym_is_the_same_each_time_and_tells_nobody_without_the_secret_whose_it_is(tokens: Tokens) -> None:
    sari = tokens.pseudonym("therapist", "t_sari")
    assert sari == tokens.pseudonym("therapist", "t_sari")
    assert sari.startswith("therapist:")
    assert "sari" not in sari
    others = {
        tokens.pseudonym("therapist", "t_ayu"),
        tokens.pseudonym("guest", "t_sari"),
        Tokens("another secret of at least thirty-two characters", tokens.now).pseudonym("therapist", "t_sari"),
    }
    assert len({name.partition(":")[2] for name in {sari, *others}}) == 4
