"""From a notice to what is sent: a mail, a short message or a push, in the reader's language and on their clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2s
from typing import Any

from bot.providers.messages import Email, Invitation, Push, Sms
from bot.schemas.notice_words import notice_params, said, said_values, settlement_text, shortened
from bot.words import Words
from conversations import notices
from conversations.notice_texts import A_VISIT, Text, text_of
from conversations.notices import BookingFacts, Person, Side, Urgency, is_reminder
from conversations.replies import N_
from workers.invitations import Occasion, google_calendar_url, invitation
from workers.mail_templates import Templates
from workers.short_messages import fitted
from workers.visits import Visit, as_name

MAIL_OF: Mapping[str, str] = {
    notices.BOOKING_CONFIRMED: "confirmed",
    notices.BOOKING_MOVED: "moved",
    notices.BOOKING_CANCELLED: "cancelled",
    notices.PAYMENT_CONFIRMED: "payment_confirmed",
    notices.PAYMENT_FAILED: "payment_failed",
    notices.STARTS_SOON: "starts_soon",
    notices.REMINDER: "reminder",
}
"""Which template says what; what is not named here is a mere notice."""
INVITING = frozenset({notices.BOOKING_CONFIRMED, notices.NEW_BOOKING, notices.BOOKING_MOVED})
# The body of their short message says what has happened; that of the others needs its title.
TELLING = frozenset({notices.PAYMENT_CONFIRMED, notices.PAYMENT_FAILED, notices.MESSAGE_WAITING})
# What sends a therapist on their way says where to, should the page be out of reach.
SENDING = frozenset({notices.NEW_BOOKING, notices.BOOKING_MOVED, notices.STARTS_SOON, notices.REMINDER})
# In the United States and Canada what is not needed must say how to end it.
OPT_OUT_PREFIX, OPT_OUT = "+1", N_("Reply STOP to opt out.")
LONGEST_BRAND = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Links:
    """Public addresses of one reader; None where there is nothing to open."""

    chat: str | None = None
    """Where the booking is, or the page of a therapist."""
    preferences: str | None = None
    unsubscribe: str | None = None
    """Where one POST ends what is not needed."""
    app_store: str | None = None
    play_store: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """What is told to whom: everything that a message is made of. `row_id` is that of the ledger."""

    row_id: str
    kind: str
    side: Side
    booking_facts: BookingFacts
    person: Person
    links: Links
    now: datetime


class UnknownKind(LookupError):
    """There are no words for a notice of this kind."""


class Letters:
    """Writes messages; `sender` is the address that mails come from."""

    def __init__(self, words: Words, templates: Templates, sender: str) -> None:
        self._words = words
        self._templates = templates
        self._sender = sender

    def email(self, matter: Matter) -> Email:
        """The mail to somebody who has an address."""
        person, brand = matter.person, as_name(matter.booking_facts.brand)
        assert person.email is not None, "who has no address is not written to"
        mail, values = MAIL_OF.get(_name_of(matter.kind), "notice"), self._values(matter)
        return Email(
            message_id=f"<{_digest(matter.row_id)}@{self._sender.rpartition('@')[2]}>",
            to=person.email,
            to_name=as_name(person.name),
            from_name=brand,
            subject=self._subject(matter),
            text=self._templates.text(mail, person.locale, brand, values),
            html=self._templates.html(mail, person.locale, brand, values),
            invitation=self._invitation(matter),
            unsubscribe_url=values["unsubscribe"],
        )

    def sms(self, matter: Matter) -> Sms:
        """The short message: of what does not fit, names and addresses are cut and nothing else."""
        assert matter.person.phone is not None, "who has no number gets no short messages"
        return Sms(to=matter.person.phone, text=fitted(lambda room: self._short_message(matter, room)))

    def push(self, matter: Matter, urgency: Urgency, sound: str | None, useful_until: datetime) -> Push:
        """What a phone shows; a later reminder of the same booking takes the place of an earlier one."""
        booking_facts, kind = matter.booking_facts, matter.kind
        title, body = self._short(matter)
        group = notices.REMINDER if is_reminder(kind) else kind
        return Push(
            title=title,
            body=body,
            url=matter.links.chat or "",
            collapse_key=_digest(f"{booking_facts.booking_id} {group}"),
            ttl_s=max(0, int((useful_until - matter.now).total_seconds())),
            urgency=urgency,
            sound=sound,
            data={"kind": kind, "booking_id": booking_facts.booking_id},
        )

    def _short(self, matter: Matter) -> tuple[str, str]:
        """Title and body as feeds show them."""
        return said(self._words, _text(matter), self._said_values(matter), matter.person.locale)

    def _said_values(self, matter: Matter) -> dict[str, Any]:
        params = notice_params(matter.side, matter.booking_facts, matter.person, matter.now)
        visit = self._visit(matter)
        return {
            **said_values(self._words, params, matter.person.locale),
            "service": visit.service,
            "other": visit.other,
            "reference": visit.reference,
        }

    def _short_message(self, matter: Matter, room: int) -> str:
        locale, visit = matter.person.locale, self._visit(matter)
        values = {
            **self._said_values(matter),
            "service": _cut(visit.service, room) or self._words.say(locale, A_VISIT),
            "other": _cut(visit.other, room),
            "when": self._words.when_briefly(locale, matter.booking_facts.starts_at, matter.person.timezone),
        }
        title, body = said(self._words, _text(matter), values, locale)
        brand = shortened(as_name(matter.booking_facts.brand), LONGEST_BRAND)
        parts = [
            f"{brand}:" if brand else "",
            "" if matter.kind in TELLING else f"{title}.",
            body,
            f"{_cut(visit.address, room)}." if _name_of(matter.kind) in SENDING and visit.goes_there and room else "",
            "" if matter.kind in TELLING else f"Ref {visit.reference}.",
            matter.links.chat or "",
            self._words.say(locale, OPT_OUT) if _may_opt_out(matter) else "",
        ]
        return " ".join(filter(None, parts))

    def _subject(self, matter: Matter) -> str:
        """Beside the occasion the service and the time, and nobody's name."""
        locale, booking_facts = matter.person.locale, matter.booking_facts
        title = self._words.say(locale, _text(matter).title)
        if matter.kind == notices.MESSAGE_WAITING:
            return title
        when = self._words.when_briefly(locale, booking_facts.starts_at, matter.person.timezone)
        return f"{title}: {self._visit(matter).service}, {when}"

    def _values(self, matter: Matter) -> dict[str, Any]:
        """What the templates mention."""
        locale, booking_facts, links = matter.person.locale, matter.booking_facts, matter.links
        title, body = self._short(matter)
        said_values = self._said_values(matter)
        occasion = self._occasion(matter)
        return {
            "title": title,
            "body": body,
            "preheader": body,
            "brand": as_name(booking_facts.brand),
            "name": as_name(matter.person.name),
            "kind": matter.kind,
            "side": matter.side,
            "visit": self._visit(matter),
            "when": said_values["when"],
            "today": self._words.day(locale, matter.now, matter.person.timezone),
            "settlement": settlement_text(self._words, said_values, locale),
            "is_refunded": said_values["settlement"] in ("refunded", "partly_refunded"),
            "calendar_url": google_calendar_url(booking_facts, matter.person, occasion),
            "links": links,
            "unsubscribe": None if matter.kind in notices.NEEDED else links.unsubscribe,
        }

    def _invitation(self, matter: Matter) -> Invitation | None:
        if matter.kind == notices.BOOKING_CANCELLED:
            return invitation("CANCEL", matter.booking_facts, matter.person, self._occasion(matter), matter.now)
        if matter.kind in INVITING and matter.booking_facts.status == "confirmed":
            return invitation("REQUEST", matter.booking_facts, matter.person, self._occasion(matter), matter.now)
        return None

    def _occasion(self, matter: Matter) -> Occasion:
        visit = self._visit(matter)
        rows = [f"{label}: {value}" for label, value in visit.facts]
        return Occasion(
            summary=f"{visit.service} – {as_name(matter.booking_facts.brand)}",
            description="\n".join([*rows, *filter(None, [matter.links.chat])]),
            organizer=self._sender,
            location=visit.address or None,
            link=matter.links.chat,
        )

    def _visit(self, matter: Matter) -> Visit:
        return Visit(self._words, matter.booking_facts, matter.person, matter.side)


def _text(matter: Matter) -> Text:
    text = text_of(matter.kind, matter.side)
    if text is None:
        raise UnknownKind(matter.kind)
    return text


def _name_of(kind: str) -> str:
    """The kind without its lead."""
    return notices.REMINDER if kind.startswith(notices.REMINDER) else kind


def _may_opt_out(matter: Matter) -> bool:
    return matter.kind not in notices.NEEDED and (matter.person.phone or "").startswith(OPT_OUT_PREFIX)


def _cut(text: str, room: int) -> str:
    return shortened(text, room) if room else ""


def _digest(text: str) -> str:
    """32 characters that are the same for the same text, which is as long as a topic of Web Push may be (RFC 8030)."""
    return blake2s(text.encode(), digest_size=16).hexdigest()
