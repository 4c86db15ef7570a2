"""An id that follows from its cause: the same for the same, another for another."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from conversations.ids import derived_id

parts = st.sampled_from(("", "a", "ab", "b", "a:b", "c_1", "1", 1, 11, "11"))
causes = st.lists(parts, min_size=1, max_size=3).map(tuple)


def test_the_same_cause_has_the_same_id_in_every_process_and_for_ever() -> None:
    assert derived_id("b", "c_1", 4) == "b_123db756a913edfd517d6e50"


@given(causes, causes)
def test_different_causes_have_different_ids(one: tuple[str | int, ...], other: tuple[str | int, ...]) -> None:
    assert re.fullmatch("r_[0-9a-f]{24}", derived_id("r", *one)), "a prefix and 96 bits"
    is_same = [str(part) for part in one] == [str(part) for part in other]
    assert (derived_id("r", *one) == derived_id("r", *other)) == is_same


def test_ids_of_different_kinds_with_one_cause_have_nothing_in_common() -> None:
    booking, search = derived_id("b", "c_1", 4), derived_id("s", "c_1", 4)
    assert booking.removeprefix("b_") != search.removeprefix("s_")
