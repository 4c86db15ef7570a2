"""One row of the ledger on its way out: looked at, claimed, sent by its providers, and what came of it recorded.

A row is claimed right before its provider is asked. Whoever dies after that leaves a lease that runs out, and a doubt:
mail and short messages, which no provider can be told to send only once, are repeated after one doubt and not after a
second; a push takes its own place on a device that has it already.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from bot.clock import Now
from bot.identity import new_id
from bot.providers.messages import NotSent, Push, Receipt, Verdict
from bot.providers.opening import Channels
from bot.store.breakers import Breakers
from bot.store.devices import Device, Devices
from bot.store.driver import PyMongoError
from bot.store.notifications import Notifications, Reason, Row, Status
from bot.store.preferences import PreferencesStore, phone_id
from conversations import notices
from conversations.notices import Notice
from workers.eligibility import MOST_DOUBTS, WITHOUT_IDEMPOTENCY, EligibilityCheck, Ending, Later, Ready, provider_of
from workers.letters import Letters, UnknownKind

log = structlog.get_logger()

RETRY_AFTER = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))
JITTER = 0.1
STATUS_PATH = "/api/v1/booking-notifications/webhooks/twilio-status"
# Longer than all that may happen between a claim and its end.
LEASE = timedelta(seconds=60)


TellIntegrators = Callable[[Row, Status, str | None], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of asking: whom it reached, and by which provider it went wrong with others."""

    receipt: Receipt | None = None
    reached: tuple[str, ...] = ()
    failures: tuple[tuple[str, Verdict], ...] = ()


