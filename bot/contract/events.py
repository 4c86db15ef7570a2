"""What the realtime transports carry: every message, who sends it and when, with the model and an example."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from bot.contract import answers, entries, streams
from bot.contract.story import EPOCH, SIGNALS, Story
from bot.identity import Audience

ChannelName = Literal["guest", "therapist", "websocket", "sse", "poll"]
READERS: tuple[Audience, ...] = ("guest", "therapist")


@dataclass(frozen=True, slots=True)
class Spoken:
    """A message of the server: `key` is its own, `name` what it is called on the wire, where it has a name there."""

    key: str
    name: str
    model: Any
    when: str
    examples: Mapping[str, Any]
    channels: Sequence[ChannelName]

    @property
    def title(self) -> str:
        kind = self.key.removeprefix("entry_").replace("_", " ")
        return f"entry: {kind}" if self.name == "entry" else kind


def entries_of(story: Story) -> Iterator[Spoken]:
    """The entries of the feeds by type; on every channel they are the same."""
    for key, model, when, readers, names in _ENTRIES:
        told = {**story.entries_of_therapist, **(story.entries_of_guest if "guest" in readers else {})}
        examples = {name: told[name] for name in names}
        yield Spoken(f"entry_{key}", "entry", model, when, examples, (*readers, "websocket", "sse"))


_ENTRIES: Sequence[tuple[str, type[Any], str, tuple[Audience, ...], tuple[str, ...]]] = (
    ("message", entries.MessageEntry, "The guest or the therapist of the visit wrote.", READERS, ("message",)),
    ("read", entries.ReadEntry, "Somebody has seen a message of the other side.", READERS, ("read",)),
    ("system", entries.SystemEntry, "Something happened that the bot says in a line.", READERS, ("system",)),
    (
        "card",
        entries.CardEntry,
        "The guest has something to decide, is offered the app, or pressed a card that was stale.",
        READERS,
        ("card_service", "card_therapist", "card_no_therapist", "card_app_download", "card_rating", "card_problem"),
    ),
    (
        "state",
        entries.StateEntry,
        "The conversation moved, or its countdown did.",
        ("guest",),
        ("state_searching", "state_active"),
    ),
    (
        "state_of_therapist",
        entries.TherapistStateEntry,
        "The visit moved; or, on the therapist's own feed, their availability changed.",
        ("therapist",),
        ("state_room", "state_available"),
    ),
    ("offer", entries.OfferEntry, "A search asks this therapist.", ("therapist",), ("offer",)),
    (
        "offer_closed",
        entries.OfferClosedEntry,
        "The offer was declined, taken, cancelled, or its time was over; or its guest has chosen.",
        ("therapist",),
        ("offer_closed",),
    ),
    (
        "offer_waiting",
        entries.OfferWaitingEntry,
        "The therapist accepted in time, and is shown to the guest.",
        ("therapist",),
        ("offer_waiting",),
    ),
    (
        "booking",
        entries.BookingEntry,
        "A booking of this therapist began, moved or ended.",
        ("therapist",),
        ("booking",),
    ),
    (
        "notification",
        entries.NotificationEntry,
        "Something must be noticed at once: a booking began, moved or ended, a visit comes near, a payment was made.",
        READERS,
        ("notification", "notification_to_guest"),
    ),
)


def others_of(story: Story) -> Iterator[Spoken]:
    """First and last words of the channels."""
    yield Spoken(
        "session_of_guest",
        "session",
        answers.GuestSession,
        "First of all, once for each connect.",
        {"in_a_visit": story.session_of_guest},
        ("guest",),
    )
    yield Spoken(
        "session_of_therapist",
        "session",
        answers.TherapistSession,
        "First of all, once for each connect.",
        {"in_a_visit": story.session_of_therapist},
        ("therapist",),
    )
    refused = story.error("unauthorized")
    yield Spoken(
        "connect_error",
        "connect_error",
        streams.ConnectRefused,
        "The connect was refused; one refused connect ends the connection.",
        {"without_a_token": {"message": refused["message"], "data": refused}},
        READERS,
    )
    yield Spoken(
        "going_away",
        "going_away",
        streams.GoingAway,
        "This process is about to stop, or the same token has come too often: nothing is lost, come back then.",
        {"soon": {"retry_in_ms": 1730}},
        READERS,
    )
    yield from _of_signals()
    yield from _of_streams(story)


def _of_signals() -> Iterator[Spoken]:
    """Live signals: the same data on every transport, in a frame of its own where events have no names."""
    for reader, signals in (("guest", streams.GUEST_SIGNALS), ("therapist", streams.THERAPIST_SIGNALS)):
        for name, model in signals.items():
            example = {"in_a_visit": SIGNALS[reader][name]}  # type: ignore[index]  # both are readers
            yield Spoken(f"signal_{name}_to_{reader}", name, model, _WHEN[name], example, (reader, "sse"))  # type: ignore[arg-type]
    named = {**SIGNALS["guest"], "going_away": {"retry_in_ms": 1730}}
    frames = {name: {"signal": name, "data": data} for name, data in named.items()}
    yield Spoken(
        "signal_frame",
        "",
        streams.SignalFrame,
        "As on Socket.IO: the same data in a frame of a plain WebSocket, of which `going_away` is the last, "
        "and in an answer of long poll.",
        frames,
        ("websocket",),
    )


_WHEN = {
    "typing": "The other side of a visit begins to type or stops; 6 s without a word of theirs are a stop.",
    "delivered": "A device of the other side has received more than any before.",
    "presence": "The other side of a visit comes, goes to the background, or has been gone for 30 s; and first of all.",
}


def _of_streams(story: Story) -> Iterator[Spoken]:
    start = {"epoch": EPOCH, "since": 12}
    yield Spoken(
        "start_of_socket",
        "",
        streams.SocketStart,
        "The first frame of a plain WebSocket.",
        {"from_a_cursor": {"start": True, "resync": False, **start}},
        ("websocket",),
    )
    yield Spoken("start", "start", streams.StreamStart, "First of all.", {"from_a_cursor": start}, ("sse",))
    yield Spoken(
        "resync",
        "resync",
        streams.StreamStart,
        "First of all, where the cursor is ahead of the feed or of another epoch: forget what is shown.",
        {"from_the_beginning": {"epoch": EPOCH, "since": 0}},
        ("sse",),
    )
    yield Spoken("end", "end", streams.Nothing, "The feed is over for this reader.", {"over": {}}, ("sse",))
    yield Spoken(
        "going_away_of_stream",
        "going_away",
        streams.GoingAway,
        "The same on a stream: come back then, with the cursor.",
        {"soon": {"retry_in_ms": 1730}},
        ("sse",),
    )
    for reader, model in (("guest", answers.PageOfGuest), ("therapist", answers.PageOfTherapist)):
        yield Spoken(
            f"page_of_{reader}",
            "",
            model,
            "The answer of a long poll: at once where there is something, else as soon as there is.",
            {"one_message": story.page(reader)},  # type: ignore[arg-type]
            ("poll",),
        )
