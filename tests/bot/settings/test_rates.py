"""How often something may be done is written in one short form."""

from __future__ import annotations

import pytest

from bot.settings.rates import Rate


@pytest.mark.parametrize(
    ("text", "per_s", "burst"), [("5/s:20", 5, 20), (" 30/m:2 ", 0.5, 2), ("36/h:1", 0.01, 1), ("1000000/s:1", 1e6, 1)]
)
def test_a_rate_is_a_count_in_a_period_and_a_burst(text: str, per_s: float, burst: int) -> None:
    rate = Rate.parse(text)
    assert (rate.per_s, rate.burst) == (per_s, burst)
    assert str(rate) == text.strip()


@pytest.mark.parametrize(
    "text",
    ["", "5", "5/s", "5/s:", "5/d:1", "0/s:1", "1/s:0", "-1/s:1", "1.5/s:2", "1/s:1000001", "9999999/s:1", "٣/s:1"],
)
def test_what_is_no_rate_says_what_one_looks_like(text: str) -> None:
    with pytest.raises(ValueError, match=r"^must be a rate like 5/s:20"):
        Rate.parse(text)
