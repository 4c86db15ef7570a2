"""What stays of an entry tells what happened and nothing of whom it happened to, and can still be shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from bot.identity import Audience
from bot.schemas.notice_words import notice_data
from bot.schemas.render import render_entry
from bot.schemas.views import raw_booking
from bot.store.redactions import KEPT, redacted
from bot.turns.showing import card_data, offer_data, state_data
from bot.words import LOCALES, Words
from conversations import replies
from conversations.conversation import Conversation, State, state_on_screen
from conversations.values import Draft
from tests.bot.schemas.test_notice_words import AYU as AT_WORK
from tests.bot.schemas.test_notice_words import BOOKING_FACTS
from tests.bot.schemas.test_render import ACTIVE, AYU, COMPLETED, NOW, SERVICE, Line

AUDIENCES: tuple[Audience, ...] = get_args(Audience)
PERSONAL = ("Budi", "6281234567890", "Kemang", "-6.26", "106.81", "Ring twice", "gate is green", "c-77", "2.34")
KNOWN = {"name": "Budi", "phone": "+6281234567890", "address": "Jalan Kemang 1"}
PEOPLE = {"therapist": "Ayu", "guest": "Budi", "address": "Jalan Kemang 1", "reason": "Budi's gate is green"}
ON_SCREEN = state_on_screen(Conversation("c_1", state=State.ACTIVE, revision=5, therapist=AYU, booking_id="b_1"))
ENTRIES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("message", {"from": "guest", "text": "The gate is green", "client_id": "c-77"}),
    ("message", {"from": "therapist", "text": "Budi, your gate is green", "client_id": "t-1"}),
    ("system", {"key": "therapist_withdrew", "params": PEOPLE}),
    ("system", {"key": "search_widened", "params": {"attempt": 2, "max_attempts": 5}}),
    ("card", card_data(replies.service_card(Draft(SERVICE, "menu", AYU), 3, KNOWN, NOW))),
    ("card", card_data(replies.therapist_card(AYU, "o_1", 2.34, 4, NOW))),
    ("card", card_data(replies.no_therapist_card(3))),
    ("card", card_data(replies.rating_card(AYU, 4, 9))),
    ("state", state_data(ON_SCREEN, raw_booking(replace(ACTIVE, progress="arrived")))),
    ("state", state_data(state_on_screen(Conversation("c_1")), None)),
    ("notification", {"kind": "booking_closed", "params": PEOPLE, "sound": None, "urgency": "high"}),
    ("notification", notice_data("reminder_1h", "therapist", BOOKING_FACTS, AT_WORK, "urgent", "reminder-1h", NOW)),
    ("offer", offer_data(raw_booking(ACTIVE), "o_1", 2.34, NOW, 1)),
    ("offer_closed", {"offer_id": "o_1", "why": "taken"}),
    ("offer_waiting", {"offer_id": "o_1", "until": NOW}),
    ("booking", {"booking": raw_booking(COMPLETED)}),
    ("read", {"by": "guest", "seq": 4}),
    ("a type of tomorrow", {"text": "The gate is green"}),
)


def test_every_type_of_entry_is_tried() -> None:
    assert {kind for kind, _ in ENTRIES} >= KEPT.keys()


@pytest.mark.parametrize(("kind", "data"), ENTRIES, ids=lambda each: each if isinstance(each, str) else "")
def test_nothing_personal_is_left_and_what_is_left_can_be_shown(kind: str, data: dict[str, Any]) -> None:
    words = Words()
    kept = redacted(kind, data)
    assert kept["redacted"] is True
    assert redacted(kind, kept) == kept, "twice is once"
    shown = [render_entry(words, Line(kind, kept), locale, who) for locale in LOCALES for who in AUDIENCES]
    assert all(each["data"]["redacted"] is True for each in shown)
    for text in (str(kept), str(shown)):
        assert not [each for each in PERSONAL if each in text]
    assert not [gap for gap in words.gaps if gap[0] != "entry type"]


def test_money_moments_and_who_came_are_left() -> None:
    kept = redacted("booking", {"booking": raw_booking(COMPLETED)})["booking"]
    whole = raw_booking(COMPLETED)
    for fact in ("id", "status", "price", "earnings", "commission", "created_at", "arrives_by", "therapist"):
        assert kept[fact] == whole[fact]


def test_a_redacted_state_still_opens_and_closes_the_room_of_its_therapist() -> None:
    kept = redacted("state", state_data(ON_SCREEN, raw_booking(ACTIVE)))
    assert (kept["state"], kept["booking_id"], kept["therapist_id"]) == ("active", "b_1", "t_ayu")


def test_a_deleted_message_says_so_in_the_language_of_its_reader() -> None:
    line = Line("message", redacted("message", {"from": "guest", "text": "The gate is green"}))
    shown = render_entry(Words(), line, "id", "therapist")["data"]
    assert shown == {"from": "guest", "text": "Pesan ini telah dihapus.", "client_id": None, "redacted": True}
