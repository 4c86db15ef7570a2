"""Commands that are answered once: the repeated one gets its first answer, the refused one its reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.auth import digest_of
from bot.errors import Refusal
from bot.payloads import CommandPayload
from bot.services import Services
from bot.turns import Command, Outcome, Room
from conversations.replies import REFUSALS

Answer = dict[str, Any]

# Marks an answer in a record that is not final yet: the effects of the turn will tell.
PENDING = "pending"


def refusal(code: str) -> Refusal:
    """The refusal of a code, in the words that `conversations` has for it."""
    return Refusal(code, REFUSALS[code])


def command_of(sender: str, name: str, payload: CommandPayload, answer: Callable[[Any], Answer]) -> Command:
    """The identity of a command: who sent it under which id, and what it said."""
    return Command(f"{sender}:{payload.client_id}", digest_of(name, payload.model_dump()), answer)


def answered(outcome: Outcome, answer: Callable[[Any], Answer]) -> Answer:
    """The ack of a command whose turn says all; raises the refusal where there is one."""
    if outcome.repeated is not None:
        return outcome.repeated
    if outcome.refusal:
        raise refusal(outcome.refusal)
    return answer(outcome.record)


async def take_and_settle(
    services: Services, room: Room, record_id: str, event: Any, command: Command, judge: Callable[[Any], str | None]
) -> Answer:
    """A command whose answer only its effects can tell: take the turn, let them happen, then `judge` the record.

    `judge` gives the code of a refusal or None; what is answered is kept, so that a repeated command hears the same.
    """
    pending = Command(command.key, command.digest, lambda record: {**command.answer(record), PENDING: True})
    outcome = await services.turns.take(room, record_id, event, pending)
    if outcome.repeated is not None and PENDING not in outcome.repeated:
        return _replayed(outcome.repeated)
    if outcome.refusal:
        raise refusal(outcome.refusal)
    await services.outboxes.settled(room, record_id, services.settings.command_timeout_s)
    records = services.turns.records_of(room)
    stored = await records.load(record_id)
    record = stored.record if stored else outcome.record
    code = judge(record)
    answer = {"ok": False, "code": code} if code else command.answer(record)
    await records.amend_answer(record_id, command.key, answer)
    return _replayed(answer)


def _replayed(answer: Answer) -> Answer:
    if answer["ok"] is False:
        raise refusal(answer["code"])
    return answer
