"""Backing off: how long somebody who fails is left alone, and when they are forgotten."""

from __future__ import annotations

from bot.turns.backoff import Backoff


class Watch:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_each_failure_in_a_row_rests_twice_as_long_up_to_the_longest_pause() -> None:
    watch = Watch()
    backoff: Backoff[str] = Backoff(watch)
    for pause_s in (1, 2, 4, 8, 16, 32, 60, 60):
        backoff.failed("one")
        watch.now += pause_s - 0.1
        assert backoff.is_resting("one")
        assert backoff.resting() == ["one"]
        watch.now += 0.2
        assert not backoff.is_resting("one")


def test_a_success_ends_the_rest_and_a_failure_rests_nobody_else() -> None:
    backoff: Backoff[str] = Backoff(Watch())
    backoff.failed("one")
    backoff.failed("two")
    backoff.succeeded("one")
    assert backoff.resting() == ["two"]
    backoff.failed("one", longest_s=0.5)
    assert backoff.is_resting("one")


def test_who_has_not_failed_for_long_begins_anew() -> None:
    watch = Watch()
    backoff: Backoff[str] = Backoff(watch)
    for _ in range(5):
        backoff.failed("one")
    watch.now += 16 + 61
    assert backoff.resting() == []
    backoff.failed("one")
    watch.now += 1.1
    assert not backoff.is_resting("one")
