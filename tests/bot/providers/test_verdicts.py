"""The tables of what failures mean, and when to ask again."""

from __future__ import annotations

import pytest

from bot.providers import verdicts
from bot.providers.messages import Verdict
from bot.providers.verdicts import LONGEST_WAIT_S, of_status, retry_after_s
from tests.workers.messages import NOW


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 7 ", 7.0),
        ("9" * 40, LONGEST_WAIT_S),
        ("Tue, 01 Dec 2026 03:00:30 GMT", 30.0),
        ("Tue, 01 Dec 2026 10:00:30 +0700", 30.0),
        ("Tue, 01 Dec 2026 02:00:00 GMT", 0.0),
        ("Tue, 01 Dec 2099 02:00:00 GMT", LONGEST_WAIT_S),
        ("Tue, 01 Dec 2026 03:00:30 -0000", None),
        ("-1", None),
        ("1.5", None),
        ("١٢", None),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_when_to_ask_again_is_seconds_or_a_moment_and_never_longer_than_a_day(
    value: str | None, seconds: float | None
) -> None:
    assert retry_after_s(value, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (400, Verdict("permanent", "400")),
        (401, Verdict("config", "401")),
        (403, Verdict("config", "403")),
        (408, Verdict("retry", "408", 3.0)),
        (425, Verdict("retry", "425", 3.0)),
        (429, Verdict("retry", "429", 3.0)),
        (500, Verdict("retry", "500", 3.0, is_ambiguous=True)),
        (599, Verdict("retry", "599", 3.0, is_ambiguous=True)),
    ],
)
def test_a_bare_status_means_the_same_with_every_provider(status: int, verdict: Verdict) -> None:
    assert of_status(status, 3.0) == verdict


def test_every_entry_of_a_table_names_its_own_code() -> None:
    for table in (verdicts.TWILIO, verdicts.FCM):
        assert all(str(code) == verdict.code for code, verdict in table.items())


def test_nothing_is_ambiguous_but_what_may_have_been_done() -> None:
    tables = (*verdicts.TWILIO.values(), *verdicts.FCM.values())
    assert not [each for each in tables if each.is_ambiguous]
    assert not verdicts.of_silence("timeout", was_asked=False).is_ambiguous
    assert verdicts.of_silence("timeout", was_asked=True).is_ambiguous
