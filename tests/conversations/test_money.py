"""Money is counted in whole minor units, and no split makes or loses any."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conversations.money.amounts import Money, Split, minor_digits, split

THIRTY_PER_CENT = 3000


def rupiah(amount: int) -> Money:
    return Money(amount, "IDR")


@pytest.mark.parametrize(
    ("price", "commission", "earnings"),
    [
        (25_000_000, 7_500_000, 17_500_000),  # Rp250.000
        (35_000_000, 10_500_000, 24_500_000),
        (333, 100, 233),
        (1, 0, 1),
        (0, 0, 0),
    ],
)
def test_the_platform_keeps_thirty_per_cent(price: int, commission: int, earnings: int) -> None:
    assert split(rupiah(price), THIRTY_PER_CENT) == Split(rupiah(commission), rupiah(earnings))


@pytest.mark.parametrize(("price", "commission"), [(4, 0), (5, 1), (14, 1), (15, 2), (25, 3)])
def test_half_a_minor_unit_is_rounded_up_for_the_platform(price: int, commission: int) -> None:
    assert split(rupiah(price), 1000).commission == rupiah(commission)


def test_a_commission_may_be_nothing_or_everything() -> None:
    assert split(rupiah(999), 0) == Split(rupiah(0), rupiah(999))
    assert split(rupiah(999), 10_000) == Split(rupiah(999), rupiah(0))


@pytest.mark.parametrize("basis_points", [-1, 10_001])
def test_a_commission_is_a_share_of_the_price(basis_points: int) -> None:
    with pytest.raises(ValueError, match="basis points"):
        split(rupiah(100), basis_points)


@given(st.integers(0, 10**15), st.integers(0, 10_000), st.sampled_from(("IDR", "JPY", "KWD")))
def test_commission_and_earnings_add_up_to_the_price_exactly(amount: int, basis_points: int, currency: str) -> None:
    shares = split(Money(amount, currency), basis_points)
    assert shares.commission.amount + shares.earnings.amount == amount
    assert {shares.commission.currency, shares.earnings.currency} == {currency}
    assert min(shares.commission.amount, shares.earnings.amount) >= 0
    exact = Fraction(amount * basis_points, 10_000)
    assert exact - Fraction(1, 2) < shares.commission.amount <= exact + Fraction(1, 2)


@pytest.mark.parametrize(("currency", "digits"), [("IDR", 2), ("EUR", 2), ("JPY", 0), ("KWD", 3)])
def test_every_currency_has_its_own_minor_unit(currency: str, digits: int) -> None:
    assert minor_digits(currency) == digits
