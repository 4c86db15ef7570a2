"""What a log says of an error is what kind it is and where it happened, and never what it quotes."""

from __future__ import annotations

import errno

import pytest
import redis.exceptions
from pydantic import ValidationError
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError, OperationFailure

from bot.errors import Outage, Refusal
from bot.logs.failures import MOST_CALLS, MOST_ERRORS, as_text, told, why
from bot.schemas.guest import Message
from bot.store import driver

SAID = "gerbang hijau"
DOCUMENT = {"text": SAID, "phone": "+6281377788899"}


def invalid() -> ValidationError:
    with pytest.raises(ValidationError) as raised:
        Message.model_validate({"client_id": "c", "text": [SAID]})
    return raised.value


def misspelt_address() -> Exception:
    """A password with a slash in it, which must be escaped; the driver takes the rest for the name of the database."""
    with pytest.raises(Exception, match="hijau") as raised:
        driver.connect("pymongo", "mongodb://janji:gerbang/hijau@localhost/janji")
    return raised.value


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError(SAID), "ValueError"),
        (KeyError(SAID), "KeyError"),
        (invalid(), "ValidationError"),
        (UnicodeEncodeError("utf-8", SAID, 0, 1, SAID), "UnicodeEncodeError"),
        (FileNotFoundError(errno.ENOENT, "No such file", SAID), "FileNotFoundError: No such file"),
        (ConnectionResetError(), "ConnectionResetError"),
        (TimeoutError(SAID), "TimeoutError"),
        (BulkWriteError({"writeErrors": [{"op": DOCUMENT}]}), "BulkWriteError: 65"),
        (DuplicateKeyError(SAID, 11000, {"keyValue": DOCUMENT}), "DuplicateKeyError: 11000"),
        (OperationFailure(SAID, 18, {"codeName": "AuthenticationFailed"}), "OperationFailure: 18 AuthenticationFailed"),
        (misspelt_address(), "InvalidURI"),
        (AutoReconnect("db.example:27017: connection closed"), "AutoReconnect: db.example:27017: connection closed"),
        (redis.exceptions.ConnectionError("Error 111 at redis:6379"), "ConnectionError: Error 111 at redis:6379"),
        (redis.exceptions.ResponseError(SAID), "ResponseError"),
        (Outage("the feed could not be written in its time"), "Outage: the feed could not be written in its time"),
        (Refusal("stale", "It has moved on."), "Refusal: stale: It has moved on."),
    ],
)
def test_an_error_says_its_kind_and_its_message_only_where_that_quotes_nobody(error: Exception, line: str) -> None:
    assert why(error) == line
    assert SAID not in as_text(error)


def test_what_is_discreet_is_short_and_masked_all_the_same() -> None:
    said = why(Outage("mongodb://janji:hunter2@db.example " + "and so on " * 100))
    assert said.startswith("Outage: mongodb://…@db.example and so on")
    assert len(said) < 300


def reserve(phone: str) -> None:
    try:
        raise KeyError(phone)
    except KeyError as error:
        raise RuntimeError(f"no {phone}") from error


def test_it_is_told_where_it_happened_and_what_it_came_from_without_any_value() -> None:
    with pytest.raises(RuntimeError) as raised:
        reserve(SAID)
    raised.value.add_note(SAID)
    last, first = told(raised.value)
    assert (last["error"], first["error"]) == ("RuntimeError", "KeyError")
    place, function = last["calls"][-1].rsplit(" ", 1)
    assert (place.rsplit(":", 1)[0], function) == ("tests/bot/logs/test_failures.py", "reserve")
    assert as_text(raised.value).startswith(f"RuntimeError\n  at {place} reserve\n")
    assert SAID not in str(told(raised.value)) + as_text(raised.value)


def test_a_group_is_told_with_everything_in_it_and_what_goes_in_circles_once() -> None:
    one, other = ValueError(SAID), Outage("no database")
    one.__cause__, other.__cause__ = other, one
    group = ExceptionGroup(SAID, [one, other])
    assert [each["error"] for each in told(group)] == ["ExceptionGroup", "ValueError", "Outage: no database"]


def test_what_never_ends_is_told_up_to_a_bound() -> None:
    def again() -> None:
        again()

    with pytest.raises(RecursionError) as raised:
        again()
    assert len(told(raised.value)[0]["calls"]) == MOST_CALLS
    crowd = ExceptionGroup(SAID, [ValueError(SAID) for _ in range(100)])
    assert len(told(crowd)) == MOST_ERRORS
