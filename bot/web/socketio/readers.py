"""Live readers of feeds: an open connection gets what it may see, in its language, encoded once for all alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bot.feeds.feed import Following, Ready
from bot.feeds.feeds import Feeds
from bot.identity import Audience
from bot.schemas.render import encode_entry
from bot.store.entries import Entry
from bot.web.socketio.packets import encode_event
from bot.words import Words
from conversations.values import Locale

Send = Callable[[bytes], None]


@dataclass(slots=True)
class Reader:
    """One connection: who reads, in which language, and the feeds it follows."""

    namespace: str
    audience: Audience
    locale: Locale
    feeds: Feeds
    words: Words
    send: Send
    ready: Ready
    followings: dict[str, Following] = field(default_factory=dict)

    def follow(
        self, feed: str, cursor: int, *, on_entry: Callable[[Entry], None] | None = None, until: int | None = None
    ) -> None:
        """Send everything after the cursor as it comes, `until` included; `on_entry` sees each entry afterwards."""
        if feed in self.followings or (until is not None and cursor >= until):
            return

        following: Following | None = None

        def deliver(entries: Sequence[Entry]) -> None:
            for entry in entries:
                if following is not None and self.followings.get(feed) is not following:
                    return  # an entry of this very batch has ended the reading
                self.send(self._frame(entry))
                if on_entry is not None:
                    on_entry(entry)

        following = self.followings[feed] = self.feeds.follow(feed, cursor, deliver, self.ready)

    def leave(self, feed: str) -> None:
        following = self.followings.pop(feed, None)
        if following is not None:
            following.close()

    def close(self) -> None:
        for feed in list(self.followings):
            self.leave(feed)

    def _frame(self, entry: Entry) -> bytes:
        return encode_event(self.namespace, "entry", encode_entry(self.words, entry, self.locale, self.audience))
