"""Who somebody is called, and that a side which is not known is nobody."""

from __future__ import annotations

from typing import Any, cast

import pytest

from bot.identity import for_audience, other_side, own_feed

OPERATOR = cast(Any, "operator")


def test_each_side_has_a_feed_of_its_own_and_meets_the_other() -> None:
    assert [own_feed("guest", "c_1"), own_feed("therapist", "t_1")] == ["conversation:c_1", "therapist:t_1"]
    assert [other_side("guest"), other_side("therapist")] == ["therapist", "guest"]


def test_who_stands_on_no_side_is_never_taken_for_somebody_else() -> None:
    for ask in (lambda: own_feed(OPERATOR, "o_1"), lambda: other_side(OPERATOR)):
        with pytest.raises(KeyError, match="operator"):
            ask()
    with pytest.raises(KeyError, match="operator"):
        for_audience(OPERATOR, guest=1, therapist=2)
