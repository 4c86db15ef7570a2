"""Who is there, who types and what has arrived, as it follows from notes: the rules alone, with the time as a value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.live.presence import (
    NOTHING_SEEN,
    Key,
    Look,
    Note,
    Notes,
    Presence,
    Rules,
    Sight,
    Tabs,
    after,
    all_signals,
    delivered,
    is_typing,
    merged,
    news,
    next_change,
    presence,
)

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
RULES = Rules()


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def marks(**by_process: tuple[str, float]) -> dict[Key, Note]:
    """What each process says of the therapist, and the second of its end."""
    return {
        Key("presence", "therapist", process): Note(value, at(end), 1) for process, (value, end) in by_process.items()
    }


def seen(notes: Notes, second: float, *, looked_at: float | None = None) -> Presence | None:
    """By process `a`, which looks at the store at this very second, or did at that one."""
    looked = at(second) if looked_at is None else at(looked_at)
    return presence(notes, "therapist", Look("a", at(second), looked, is_fresh=looked == at(second)))


def seen_blindly(notes: Notes, second: float) -> Presence | None:
    """By a process that could never look."""
    return presence(notes, "therapist", Look("a", at(second), None, is_fresh=False))


@pytest.mark.parametrize(
    ("said", "is_seen"),
    [
        ({"a": ("online", 40)}, "online"),
        ({"a": ("away", 40)}, "away"),
        ({"a": ("away", 40), "b": ("online", 40)}, "online"),
        ({"a": ("away", 40), "b": ("away", 40)}, "away"),
        ({"a": ("quiet", 40), "b": ("away", 40)}, "online"),
        ({"a": ("online", 0)}, "offline"),
        ({}, "offline"),
    ],
)
def test_of_several_tabs_the_one_that_is_most_there_counts(
    said: dict[str, tuple[str, float]], is_seen: Presence
) -> None:
    assert seen(marks(**said), 1) == is_seen


def test_whoever_left_is_there_for_the_grace_and_offline_from_its_last_moment_on() -> None:
    left = marks(a=("left online", RULES.grace_s))
    assert [seen(left, second) for second in (0, 29.9, 30, 31)] == ["online", "online", "offline", "offline"]


def test_a_tab_that_left_counts_no_more_when_another_one_lives() -> None:
    assert seen(marks(a=("left online", 30), b=("away", 40)), 1) == "away"
    assert seen(marks(a=("left away", 30), b=("online", 40)), 1) == "online"


def test_a_process_that_died_keeps_its_people_there_for_at_least_the_grace() -> None:
    last_beat = marks(b=("online", RULES.mark_lives.total_seconds()))
    died_at = RULES.beat_s - 0.001
    assert seen(last_beat, died_at + RULES.grace_s - 0.001) == "online"
    assert seen(last_beat, RULES.mark_lives.total_seconds()) == "offline"


def test_the_end_of_another_process_mark_is_believed_only_after_a_look() -> None:
    foreign = marks(b=("online", 40))
    assert seen(foreign, 100, looked_at=39) == "online", "it may have been prolonged since"
    assert seen(foreign, 100, looked_at=99.9) is None, "somebody may have come since"
    assert seen(foreign, 100) == "offline"
    assert seen_blindly(foreign, 100) == "online"


def test_our_own_mark_ends_by_the_clock_also_when_nobody_can_look() -> None:
    assert seen_blindly(marks(a=("left online", 30)), 30) == "offline"


def test_who_was_never_seen_and_cannot_be_looked_up_is_not_called_offline() -> None:
    assert seen_blindly({}, 0) is None
    assert seen({}, 100, looked_at=0) is None


@pytest.mark.parametrize(("said", "is_seen"), [("away", "away"), ("here", "online")])
def test_a_reader_without_a_voice_is_where_the_last_word_over_http_says(said: str, is_seen: Presence) -> None:
    notes = marks(b=("quiet", 40))
    notes[Key("said", "therapist", "c")] = Note("here" if said == "away" else "away", at(1000), 1)
    notes[Key("said", "therapist", "a")] = Note(said, at(1000), 2)
    assert seen(notes, 1) == is_seen


def test_the_last_tab_leaves_everything_as_it_was_and_the_first_one_to_return_says_anew() -> None:
    tabs = Tabs()
    assert tabs.mark() is None
    tabs.put("first", "online")
    tabs.put("second", "away")
    assert tabs.mark() == "online"
    tabs.remove("first")
    assert tabs.mark() == "away"
    tabs.remove("second")
    tabs.remove("second")
    assert tabs.mark() == "left away"
    tabs.put("third", "online")
    assert tabs.mark() == "online"


def test_typing_ends_six_seconds_after_it_was_last_said_wherever_it_was_said() -> None:
    typing = {Key("typing", "guest", "dead"): Note("on", at(6), 1)}
    assert [is_typing(typing, "guest", at(second)) for second in (0, 5.999, 6)] == [True, True, False]
    assert not is_typing(typing, "therapist", NOON)
    assert next_change(typing, NOON) == at(6)
    assert next_change(typing, at(6)) is None


def test_who_stops_typing_in_one_tab_has_stopped_whatever_another_one_said_before() -> None:
    typing = {Key("typing", "guest", "a"): Note("on", at(6), 1), Key("typing", "guest", "b"): Note("off", at(6), 2)}
    assert not is_typing(typing, "guest", NOON)


def test_delivered_is_the_most_that_reached_any_device() -> None:
    receipts = {
        Key("delivered", "guest", "a"): Note("9", at(60), 7),
        Key("delivered", "guest", "b"): Note("10", at(60), 3),
    }
    assert (delivered(receipts, "guest"), delivered(receipts, "therapist")) == (10, 0)


def test_of_one_note_the_newest_counts_in_whichever_order_it_is_heard() -> None:
    key = Key("presence", "guest", "b")
    old, new = Note("online", at(40), 1), Note("away", at(40), 2)
    assert (
        merged(merged({}, [(key, old)]), [(key, new)]) == merged(merged({}, [(key, new)]), [(key, old)]) == {key: new}
    )


def test_what_was_delivered_never_goes_back_also_when_it_is_said_later() -> None:
    key = Key("delivered", "guest", "b")
    more, later = Note("17", at(40), 1), Note("15", at(40), 2)
    assert merged({key: later}, [(key, more)]) == merged({key: more}, [(key, later)]) == {key: more}


def test_news_are_the_differences_and_receipts_only_go_forward() -> None:
    told = Sight("online", True, 7)
    assert news(told, told, "guest") == []
    assert news(told, Sight("away", False, 8), "guest") == [
        ("typing", {"by": "guest", "on": False}),
        ("delivered", {"by": "guest", "seq": 8}),
        ("presence", {"guest": "away"}),
    ]
    flushed = Sight(None, True, 3)
    assert news(told, flushed, "guest") == []
    assert after(told, flushed) == told


def test_who_knows_nothing_is_told_everything_there_is_to_be_seen() -> None:
    assert news(NOTHING_SEEN, Sight("away", False, 0), "therapist") == [("presence", {"therapist": "away"})]
    assert all_signals(Sight("online", False, 3), "therapist") == [
        ("typing", {"by": "therapist", "on": False}),
        ("delivered", {"by": "therapist", "seq": 3}),
        ("presence", {"therapist": "online"}),
    ]
