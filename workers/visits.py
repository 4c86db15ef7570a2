"""What a mail shows of a booking: its facts as rows, in the reader's language and on the reader's clock."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from bot.schemas.notice_words import LONGEST_NAME, shortened
from bot.schemas.texts import is_noncharacter
from bot.schemas.views import in_language
from bot.words import BIDI_CONTROLS, Words
from conversations.notice_texts import A_VISIT
from conversations.notices import BookingFacts, Person, Side
from conversations.replies import N_

Rows = tuple[tuple[str, str], ...]
LONGEST_ADDRESS = 200

_WITH: dict[Side, str] = {"customer": N_("With"), "therapist": N_("Guest")}
# Mail programs make links of these, and whoever chose one as their name is not asked who that is.
_WEB_ADDRESS = re.compile(r"\S*(?:://|www\.)\S*", re.IGNORECASE)
_SLASH_IN_A_WORD = re.compile(r"(?<=\w)/(?=\w)")
_DOT_IN_A_WORD = re.compile(r"(?<=[^\W\d_])\.(?=[^\W\d_])")


@dataclass(frozen=True, slots=True)
class Visit:
    """A booking in one person's words; what is not known is left out."""

    words: Words
    booking_facts: BookingFacts
    person: Person
    side: Side

    @property
    def service(self) -> str:
        named = in_language(self.booking_facts.service_names, self.person.locale)
        return as_name(named) or self._say(A_VISIT)

    @property
    def other(self) -> str:
        """Whom the reader meets, empty where nobody is known."""
        other = self.booking_facts.person("therapist" if self.side == "customer" else "customer")
        return as_name(other.name) if other else ""

    @property
    def when(self) -> str:
        """Where a line ends, the zone and `pukul` stay with their hour."""
        when = self.words.when(self.person.locale, self.booking_facts.starts_at, self.person.timezone)
        return "\N{NO-BREAK SPACE}".join(when.rsplit(" ", 2))

    @property
    def address(self) -> str:
        return as_place(self.booking_facts.address or "")

    @property
    def reference(self) -> str:
        return as_name(self.booking_facts.reference)

    @property
    def price(self) -> str:
        price = self.booking_facts.price
        return self.words.money(self.person.locale, price) if price else ""

    @property
    def facts(self) -> Rows:
        """What the therapist earns is not the price, and stands on their page."""
        return self._known(
            (N_("Service"), self.service),
            (_WITH[self.side], self.other),
            (N_("When"), self.when),
            (N_("Duration"), self._say(N_("{minutes} minutes"), minutes=self.booking_facts.duration)),
            (N_("Where"), self.address),
            (N_("Price"), self.price if self.side == "customer" else ""),
            (N_("Reference"), self.reference),
        )

    @property
    def bill(self) -> Rows:
        """What a payment was for."""
        return self._known(
            (N_("Amount"), self.price),
            (N_("Service"), self.service),
            (N_("When"), self.when),
            (N_("Reference"), self.reference),
        )

    @property
    def is_ours(self) -> bool:
        """Whether it was booked in a chat of ours: of other systems we do not know who goes where."""
        return self.booking_facts.conversation_id is not None

    @property
    def goes_there(self) -> bool:
        """Whether the reader has to find the address."""
        return self.side == "therapist" and bool(self.address)

    def _known(self, *rows: tuple[str, str]) -> Rows:
        return tuple((self._say(label), value) for label, value in rows if value)

    def _say(self, msgid: str, **params: object) -> str:
        return self.words.say(self.person.locale, msgid, params)


def as_name(text: str, length: int = LONGEST_NAME) -> str:
    """What somebody called themselves, on one line: no control characters, no links, not too long."""
    return as_place(_SLASH_IN_A_WORD.sub(" ", _WEB_ADDRESS.sub(" ", text)), length)


def as_place(text: str, length: int = LONGEST_ADDRESS) -> str:
    """The same for an address, whose houses have numbers like 8/9: `Jl.Legian` is `Jl. Legian`, and no link."""
    visible = "".join(" " if _breaks(char) else char for char in BIDI_CONTROLS.sub("", text))
    unlinked = _DOT_IN_A_WORD.sub(". ", _WEB_ADDRESS.sub(" ", visible))
    return shortened(" ".join(unlinked.split()), length)


def _breaks(char: str) -> bool:
    return unicodedata.category(char) in ("Cc", "Zl", "Zp", "Cs") or is_noncharacter(char)
