"""Commands as people send them, right and wrong: where the sender stands, what they send, and what they are answered.

The ids are those of the story. Who replays an example puts the present ones in their place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from bot.contract import story
from bot.errors import STATUS_BY_CODE
from bot.identity import Audience
from bot.schemas.command import AvailabilitySet, Moved, Said
from bot.schemas.commands import COMMANDS

# Where the sender of an example stands: a guest in a state of the conversation; a therapist who has nothing, one who
# has an offer, and one on a visit.
Scene = Literal[
    "idle", "confirming", "searching", "choosing", "active", "no_therapist", "completed", "free", "asked", "visiting"
]


@dataclass(frozen=True, slots=True)
class Example:
    """A payload and what it is answered: the ack, or the code and the fields of the error."""

    name: str
    scene: Scene
    payload: Mapping[str, Any]
    code: str | None = None
    fields: tuple[str, ...] = ()

    @property
    def status(self) -> int:
        return 200 if self.code is None else STATUS_BY_CODE[self.code]


def _command(**payload: Any) -> dict[str, Any]:
    return {"client_id": "4f1d-7", **payload}


_FORM = _command(
    revision=1,
    duration=90,
    location={"address": story.PLACE.address, "latitude": story.PLACE.latitude, "longitude": story.PLACE.longitude},
    name="Budi Santoso",
    phone="0812-3456-7890",
)
_CHOICE = _command(revision=3, offer_id=story.OFFER_ID)
_STALE = _command(revision=0, offer_id=story.OFFER_ID)
_OFFER = _command(offer_id=story.OFFER_ID)
_BOOKING = _command(booking_id=story.BOOKING_ID)
_NOBODYS = _command(booking_id="b_of_somebody_else")
# Live signals carry no `client_id`.
_ROOM = {"booking_id": story.BOOKING_ID}
_NOBODYS_ROOM = {"booking_id": "b_of_somebody_else"}

GUEST_EXAMPLES: Mapping[str, Sequence[Example]] = {
    "book": (
        Example("from_the_menu", "idle", _command(kind="now", source="menu", service="balinese")),
        Example("from_a_profile", "completed", _command(kind="now", source="profile", therapist_id=story.THERAPIST_ID)),
        Example("while_one_runs", "searching", _command(kind="now", source="menu"), "already_live"),
        Example(
            "of_a_service_that_is_not_offered",
            "idle",
            _command(kind="now", source="menu", service="nothing"),
            "invalid",
            ("service",),
        ),
    ),
    "confirm_service": (
        Example("with_what_is_needed", "confirming", _FORM),
        Example(
            "with_wishes",
            "confirming",
            {**_FORM, "email": "budi@example.com", "gender_preference": "female", "notes": "Blok B, lantai 3"},
        ),
        Example("of_an_old_card", "confirming", {**_FORM, "revision": 0}, "stale"),
        Example("with_half_a_number", "confirming", {**_FORM, "phone": "0812"}, "invalid", ("phone",)),
        Example(
            "from_nowhere",
            "confirming",
            {**_FORM, "location": {"address": "Jl. Sudirman 1", "latitude": 91, "longitude": 106.8}},
            "invalid",
            ("location.latitude",),
        ),
    ),
    "accept_therapist": (
        Example("the_one_on_the_card", "choosing", _CHOICE),
        Example("of_an_old_card", "choosing", _STALE, "stale"),
        Example("without_a_choice", "idle", _STALE, "not_now"),
    ),
    "find_another": (
        Example("than_the_one_on_the_card", "choosing", _CHOICE),
        Example("of_an_old_card", "choosing", _STALE, "stale"),
    ),
    "search_again": (
        Example("when_nobody_was_found", "no_therapist", _command(revision=3)),
        Example("while_one_runs", "searching", _command(revision=2), "not_now"),
    ),
    "cancel": (
        Example("a_search", "searching", _command()),
        Example("a_visit", "active", _command(reason="Something came up.")),
        Example("nothing", "idle", _command(), "not_now"),
    ),
    "message": (
        Example("to_the_therapist", "active", _command(text="Blok B, lantai 3 – terima kasih!")),
        Example("without_words", "active", _command(text=" \n"), "invalid", ("text",)),
        Example("that_is_too_long", "active", _command(text="panjang " * 501), "too_large", ("text",)),
        Example("to_nobody", "idle", _command(text="Halo?"), "not_now"),
    ),
    "rate": (
        Example("with_stars_and_words", "completed", _command(revision=5, stars=5, comment="Very kind.")),
        Example("with_stars_alone", "completed", _command(stars=4)),
        Example("of_an_old_card", "completed", _command(revision=0, stars=4), "stale"),
        Example("with_six_stars", "completed", _command(stars=6), "invalid", ("stars",)),
        Example("no_visit", "idle", _command(stars=5), "not_now"),
    ),
    "forget_me": (
        Example("after_a_visit", "completed", _command()),
        Example("on_the_way", "active", _command()),
        Example("for_a_reason", "idle", _command(reason="None of your business."), "invalid", ("reason",)),
    ),
    "typing": (Example("begun", "active", {"on": True}), Example("stopped", "active", {"on": False})),
    "delivered": (
        Example("the_first_line", "active", {"seq": 1}),
        Example("what_is_not_there_yet", "active", {"seq": 2**53}, "invalid", ("seq",)),
    ),
    "read": (
        Example("the_first_line", "active", {"seq": 1}),
        Example("what_is_not_there_yet", "active", {"seq": 2**53}, "invalid", ("seq",)),
    ),
    "presence": (
        Example("in_the_background", "active", {"away": True}),
        Example("back", "idle", {"away": False}),
    ),
}

THERAPIST_EXAMPLES: Mapping[str, Sequence[Example]] = {
    "availability": (
        Example("come_online", "free", {"available": True, "latitude": -6.2088, "longitude": 106.8456}),
        Example("go_offline", "asked", _command(available=False)),
        Example("half_a_place", "free", {"available": True, "latitude": -6.2088}, "invalid", ("longitude",)),
    ),
    "accept_offer": (
        Example("the_one_that_came", "asked", _OFFER),
        Example("of_somebody_else", "free", _command(offer_id="o_of_somebody_else"), "not_found"),
    ),
    "decline_offer": (
        Example("the_one_that_came", "asked", _OFFER),
        Example("and_say_why", "asked", {**_OFFER, "reason": "Too far for me today."}),
        Example("of_somebody_else", "free", _command(offer_id="o_of_somebody_else"), "not_found"),
    ),
    "progress": (
        Example("on_the_way", "visiting", {**_BOOKING, "step": "on_the_way"}),
        Example("delayed", "visiting", {**_BOOKING, "step": "delayed", "minutes": 10}),
        Example("completed", "visiting", {**_BOOKING, "step": "completed"}),
        Example("delayed_for_how_long", "visiting", {**_BOOKING, "step": "delayed"}, "invalid", ("minutes",)),
        Example("of_somebody_else", "free", {**_NOBODYS, "step": "arrived"}, "not_found"),
    ),
    "cancel_booking": (
        Example("and_say_why", "visiting", {**_BOOKING, "reason": "My motorcycle broke down."}),
        Example("without_a_reason", "visiting", {**_BOOKING, "reason": " "}, "invalid", ("reason",)),
    ),
    "message": (
        Example("to_the_guest", "visiting", {**_BOOKING, "text": "Baik, saya berangkat."}),
        Example("to_somebody_elses_guest", "free", {**_NOBODYS, "text": "Halo"}, "not_found"),
    ),
    "typing": (
        Example("begun", "visiting", {**_ROOM, "on": True}),
        Example("to_somebody_elses_guest", "free", {**_NOBODYS_ROOM, "on": True}, "not_found"),
    ),
    "delivered": (
        Example("the_first_line", "visiting", {**_ROOM, "seq": 1}),
        Example("to_somebody_elses_guest", "free", {**_NOBODYS_ROOM, "seq": 1}, "not_found"),
    ),
    "read": (
        Example("the_first_line", "visiting", {**_ROOM, "seq": 1}),
        Example("what_is_not_there_yet", "visiting", {**_ROOM, "seq": 2**53}, "invalid", ("seq",)),
        Example("to_somebody_elses_guest", "free", {**_NOBODYS_ROOM, "seq": 1}, "not_found"),
    ),
    "presence": (Example("in_the_background", "free", {"away": True}),),
}

_WRITTEN: Mapping[Audience, Mapping[str, Sequence[Example]]] = {
    "guest": GUEST_EXAMPLES,
    "therapist": THERAPIST_EXAMPLES,
}


def examples_of(audience: Audience, command: str) -> list[Example]:
    """The written examples, right ones first, and for every command what it is answered when its form is wrong."""
    written = sorted(_WRITTEN[audience].get(command, ()), key=lambda example: example.status)
    right = [example for example in written if example.code is None]
    return [*written, *(_misshapen(COMMANDS[audience][command].payload, right[0]) if right else ())]


def _misshapen(model: type[BaseModel], right: Example) -> list[Example]:
    payload = right.payload
    required = [name for name, field in model.model_fields.items() if field.is_required()]
    return [
        Example("with_an_unknown_field", right.scene, {**payload, "surprise": 1}, "invalid", ("surprise",)),
        *(
            Example(
                f"without_{name}",
                right.scene,
                {key: value for key, value in payload.items() if key != name},
                "invalid",
                (name,),
            )
            for name in required
        ),
        *(
            Example(f"with_a_list_as_{name}", right.scene, {**payload, name: ["$token"]}, "invalid", (name,))
            for name in required[:1]
        ),
    ]


def ack_of(audience: Audience, command: str) -> dict[str, Any]:
    """What the command's first right example is acked with."""
    more: dict[type, dict[str, Any]] = {
        Moved: {"state": "searching", "revision": 2, "booking_id": story.BOOKING_ID},
        Said: {"seq": 12, "id": "e_000000000000000c"},
        AvailabilitySet: {"available": True},
    }
    return {"ok": True, **more.get(COMMANDS[audience][command].ack, {})}
