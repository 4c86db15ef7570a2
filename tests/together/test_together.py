"""Conversations, searches and bookings agree, whatever people, clocks and failing processes do to them."""

from __future__ import annotations

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from tests.together.history import MOVE_BYTES, History

MOVES = 100
histories = st.binary(min_size=MOVES * MOVE_BYTES, max_size=MOVES * MOVE_BYTES)


# What fails is made short by `shortened`, in seconds: hypothesis does not know where one move ends and the next begins.
@settings(max_examples=3 * settings().max_examples, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(histories)
def test_whatever_happens_nobody_is_booked_twice_and_everybody_comes_to_rest(moves: bytes) -> None:
    _, failure = played(moves)
    if failure is not None:
        history, failure = played(shortened(moves))
        raise AssertionError(f"{failure}\n{history}") from failure


def played(moves: bytes) -> tuple[History, AssertionError | None]:
    history = History()
    try:
        history.play(moves)
        history.finish()
    except AssertionError as failure:
        return history, failure
    return history, None


def shortened(moves: bytes) -> bytes:
    """A history that fails still, with every move gone that it does not need."""
    needed = [moves[first : first + MOVE_BYTES] for first in range(0, len(moves), MOVE_BYTES)]
    size = len(needed) // 2
    while size:
        first = 0
        while first < len(needed):
            without = needed[:first] + needed[first + size :]
            _, failure = played(b"".join(without))
            if failure is not None:
                needed = without
            else:
                first += size
        size //= 2
    return b"".join(needed)
