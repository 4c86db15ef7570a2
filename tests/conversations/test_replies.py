"""What the bot says: every key has its words, every card its buttons, every promise its distance."""

from __future__ import annotations

from collections.abc import Iterator
from string import Formatter
from typing import get_args

import pytest

from conversations import effects as do
from conversations import replies
from conversations.conversation import BUTTONS, State
from conversations.machine import REFUSALS, decide
from conversations.values import Draft, Party
from tests.conversations.scenes import AYU, SERVICE, active, after, choosing, confirming, news, no_therapist, told
from tests.conversations.test_machine_table import ROWS

GUEST_COMMANDS = {"confirm_service", "accept_therapist", "find_another", "search_again", "cancel", "rate"}
STYLES = {"primary", "secondary", "quiet", "danger"}


def fields(text: str) -> set[str]:
    """The names in braces."""
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def said() -> Iterator[do.Effect]:
    """Everything the bot says on the ways of the table."""
    for row in ROWS:
        yield from decide(row.conversation, row.event, row.at).effects
    delayed = decide(active(), news(active(), "delayed", 10), after(60))
    arrived = told(active(), news(active(), "arrived"), at=after(60))
    for decision in (delayed, decide(active(), news(active(), "arrived"), after(60))):
        yield from decision.effects
    yield from decide(arrived, news(arrived, "completed"), after(6000)).effects


LINES = [each for each in said() if isinstance(each, do.Say)]
NOTICES = [each for each in said() if isinstance(each, do.NotifyTherapist)]
CARDS = [each for each in said() if isinstance(each, do.ShowCard)]


def test_every_line_has_its_words_and_all_that_they_mention() -> None:
    for line in LINES:
        assert fields(replies.LINES[line.key]) <= set(line.params), line.key
        assert fields(replies.LINES_FOR_THERAPIST.get(line.key, "")) <= set(line.params), line.key


def test_what_is_said_to_the_therapist_is_said_to_the_guest_too() -> None:
    assert set(replies.LINES_FOR_THERAPIST) <= set(replies.LINES)


def test_whoever_cancels_there_is_a_line_for_it() -> None:
    assert {f"cancelled_by_{party}" for party in get_args(Party)} <= set(replies.LINES)


def test_every_notification_has_its_words_and_all_that_they_mention() -> None:
    for notice in NOTICES:
        title, body = replies.NOTIFICATIONS[notice.kind]
        assert fields(title) | fields(body) <= set(notice.params), notice.kind


def test_every_card_has_its_words_and_buttons_that_say_which_revision_they_belong_to() -> None:
    for card in CARDS:
        assert card.card in replies.CARDS
        main, *others = card.buttons
        assert (main.style, main.payload["revision"]) == ("primary", card.revision)
        for button in (main, *others):
            assert button.command in GUEST_COMMANDS
            assert button.label in replies.LABELS
            assert button.style in STYLES


def test_every_button_of_a_state_has_a_label() -> None:
    for buttons in BUTTONS.values():
        assert {button.command for button in buttons} <= GUEST_COMMANDS
        assert {button.label for button in buttons} <= set(replies.LABELS)


def test_every_state_has_a_subtitle() -> None:
    assert set(replies.SUBTITLES) == {state.value for state in State}


def test_every_refusal_has_its_words() -> None:
    assert {*REFUSALS.values(), "stale", "not_now", "not_found", "invalid", "offer_expired", "offer_taken"} <= set(
        replies.REFUSALS
    )


def test_the_service_card_shows_the_prices_of_the_moment_and_whom_the_guest_picked() -> None:
    card = replies.service_card(Draft(SERVICE, "profile", AYU), 3, {"name": "Made"}, after(60))
    assert card.data["durations"] == [
        {"minutes": 60, "price": {"amount": 25_000_000, "currency": "IDR"}},
        {"minutes": 90, "price": {"amount": 35_000_000, "currency": "IDR"}},
    ]
    assert card.data["therapist"]["id"] == "ayu"
    assert card.data["defaults"] == {"name": "Made"}
    assert card.data["expires_at"] == after(60)
    assert [button.command for button in card.buttons] == ["confirm_service", "cancel"]
    assert replies.service_card(Draft(SERVICE, "menu"), 3, {}, after(60)).data["therapist"] is None


def test_the_therapist_card_says_who_comes_from_how_far() -> None:
    card = replies.therapist_card(AYU, "o_1", 2.345, 7, after(60))
    assert card.data["therapist"] == {
        "id": "ayu",
        "name": "Ayu",
        "photo": "/photos/01.svg",
        "rating": 4.8,
        "rating_count": 112,
        "gender": "female",
        "specialties": [],
        "languages": ["en", "id"],
    }
    assert (card.data["distance_km"], card.data["arrival"]) == (2.3, "within_20_minutes")
    assert [button.command for button in card.buttons] == ["accept_therapist", "find_another", "cancel"]
    assert card.buttons[0].payload == card.buttons[1].payload == {"revision": 7, "offer_id": "o_1"}


@pytest.mark.parametrize(
    ("distance_km", "promise"),
    [
        (0.0, "within_20_minutes"),
        (3.0, "within_20_minutes"),
        (3.01, "within_30_minutes"),
        (8.0, "within_30_minutes"),
        (8.01, "within_1_hour"),
        (400.0, "within_1_hour"),
    ],
)
def test_who_is_further_away_promises_less(distance_km: float, promise: str) -> None:
    assert replies.arrival_key(distance_km) == promise
    assert promise in replies.ARRIVALS


def test_a_card_shows_what_it_is_about_until_its_own_end() -> None:
    for conversation in (confirming(), choosing()):
        [card] = [each for each in CARDS if each.revision == conversation.revision and "expires_at" in each.data][:1]
        assert card.data["expires_at"] == conversation.expires_at
    assert no_therapist().expires_at is not None
