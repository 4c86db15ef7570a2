"""Money as integers: amounts in minor units of their currency, and the platform's commission computed exactly."""

from __future__ import annotations

from dataclasses import dataclass

BASIS_POINTS = 10_000

# Currencies whose minor unit is not a hundredth, as the card networks and Stripe count them
# (docs.stripe.com/currencies, "zero-decimal" and "three-decimal" currencies). IDR counts in hundredths there.
_ZERO_DECIMAL = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF")
)
_THREE_DECIMAL = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units (`25_000_000` IDR is Rp250.000) and its ISO 4217 currency."""

    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class Split:
    """What of a price stays with the platform and what the therapist earns: the two always add up to the price."""

    commission: Money
    earnings: Money


def minor_digits(currency: str) -> int:
    """How many digits the minor unit has: 100 minor units of IDR make a rupiah, 1 of JPY makes a yen."""
    if currency in _ZERO_DECIMAL:
        return 0
    return 3 if currency in _THREE_DECIMAL else 2


def split(price: Money, commission_basis_points: int) -> Split:
    """The commission, rounded half up to a whole minor unit, and the rest."""
    if not 0 <= commission_basis_points <= BASIS_POINTS:
        raise ValueError("a commission is between 0 and 10,000 basis points")
    commission = (price.amount * commission_basis_points * 2 + BASIS_POINTS) // (BASIS_POINTS * 2)
    return Split(Money(commission, price.currency), Money(price.amount - commission, price.currency))
