"""A row of the ledger leaves once, or says why not: whatever its provider does, and whoever dies over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import time, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.runtime.embedded import Servers
from bot.store.breakers import Breakers
from bot.store.entries import Entry
from bot.store.preferences import PreferencesStore
from tests.workers.offices import BUDI, SARI, START, Office, a_booking, office_of
from workers.delivery import LEASE, Delivery
from workers.letters import Matter


@pytest.fixture
async def office(servers: Servers, database: str, tmp_path: Path) -> AsyncIterator[Office]:
    async with office_of(servers, database, tmp_path) as running:
        yield running


# --- what leaves ------------------------------------------------------------------------------------------------------


async def test_each_channel_takes_its_message_once_and_has_a_receipt(office: Office) -> None:
    await office.add_phone()
    await office.add_browser()
    rows = [
        await office.write(channel="sms"),
        await office.write(channel="email"),
        await office.write(channel="push", side="therapist", person_id=SARI.id, kind="new_booking", urgency="urgent"),
    ]
    await office.drain()
    await office.drain()
    assert [(await office.row(each)).status for each in rows] == ["sent", "sent", "sent"]
    assert [message["To"] for message in office.twilio.messages] == [BUDI.phone]
    assert [str(mail["To"]) for mail in office.mail.mails] == ["Budi <budi@example.org>"]
    assert len(office.fcm.sent) == len(office.push.shown) == 1
    assert (await office.row(rows[0])).provider_id == office.twilio.messages[0]["sid"]
    assert len((await office.row(rows[2])).reached) == 2


async def test_several_who_look_at_a_row_at_once_send_it_once(office: Office) -> None:
    row = await office.row(await office.write())
    delivery: Delivery = office.post._delivery
    await asyncio.gather(*(delivery.deliver(row) for _ in range(8)))
    assert len(office.twilio.messages) == 1


# --- the fault matrix -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Case:
    """`fails` makes the provider fail; then the clock is moved from one attempt to the next until nothing is left."""

    name: str
    channel: str
    fails: Any
    comes_to: tuple[str, str | None]
    asked: int
    """How many requests the provider has seen."""
    received: int
    """How many messages it has taken."""


def sms(**fault: Any) -> Any:
    return lambda office: office.twilio.fail("/Messages.json", **fault)


def mail(step: Any, answer: str | None = None, **fault: Any) -> Any:
    return lambda office: office.mail.fail(step, answer, **fault)


def fcm(**fault: Any) -> Any:
    return lambda office: office.fcm.fail("messages:send", **fault)


def web_push(**fault: Any) -> Any:
    return lambda office: office.push.fail("/push/", **fault)


LOST: dict[str, Any] = {"is_dropped": True, "is_done": True}
CASES = (
    Case("a short message that is refused for a while", "sms", sms(status=503), ("sent", "failed"), 2, 1),
    Case("one that is refused every time", "sms", sms(status=429, times=9), ("dead", "gave_up"), 4, 0),
    Case("one whose answer is lost once", "sms", sms(**LOST), ("sent", "failed"), 2, 2),
    Case("one whose answer is lost twice", "sms", sms(**LOST, times=9), ("dead", "in_doubt"), 2, 2),
    Case("a mail that comes too early", "email", mail("RCPT", "451 later"), ("sent", "failed"), 2, 1),
    Case("a mail that comes too early every time", "email", mail("RCPT", "451 no", times=9), ("dead", "gave_up"), 4, 0),
    Case("a mail to nobody", "email", mail("RCPT", "550 nobody"), ("dead", "refused"), 1, 0),
    Case("a mail that is not wanted as it is", "email", mail("DATA", "554 spam"), ("dead", "refused"), 1, 0),
    Case("a mail whose answer is lost once", "email", mail("DATA", is_done=True), ("sent", "failed"), 2, 2),
    Case("one whose answer is lost twice", "email", mail("DATA", is_done=True, times=9), ("dead", "in_doubt"), 2, 2),
    Case("a push that is refused for a while", "fcm", fcm(status=502), ("sent", "failed"), 2, 1),
    Case("a push whose answer is lost", "fcm", fcm(**LOST), ("sent", "failed"), 2, 2),
    Case("a browser's push refused for a while", "web_push", web_push(status=503), ("sent", "failed"), 2, 1),
    Case("one whose answer is lost", "web_push", web_push(**LOST), ("sent", "failed"), 2, 2),
)


def requests(office: Office, channel: str) -> int:
    match channel:
        case "sms":
            return len(office.twilio.asked)
        case "email":
            return office.mail.steps.count("RCPT")
        case "fcm":
            return len(office.fcm.requests("messages:send"))
    return len(office.push.asked)


def taken(office: Office, channel: str) -> int:
    boxes: dict[str, Any] = {
        "sms": office.twilio.messages,
        "email": office.mail.mails,
        "fcm": office.fcm.sent,
        "web_push": office.push.shown,
    }
    return len(boxes[channel])


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.channel}: {case.name}")
async def test_every_failure_has_its_end(office: Office, case: Case) -> None:
    if case.channel == "fcm":
        await office.add_phone()
    if case.channel == "web_push":
        await office.add_browser()
    is_push = case.channel in ("fcm", "web_push")
    row_id = await office.write(
        channel="push" if is_push else case.channel,
        side="therapist" if is_push else "customer",
        person_id=SARI.id if is_push else BUDI.id,
        kind="new_booking" if is_push else "booking_confirmed",
    )
    case.fails(office)
    while (row := await office.row(row_id)).next_at is not None:
        office.clock.at = max(office.clock.at, row.next_at)
        await office.drain()
    assert await office.standing(row_id) == case.comes_to
    assert (requests(office, case.channel), taken(office, case.channel)) == (case.asked, case.received)


async def test_a_provider_says_when_to_come_again(office: Office) -> None:
    await office.add_browser()
    row_id = await office.write(channel="push", side="therapist", person_id=SARI.id, kind="new_booking")
    office.push.fail("/push/", status=429, headers={"Retry-After": "1800"})
    await office.drain()
    assert (await office.row(row_id)).next_at == START + timedelta(minutes=30)


# --- channels that are out of order -----------------------------------------------------------------------------------


async def test_a_channel_that_is_set_up_wrongly_rests_and_burns_nothing(office: Office) -> None:
    rows = [await office.write(occasion=str(number)) for number in range(3)]
    office.twilio.fail("/Messages.json", status=401, body='{"code": 20003}', content_type="application/json")
    first = await office.row(rows[0])
    await office.post._delivery.deliver(first)
    await office.drain()
    assert len(office.twilio.asked) == 1, "the others have not been tried"
    assert [(await office.row(each)).attempts for each in rows] == [0, 0, 0]
    breaker = (await Breakers(office.services.database["breakers"]).all())["sms"]
    assert breaker.is_misconfigured
    assert breaker.open_until is not None
    office.clock.at = breaker.open_until
    for _ in range(3):
        await office.drain()
        office.move(minutes=2)
    assert len(office.twilio.messages) == 3, "once it has been put in order all of them leave"
    assert not await Breakers(office.services.database["breakers"]).all()


async def test_a_provider_that_fails_for_everybody_is_left_alone_until_one_has_tried(office: Office) -> None:
    rows = [await office.write(occasion=str(number)) for number in range(12)]
    office.twilio.fail("/Messages.json", status=503, times=20)
    for each in rows:
        await office.post._delivery.deliver(await office.row(each))
    assert len(office.twilio.asked) == 5
    office.move(minutes=2)
    await office.drain()
    assert len(office.twilio.asked) == 6, "one goes first"


async def test_a_success_ends_a_row_of_failures(office: Office) -> None:
    office.twilio.fail("/Messages.json", status=503, times=4)
    for number in range(10):
        if number == 5:
            office.twilio.fail("/Messages.json", status=503, times=4)
        row_id = await office.write(occasion=str(number))
        await office.post._delivery.deliver(await office.row(row_id))
    assert len(office.twilio.asked) == 10, "it has never rested, since it has never failed five times in a row"


async def test_a_channel_that_nobody_has_set_up_is_skipped_with_that_reason(
    servers: Servers, database: str, tmp_path: Path
) -> None:
    async with office_of(servers, database, tmp_path, smtp_url=None, mail_from=None) as office:
        row_id = await office.write(channel="email")
        await office.drain()
        assert await office.standing(row_id) == ("skipped", "no_channel")


# --- people -----------------------------------------------------------------------------------------------------------


async def test_a_phone_that_is_gone_is_forgotten_and_what_is_urgent_comes_by_sms(office: Office) -> None:
    await office.add_phone(token="gone")
    office.fcm.errors["gone"] = "UNREGISTERED"
    row_id = await office.write(
        channel="push", side="therapist", person_id=SARI.id, kind="new_booking", urgency="urgent"
    )
    await office.drain()
    assert await office.standing(row_id) == ("skipped", "no_device")
    assert await office.services.devices.of(SARI.id) == []
    await office.drain()
    assert [message["To"] for message in office.twilio.messages] == [SARI.phone]
    [instead] = [row for row in await office.services.notifications.of_booking("b_1") if row.channel == "sms"]
    assert (instead.status, instead.instead_of) == ("sent", row_id)


async def test_a_guest_without_a_device_hears_of_a_message_by_sms_unless_they_have_read_it(office: Office) -> None:
    said = {"from": "therapist", "text": "I am at the gate"}
    await office.services.database["entries"].insert_one(
        Entry("e_1", "conversation:c_1", 1, START, "message", said).as_document()
    )
    waiting = {"kind": "message_waiting", "channel": "push", "seq": 1}
    await office.write(**waiting, occasion="unread")
    await office.drain()
    await office.drain()
    assert [message["To"] for message in office.twilio.messages] == [BUDI.phone]
    await office.services.database["entries"].insert_one(
        Entry("e_2", "conversation:c_1", 2, START, "read", {"by": "guest", "seq": 1}).as_document()
    )
    row_id = await office.write(**waiting, occasion="read")
    await office.drain()
    assert await office.standing(row_id) == ("skipped", "seen")


async def test_what_reaches_one_of_two_phones_is_sent_and_the_other_is_tried_again(office: Office) -> None:
    await office.add_phone(token="one")
    await office.add_phone(token="two")
    row_id = await office.write(channel="push", side="therapist", person_id=SARI.id, kind="new_booking")
    office.fcm.fail("messages:send", status=502)
    await office.drain()
    assert len(office.fcm.sent) == 1
    office.move(minutes=2)
    await office.drain()
    assert await office.standing(row_id) == ("sent", "failed")
    assert sorted(each["token"] for each in office.fcm.sent) == ["one", "two"]


async def test_all_devices_of_a_person_are_written_to_side_by_side(office: Office) -> None:
    for _ in range(3):
        await office.add_browser()
    office.push.fail("/push/", waits_for=3, times=3)
    row_id = await office.write(channel="push", side="therapist", person_id=SARI.id, kind="new_booking")
    await office.drain()
    assert await office.standing(row_id) == ("sent", None)
    assert len(office.push.shown) == 3


async def test_who_has_said_stop_gets_nothing_more_by_sms(office: Office) -> None:
    stopped = replace(BUDI, phone="+15005550004")
    office.known.put(a_booking(customer=stopped))
    row_id = await office.write()
    await office.drain()
    assert await office.standing(row_id) == ("skipped", "not_wanted")
    another = await office.write(kind="reminder_24h", occasion="later")
    await office.drain()
    assert await office.standing(another) == ("skipped", "not_wanted")
    assert len(office.twilio.asked) == 1


async def test_reminders_can_be_switched_off_and_confirmations_cannot(office: Office) -> None:
    await PreferencesStore(office.services.database["preferences"]).choose(BUDI.id, ["reminder"], None, START)
    reminder, confirmation = await office.write(kind="reminder_24h"), await office.write()
    await office.drain()
    assert await office.standing(reminder) == ("skipped", "not_wanted")
    assert await office.standing(confirmation) == ("sent", None)


async def test_what_can_wait_waits_until_the_quiet_hours_of_the_persons_own_clock_are_over(office: Office) -> None:
    quiet = (time(9), time(11))  # it is ten in the morning in Jakarta
    await PreferencesStore(office.services.database["preferences"]).choose(BUDI.id, [], quiet, START)
    waits = await office.write(kind="reminder_24h")
    imminent = await office.write(kind="reminder_1h", useful_until=START + timedelta(minutes=30))
    await office.drain()
    assert await office.standing(waits) == ("pending", "quiet_hours")
    assert (await office.row(waits)).next_at == START + timedelta(hours=1)
    assert await office.standing(imminent) == ("sent", None)
    office.move(hours=1)
    await office.drain()
    assert (await office.row(waits)).status == "sent"


async def test_nobody_is_flooded_and_what_they_need_comes_all_the_same(office: Office) -> None:
    rows = [await office.write(kind="reminder_24h", occasion=str(number)) for number in range(6)]
    for each in rows:
        await office.post._delivery.deliver(await office.row(each))
    needed = await office.write(occasion="needed")
    await office.drain()
    assert [(await office.standing(each))[0] for each in rows] == ["sent"] * 4 + ["pending"] * 2
    assert (await office.row(needed)).status == "sent"
    office.move(hours=1, seconds=1)
    await office.drain()
    assert [(await office.standing(each))[0] for each in rows] == ["sent"] * 6


# --- the booking has changed meanwhile --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "kind", "why"),
    [
        ({"status": "cancelled"}, "reminder_2h", "cancelled"),
        ({"revision": 2}, "reminder_2h", "moved"),
        ({"has_begun": True}, "reminder_2h", "begun"),
        ({"starts_at": START - timedelta(minutes=1)}, "reminder_2h", "begun"),
        ({"status": "over"}, "reminder_2h", "over"),
        ({"customer": None}, "booking_confirmed", "nobody"),
        ({"customer": replace(BUDI, id="guest:c_2")}, "booking_confirmed", "nobody"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_a_row_looks_at_its_booking_again_and_says_why_it_was_skipped(
    office: Office, change: dict[str, Any], kind: str, why: str
) -> None:
    row_id = await office.write(kind=kind)
    office.known.put(a_booking(**change))
    await office.drain()
    assert await office.standing(row_id) == ("skipped", why)
    assert not office.twilio.asked


async def test_after_an_outage_what_is_still_useful_is_sent_and_what_is_not_is_skipped(office: Office) -> None:
    useful = await office.write(kind="reminder_24h", useful_until=START + timedelta(hours=12))
    late = await office.write(kind="reminder_3h", useful_until=START + timedelta(hours=1))
    office.move(hours=6)
    await office.drain()
    assert await office.standing(useful) == ("sent", None)
    assert await office.standing(late) == ("skipped", "too_late")


# --- whoever dies over it ---------------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone: nothing that it meant to do happens."""


