"""Commands that are answered once: the repeated one gets its first answer, the refused one its reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from bot.errors import Outage, Refusal
from bot.identity import digest_of
from bot.schemas.fields import CommandPayload
from bot.services import Motion
from bot.settings.rhythms import TurnsRhythm
from bot.store.kinds import E, R, RecordKind
from bot.store.records import Records
from bot.turns.outboxes import place_of
from bot.turns.turns import Command, Outcome, Sender
from conversations.replies import REFUSALS

Answer = dict[str, Any]

# Marks an answer in a record that is not final yet, with the version of the record whose effects will tell.
PENDING = "pending"


def refusal(code: str) -> Refusal:
    """The refusal of a code, in the words that `conversations` has for it."""
    return Refusal(code, REFUSALS[code])


def command_of(sender: str, name: str, payload: CommandPayload, answer: Callable[[Any], Answer]) -> Command:
    """The identity of a command: who sent it under which id, and what it said."""
    return Command(f"{sender}:{payload.client_id}", digest_of(name, payload.model_dump()), answer)


def answered(outcome: Outcome[Any], answer: Callable[[Any], Answer]) -> Answer:
    """The ack of a command whose turn says all; raises the refusal where there is one."""
    if outcome.repeated is not None:
        return outcome.repeated
    if outcome.refusal:
        raise refusal(outcome.refusal)
    return answer(outcome.record)


async def take_and_settle(
    services: Motion,
    kind: RecordKind[R, E],
    record_id: str,
    event: E,
    command: Command,
    judge: Callable[[Any], str | None],
    *,
    by: Sender,
) -> Answer:
    """A command whose answer only its effects can tell: take the turn, let them happen, then `judge` the record.

    `judge` gives the code of a refusal or None; what is answered is kept, so that a repeated command hears the same.
    Raises `Outage` where it could not be told in time: the same command later will be.
    """
    pending = Command(
        command.key, command.digest, lambda record: {**command.answer(record), PENDING: record.version + 1}
    )
    outcome = await services.turns.take(kind, record_id, event, pending, by=by)
    if outcome.repeated is not None and PENDING not in outcome.repeated:
        return _replayed(outcome.repeated)
    if outcome.refusal:
        raise refusal(outcome.refusal)
    timeout_s = services.settings.command_timeout_s
    try:
        async with asyncio.timeout(timeout_s):
            await services.outboxes.settled(kind.name, record_id, timeout_s)
            is_ours = outcome.repeated is None
            records, rhythm = services.turns.records_of(kind), services.settings.rhythms.turns
            answer = await _told(records, record_id, command, judge, is_ours, rhythm)
    except TimeoutError:
        raise Outage(f"the effects of a command on {record_id} were not performed in time") from None
    return _replayed(answer)


async def _told(
    records: Records[Any],
    record_id: str,
    command: Command,
    judge: Callable[[Any], str | None],
    is_ours: bool,
    rhythm: TurnsRhythm,
) -> Answer:
    """The answer that the effects tell. They may be performed by any process, but one alone gives the answer."""
    loop = asyncio.get_running_loop()
    orphaned_at = loop.time() + (0 if is_ours else rhythm.answer_orphaned_after_s)
    while True:
        stored = await records.load(record_id)
        assert stored is not None, "a record that has taken a turn exists"
        known = stored.answer_to(command.key)
        if known is not None and PENDING not in known.answer:
            return known.answer
        is_told = known is None or all(place_of(item.id)[0] != known.answer[PENDING] for item in stored.outbox)
        if is_told and loop.time() >= orphaned_at:
            break
        await asyncio.sleep(rhythm.answer_look_every_s)
    code = judge(stored.record)
    answer = {"ok": False, "code": code} if code else command.answer(stored.record)
    await records.amend_answer(record_id, command.key, answer)
    return answer


def _replayed(answer: Answer) -> Answer:
    if answer["ok"] is False:
        raise refusal(answer["code"])
    return answer
