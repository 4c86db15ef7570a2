"""What was signed by whom it says is believed for five minutes, and nothing else is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from standardwebhooks import Webhook

from bot.integrations.signatures import TOLERANCE_S, is_signed_by_standard, is_signed_by_stripe

STRIPE_SECRET = "whsec_test_of_a_secret_of_stripe"
STANDARD_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NOW = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
BODY = '{"name": "Bu Émilie", "n": 1}'.encode()


def stripe(body: bytes = BODY, at: int = AT, secret: str = STRIPE_SECRET) -> str:
    """As https://docs.stripe.com/webhooks#verify-manually says it, step by step."""
    import hashlib
    import hmac

    return hmac.new(secret.encode(), b"%d.%s" % (at, body), hashlib.sha256).hexdigest()


def is_stripes(header: str, body: bytes = BODY, now: datetime = NOW) -> bool:
    return is_signed_by_stripe(header, body, STRIPE_SECRET, now)


def test_a_webhook_of_stripe_is_known_by_one_good_signature_among_several() -> None:
    good, old_secret = stripe(), stripe(secret="whsec_of_the_week_before")
    assert is_stripes(f"t={AT},v1={good}")
    assert is_stripes(f"t={AT},v1={old_secret},v1={good},v0=x")
    assert is_stripes(f"t={AT}, v1={good}")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "t=,v1=",
        f"t={AT}",
        f"v1={stripe()}",
        f"t={AT},v1=",
        f"t={AT},v1={stripe()[:-1]}",
        f"t={AT},v0={stripe()}",
        f"t={AT + 1},v1={stripe()}",
        f"t={AT}.0,v1={stripe()}",
        f"t=x{AT},v1={stripe()}",
        f"t={AT},v1={stripe(secret='another secret of theirs')}",
        f"t={AT},v1=\udcff",
        "t=99999999999999999999,v1=x",
    ],
)
def test_any_other_header_is_no_signature_of_stripe(header: str) -> None:
    assert not is_stripes(header)


def test_not_a_byte_of_a_signed_body_may_differ() -> None:
    header = f"t={AT},v1={stripe()}"
    assert not is_stripes(header, BODY + b" ")
    assert not is_stripes(header, BODY.replace(b"1", b"2"))


@pytest.mark.parametrize(("late_s", "is_good"), [(TOLERANCE_S, True), (TOLERANCE_S + 1, False)])
def test_a_webhook_is_believed_for_five_minutes_around_its_time(late_s: int, is_good: bool) -> None:
    header = f"t={AT},v1={stripe()}"
    headers = standard()
    for now in (NOW + timedelta(seconds=late_s), NOW - timedelta(seconds=late_s)):
        assert is_stripes(header, now=now) is is_good
        assert is_signed_by_standard(headers, BODY, STANDARD_SECRET, now) is is_good


def standard(**more: str) -> dict[str, str]:
    """As the reference implementation of Standard Webhooks signs it."""
    signature = Webhook(STANDARD_SECRET).sign("msg_1", NOW, BODY.decode())
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(AT), "webhook-signature": signature}
    return {**headers, **{name.replace("_", "-"): value for name, value in more.items()}}


def is_standard(headers: dict[str, str], body: bytes = BODY) -> bool:
    return is_signed_by_standard(headers, body, STANDARD_SECRET, NOW)


def test_what_the_reference_implementation_signs_is_believed() -> None:
    headers = standard()
    assert is_standard(headers)
    assert is_standard(standard(webhook_signature=f"v1a,x v1,AAAA {headers['webhook-signature']}"))


def test_the_example_of_the_standard_is_signed_as_it_says() -> None:
    """From the reference implementations' own tests."""
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    at = datetime.fromtimestamp(1614265330, UTC)
    assert is_signed_by_standard(headers, b'{"test": 2432232314}', STANDARD_SECRET, at)


@pytest.mark.parametrize(
    "wrong",
    [
        {"webhook_id": ""},
        {"webhook_id": "msg_2"},
        {"webhook_timestamp": ""},
        {"webhook_timestamp": str(AT + 1)},
        {"webhook_signature": ""},
        {"webhook_signature": "v1,"},
        {"webhook_signature": "v1,\udcff"},
        {"webhook_signature": standard()["webhook-signature"].replace("v1,", "v2,")},
    ],
    ids=str,
)
def test_anything_else_is_not(wrong: dict[str, str]) -> None:
    assert not is_standard(standard(**wrong))
    assert not is_standard(standard(), BODY + b" ")
    assert not is_standard({})


def test_an_event_without_an_id_is_not_believed_however_well_it_is_signed() -> None:
    signature = Webhook(STANDARD_SECRET).sign("", NOW, BODY.decode())
    assert not is_standard(standard(webhook_id="", webhook_signature=signature))
    assert not is_standard({"webhook-timestamp": str(AT), "webhook-signature": signature})