@pytest.mark.parametrize(
    ("dies", "received", "comes_to"),
    [
        ("before the claim", 1, "sent"),
        ("after the claim", 1, "sent"),
        ("after the provider's answer", 2, "sent"),
    ],
)
async def test_a_worker_that_is_killed_over_a_short_message_leaves_at_most_one_too_many(
    office: Office, monkeypatch: pytest.MonkeyPatch, dies: str, received: int, comes_to: str
) -> None:
    row_id = await office.write()
    with monkeypatch.context() as patch:
        ledger = office.services.notifications
        if dies == "before the claim":
            patch.setattr(type(ledger), "claim", _killed)
        elif dies == "after the claim":
            patch.setattr(Delivery, "_write", _killed)
        else:
            patch.setattr(type(ledger), "settle", _killed)
        with pytest.raises(Killed):
            await office.post._delivery.deliver(await office.row(row_id))
    await office.drain()
    assert len(office.twilio.messages) == (1 if dies != "after the claim" else 0), "the lease is not over yet"
    office.move(seconds=LEASE.total_seconds())
    await office.drain()
    assert ((await office.row(row_id)).status, len(office.twilio.messages)) == (comes_to, received)


async def test_two_who_die_over_a_short_message_leave_it_to_somebody_who_looks(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    row_id = await office.write()
    for _ in range(2):
        with monkeypatch.context() as patch:
            patch.setattr(type(office.services.notifications), "settle", _killed)
            with pytest.raises(Killed):
                await office.post._delivery.deliver(await office.row(row_id))
        office.move(seconds=LEASE.total_seconds())
    await office.drain()
    assert await office.standing(row_id) == ("dead", "in_doubt")
    assert len(office.twilio.messages) == 2


async def _killed(*_: Any, **__: Any) -> None:
    raise Killed


async def test_a_fault_of_ours_is_tried_again_and_ends_with_the_dead_letters(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    row_id, fine = await office.write(), await office.write(channel="email")

    def broken(*_: Any) -> None:
        raise ValueError("nobody thought of this")

    monkeypatch.setattr(office.post._delivery._letters, "sms", broken, raising=False)
    while (row := await office.row(row_id)).next_at is not None:
        office.clock.at = max(office.clock.at, row.next_at)
        await office.drain()
    assert await office.standing(row_id) == ("dead", "fault")
    assert (await office.row(fine)).status == "sent", "it holds up no other"


@pytest.mark.parametrize("error", [OSError("unexpected end of stream"), ValueError("?"), RecursionError(), KeyError(1)])
async def test_a_row_of_a_batch_fails_alone_whatever_it_meets_and_its_id_stands_in_the_log(
    office: Office, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """What sets mails raises OSError: it was taken for an absent ledger, and ended the mails of six strangers."""
    odd, *fine = [await office.write(channel="email", occasion=str(number)) for number in range(7)]
    email = office.post._delivery._letters.email

    def sometimes_broken(matter: Matter) -> Any:
        if matter.row_id == odd:
            raise error
        return email(matter)

    monkeypatch.setattr(office.post._delivery._letters, "email", sometimes_broken, raising=False)
    with capture_logs() as logs:
        await office.drain()
    assert [(await office.row(each)).status for each in fine] == ["sent"] * 6
    assert (await office.row(odd)).status == "pending"
    assert [log["id"] for log in logs if log["event"] == "a notification could not be delivered"] == [odd]


@pytest.mark.parametrize("char", ["\ufffe", "\uffff", "\U0001fffe", "\x0b", "\x00"])
async def test_a_character_that_no_mail_can_hold_is_left_out_of_it(office: Office, char: str) -> None:
    """Of a name that was kept before texts were judged as they are now."""
    office.known.put(a_booking(customer=replace(BUDI, name=f"Bu{char}di"), address=f"Jl. {char}Legian 8/9"))
    row_id = await office.write(channel="email")
    await office.drain()
    assert (await office.row(row_id)).status == "sent"
