"""Before anything is sent: whether a row of the ledger still makes sense, is wanted, and has somewhere to go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from bot.clock import Now
from bot.notifications.facts import FactsOfBookings
from bot.providers.opening import Channels
from bot.store.breakers import Breakers
from bot.store.devices import Device, Devices
from bot.store.notifications import Notifications, Row, Status
from bot.store.preferences import PreferencesStore
from bot.store.together import Together
from conversations import notices
from conversations.notices import BookingFacts, Channel, Person
from workers.letters import Links, Matter

CAP_WINDOW = timedelta(hours=1)
# Nobody can tell their providers to send a thing only once: a second doubt ends them.
WITHOUT_IDEMPOTENCY: frozenset[Channel] = frozenset({"email", "sms"})
MOST_DOUBTS = 1

IsSeen = Callable[[Row, BookingFacts], Awaitable[bool]]
LinksOf = Callable[[Row, BookingFacts, Person], Links]


@dataclass(frozen=True, slots=True)
class Caps:
    """How many messages that are neither urgent nor needed a person gets on a channel within an hour."""

    sms: int = 4
    email: int = 8
    push: int = 20

    def of(self, channel: Channel) -> int | None:
        return {"sms": self.sms, "email": self.email, "push": self.push}.get(channel)


@dataclass(frozen=True, slots=True)
class Ready:
    """It may go: what its message is made of, and the devices that a push has not reached yet.

    `ailing` are those of its providers that have failed lately.
    """

    row: Row
    matter: Matter
    devices: tuple[Device, ...] = ()
    ailing: frozenset[str] = frozenset()

    @property
    def providers(self) -> Sequence[str]:
        """Whom sending it takes, by the names of their breakers."""
        if self.row.channel != "push":
            return (self.row.channel,)
        return sorted({provider_of(device) for device in self.devices})


@dataclass(frozen=True, slots=True)
class Ending:
    """It does not go, and that is that."""

    status: Status
    what: str


@dataclass(frozen=True, slots=True)
class Later:
    """It does not go now, and that is not counted as an attempt."""

    at: datetime
    what: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """This channel reaches nobody: perhaps another one does."""

    what: str


Eligibility = Ready | Ending | Later | Unreachable


def provider_of(device: Device) -> str:
    return "fcm" if device.kind == "fcm" else "web_push"


class EligibilityCheck:
    """`await check(row)`: reads everything that has to do with the row, and writes nothing."""

    def __init__(
        self,
        *,
        ledger: Notifications,
        facts_of_bookings: FactsOfBookings,
        preferences: PreferencesStore,
        devices: Devices,
        breakers: Breakers,
        channels: Channels,
        links_of: LinksOf,
        is_seen: IsSeen,
        now: Now,
        caps: Caps,
    ) -> None:
        self._ledger = ledger
        self._sent_lately = Together(self._sent_within_the_hour)
        self._facts_of_bookings = facts_of_bookings
        self._preferences = preferences
        self._devices = devices
        self._breakers = breakers
        self._channels = channels
        self._links_of = links_of
        self._is_seen = is_seen
        self._now = now
        self._caps = caps

    async def __call__(self, row: Row) -> Eligibility:
        booking_facts = await self._booking_facts(row)
        person = booking_facts.person(row.side) if booking_facts else None
        if booking_facts is None or person is None or person.id != row.person_id:
            return Ending("skipped", "nobody")
        sense = await self._sense(row, booking_facts)
        if sense is not None:
            return sense
        wish = await self._wish(row, person)
        if wish is not None:
            return wish
        return await self._addressed(row, booking_facts, person)

    async def _booking_facts(self, row: Row) -> BookingFacts | None:
        if row.kind == notices.NEW_OFFER:
            return await self._facts_of_bookings.offered(row.booking_id, row.person_id)
        return await self._facts_of_bookings.find(row.room, row.booking_id)

    async def _sense(self, row: Row, booking_facts: BookingFacts) -> Ending | None:
        """Why it is not worth being sent, None where it is."""
        why = notices.why_not(row.kind, row.revision, row.useful_until, booking_facts, self._now())
        if why is None and row.kind == notices.MESSAGE_WAITING and await self._is_seen(row, booking_facts):
            why = "seen"
        if why is not None:
            return Ending("skipped", why)
        if row.channel in WITHOUT_IDEMPOTENCY and row.doubts + _interrupted(row) > MOST_DOUBTS:
            return Ending("dead", "in_doubt")
        return None

    async def _wish(self, row: Row, person: Person) -> Ending | Later | None:
        """What the person has said about being told, None where it may be now."""
        preferences = await self._preferences.of(person)
        if not notices.is_wanted(row.kind, row.channel, preferences):
            return Ending("skipped", "not_wanted")
        now, zone = self._now(), ZoneInfo(person.timezone)
        wakes_at = notices.after_quiet_hours(now, preferences.quiet, zone, row.urgency, row.useful_until)
        if wakes_at > now:
            return Later(wakes_at, "quiet_hours")
        # Each short message is paid for: of messages that wait in a conversation, one within the hour is told of so.
        is_dear = (row.kind, row.channel) == (notices.MESSAGE_WAITING, "sms")
        if is_dear and await self._ledger.has_told(row, now - CAP_WINDOW):
            return Ending("skipped", "told_lately")
        return await self._room_in_the_hour(row)

    async def _room_in_the_hour(self, row: Row) -> Later | None:
        cap = self._caps.of(row.channel)
        if cap is None or row.urgency == "urgent" or row.kind in notices.NEEDED:
            return None
        sent = await self._sent_lately.one((row.person_id, row.channel)) or ()
        return Later(sent[-cap] + CAP_WINDOW, "too_many") if len(sent) >= cap else None

    async def _sent_within_the_hour(
        self, people: Sequence[tuple[str, Channel]]
    ) -> Mapping[tuple[str, Channel], list[datetime]]:
        return await self._ledger.sent_since(people, self._now() - CAP_WINDOW)

    async def _addressed(self, row: Row, booking_facts: BookingFacts, person: Person) -> Eligibility:
        """Where it goes, by providers that are in order."""
        devices: tuple[Device, ...] = ()
        if row.channel == "push":
            devices = tuple(each for each in await self._devices.of(person.id) if self._reaches(each))
            if not devices:
                return Unreachable("no_device")
        elif not self._is_open(row.channel):
            return Ending("skipped", "no_channel")
        elif (person.email if row.channel == "email" else person.phone) is None:
            return Ending("skipped", "no_address")
        matter = Matter(
            row_id=row.id,
            kind=row.kind,
            side=row.side,
            booking_facts=booking_facts,
            person=person,
            links=self._links_of(row, booking_facts, person),
            now=self._now(),
        )
        ready = Ready(row, matter, tuple(each for each in devices if each.id not in row.reached))
        return await self._with_leave(ready)

    def _is_open(self, channel: Channel) -> bool:
        return (self._channels.email if channel == "email" else self._channels.sms) is not None

    def _reaches(self, device: Device) -> bool:
        return (self._channels.fcm if device.kind == "fcm" else self._channels.web_push) is not None

    async def _with_leave(self, ready: Ready) -> Ready | Later:
        ailing = set()
        for name in ready.providers:
            leave = await self._breakers.may_ask(name, self._now())
            if leave.again_at is not None:
                return Later(leave.again_at, "channel_rests")
            if leave.has_failed:
                ailing.add(name)
        return replace(ready, ailing=frozenset(ailing))


def _interrupted(row: Row) -> int:
    """A row that is still being sent when it is looked at again: whoever claimed it has died over it."""
    return int(row.status == "sending")