class Delivery:
    """Delivers rows one by one; every outcome, expected or not, is written into the row."""

    def __init__(
        self,
        *,
        eligibility_check: EligibilityCheck,
        ledger: Notifications,
        preferences: PreferencesStore,
        devices: Devices,
        breakers: Breakers,
        channels: Channels,
        letters: Letters,
        now: Now,
        chance: random.Random,
        public_url: str | None,
        tell_integrators: TellIntegrators,
    ) -> None:
        self._eligibility_check = eligibility_check
        self._ledger = ledger
        self._preferences = preferences
        self._devices = devices
        self._breakers = breakers
        self._channels = channels
        self._letters = letters
        self._now = now
        self._chance = chance
        self._public_url = public_url
        self._tell_integrators = tell_integrators

    async def deliver(self, row: Row) -> None:
        """Send it, put it off, or end it with its reason; a fault of ours is one of these as well."""
        try:
            await self._deliver(row)
        except PyMongoError:
            raise  # the ledger cannot be reached: the row stays as it is
        except Exception:
            log.exception("a notification could not be delivered", id=row.id, kind=row.kind, channel=row.channel)
            await self._blame_ourselves(row)

    async def _deliver(self, row: Row) -> None:
        match await self._eligibility_check(row):
            case Ending(status, what):
                await self._end(row, status, what)
            case Later(at, what):
                await self._put_off(row, at, what)
            case Ready() as ready:
                claimed = await self._ledger.claim(row, new_id("d"), self._now(), LEASE)
                if claimed is not None:
                    await self._send(replace(ready, row=claimed))
            case unreachable:
                await self._take_another_channel(row, unreachable.what)

    # --- sending ------------------------------------------------------------------------------------------------------

    async def _send(self, ready: Ready) -> None:
        try:
            sent = await (self._push(ready) if ready.row.channel == "push" else self._write(ready))
        except UnknownKind:
            await self._end(ready.row, "dead", "no_words")
            return
        await self._note_providers(ready, sent)
        if sent.failures:
            await self._fail(ready, sent)
        else:
            await self._succeed(ready.row, sent)

    async def _write(self, ready: Ready) -> Sent:
        """A mail or a short message."""
        try:
            if ready.row.channel == "email":
                assert self._channels.email is not None, "it was looked for before the claim"
                return Sent(await self._channels.email.send(self._letters.email(ready.matter)))
            assert self._channels.sms is not None, "it was looked for before the claim"
            message = replace(self._letters.sms(ready.matter), status_url=self._status_url(ready.row))
            return Sent(await self._channels.sms.send(message))
        except NotSent as error:
            return Sent(failures=((ready.row.channel, error.verdict),))

    def _status_url(self, row: Row) -> str | None:
        """Where the provider says what became of it."""
        return None if self._public_url is None else f"{self._public_url}{STATUS_PATH}?n={row.id}"

    async def _push(self, ready: Ready) -> Sent:
        """To every device that has not got it yet, side by side; those that are gone are forgotten."""
        row = ready.row
        push = self._letters.push(ready.matter, row.urgency, row.sound, row.useful_until)
        verdicts = await asyncio.gather(*(self._verdict_of(device, push) for device in ready.devices))
        reached, failures = [], []
        for device, verdict in zip(ready.devices, verdicts, strict=True):
            if verdict is None:
                reached.append(device.id)
            elif verdict.is_address_dead:
                await self._devices.remove(device.id)
            else:
                failures.append((provider_of(device), verdict))
        return Sent(reached=tuple(reached), failures=tuple(failures))

    async def _verdict_of(self, device: Device, push: Push) -> Verdict | None:
        """None where it was sent."""
        try:
            await self._push_to(device, push)
        except NotSent as error:
            return error.verdict
        return None

    async def _push_to(self, device: Device, push: Push) -> None:
        if device.kind == "fcm":
            assert self._channels.fcm is not None, "others were left out"
            assert device.token is not None, "it has one"
            await self._channels.fcm.send(push, device.token)
        else:
            assert self._channels.web_push is not None, "others were left out"
            assert device.subscription is not None, "it has one"
            await self._channels.web_push.send(push, device.subscription)

    async def _note_providers(self, ready: Ready, sent: Sent) -> None:
        """A verdict about one message or one address shows that its provider works: news where it had failed."""
        troubled = {name: verdict for name, verdict in sent.failures if verdict.kind != "permanent"}
        for name in ready.providers:
            if name not in troubled:
                if name in ready.ailing:
                    await self._breakers.succeeded(name)
                continue
            code, is_misconfigured = troubled[name].code, troubled[name].kind == "config"
            breaker = await self._breakers.failed(name, code, self._now(), is_misconfigured=is_misconfigured)
            if breaker.open_until is not None:
                log.error("a channel rests", channel=name, code=code, misconfigured=is_misconfigured)

    # --- what becomes of it -------------------------------------------------------------------------------------------

    async def _succeed(self, row: Row, sent: Sent) -> None:
        reached = (*row.reached, *sent.reached)
        if row.channel == "push" and not reached:
            await self._take_another_channel(row, "no_device")
            return
        more: dict[str, Any] = {"reached": list(reached)}
        if sent.receipt and sent.receipt.provider_id:
            more["provider_id"] = sent.receipt.provider_id
        await self._settle(row, "sent", **more)

    async def _fail(self, ready: Ready, sent: Sent) -> None:
        row = replace(ready.row, reached=(*ready.row.reached, *sent.reached))
        verdict = _gravest([verdict for _, verdict in sent.failures])
        if verdict.is_stopped and ready.matter.person.phone is not None:
            await self._preferences.stop(phone_id(ready.matter.person.phone), "sms", self._now())
        match verdict.kind:
            case "permanent" if row.reached:
                await self._settle(row, "sent", reached=list(row.reached))
            case "permanent":
                status, what = ("skipped", "not_wanted") if verdict.is_stopped else ("dead", "refused")
                await self._end(row, status, what, verdict.code)  # type: ignore[arg-type]  # two literals
            case "config":
                await self._wait_for(row, sent.failures[0][0], verdict)
            case "retry":
                await self._try_later(row, verdict)

    async def _wait_for(self, row: Row, provider: str, verdict: Verdict) -> None:
        """The message is not to blame: it waits, with its attempts, until the channel has been put in order."""
        breaker = (await self._breakers.all()).get(provider)
        at = breaker.open_until if breaker and breaker.open_until else self._now() + RETRY_AFTER[0]
        await self._again(replace(row, attempts=row.attempts - 1), at, "channel_rests", verdict.code)

    async def _try_later(self, row: Row, verdict: Verdict) -> None:
        row = replace(row, doubts=row.doubts + int(verdict.is_ambiguous))
        if row.channel in WITHOUT_IDEMPOTENCY and row.doubts > MOST_DOUBTS:
            await self._end(row, "dead", "in_doubt", verdict.code)
        elif row.attempts > len(RETRY_AFTER):
            await self._end(row, "dead", "gave_up", verdict.code)
        else:
            wait = RETRY_AFTER[row.attempts - 1] * self._chance.uniform(1 - JITTER, 1 + JITTER)
            asked = timedelta(seconds=verdict.after_s or 0)
            await self._again(row, self._now() + max(wait, asked), "failed", verdict.code)

    async def _blame_ourselves(self, row: Row) -> None:
        """Another version of the program may know better; in the end somebody has to look."""
        held = await self._ledger.get(row.id)
        if held is None or held.next_at is None:
            return
        attempts = row.attempts + 1
        if attempts > len(RETRY_AFTER):
            await self._end(held, "dead", "fault")
        else:
            await self._again(replace(held, attempts=attempts), self._now() + RETRY_AFTER[attempts - 1], "fault")

    async def _put_off(self, row: Row, at: datetime, what: str) -> None:
        """It waits without having been tried; what is useless by then is ended when it is looked at again."""
        await self._again(row, at, what)

    async def _again(self, row: Row, at: datetime, what: str, code: str | None = None) -> None:
        now = self._now()
        await self._ledger.put_back(
            row,
            at,
            now,
            Reason(now, what, code),
            attempts=row.attempts,
            doubts=row.doubts,
            reached=list(row.reached),
        )

    async def _end(self, row: Row, status: Status, what: str, code: str | None = None) -> None:
        await self._settle(row, status, Reason(self._now(), what, code))

    async def _settle(self, row: Row, status: Status, reason: Reason | None = None, **more: Any) -> None:
        if await self._ledger.settle(row, status, self._now(), reason, **more):
            await self._tell_integrators(row, status, reason.what if reason else None)

    async def _take_another_channel(self, row: Row, what: str) -> None:
        """Where this one reaches nobody the next one that makes sense takes over, and both rows say so."""
        now = self._now()
        channel = notices.instead_of(row.kind, row.side, row.channel, row.urgency)
        if channel is not None:
            notice = Notice(row.kind, row.side, row.person_id, channel, now, row.useful_until, row.urgency, row.sound)
            await self._ledger.write(
                row.room,
                row.booking_id,
                row.revision,
                [notice],
                now,
                # What is told more than once is told again on the other channel, too.
                occasion=row.id if row.kind == notices.MESSAGE_WAITING else "",
                instead_of=row.id,
                seq=row.seq,
            )
        await self._ledger.settle(row, "skipped", now, Reason(now, what, channel))


def _gravest(verdicts: list[Verdict]) -> Verdict:
    """What decides about the row: as long as one device may still be reached it is tried again."""
    order = ("retry", "config", "permanent")
    return min(verdicts, key=lambda verdict: order.index(verdict.kind))
