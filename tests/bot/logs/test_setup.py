"""Whoever speaks in one of our processes, libraries and Python itself included, speaks through the mask."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.project import ROOT

SAID = "gerbang hijau"
# Every way to write a line that a process has; each is given what somebody said.
PROGRAM = """
import asyncio, gc, logging, sys, threading, warnings
import redis, structlog, uvloop
from bot.logs.setup import configure
from bot.settings.settings import Settings

said, log_format = sys.argv[1:]
configure(Settings(secret="s" * 32, log_format=log_format, log_level="info", database="janji"))
log = structlog.get_logger()


def fail(*_):
    raise ValueError(said)


class Unruly:
    def __del__(self):
        fail()


async def fail_later():
    fail()


async def strays():
    task = asyncio.create_task(fail_later())
    await asyncio.sleep(0)
    del task
    asyncio.get_running_loop().call_soon(fail, said)
    await asyncio.sleep(0)
    gc.collect()


log.info("ours", text=said, phone="+6281377788899", took_ms=1.25)
try:
    fail()
except ValueError:
    log.exception("a failure of ours")
logging.getLogger("bot.web.socketio.gate").warning("%s was not finished in its time", "book")
library = logging.getLogger("library")
library.warning("%s spoke %d times in %.1f s", said, 3, 0.5)
library.warning("no such name: %(name)s", {"name": said})
library.warning(f"bad frame: '{said}'")
library.warning("%d is no number", said)
library.warning([said])
library.info("not worth a line")
try:
    raise redis.exceptions.ConnectionError(said)
except redis.exceptions.ConnectionError as away:
    library.error("cannot reach %s and tries again", away)
warnings.warn(f"unknown: '{said}'")
asyncio.run(strays())
uvloop.run(strays())
thread = threading.Thread(target=fail)
thread.start()
thread.join()
Unruly()
fail()
"""


def run(log_format: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, SAID, log_format]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def lines() -> list[dict[str, Any]]:
    ended = run("json")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert SAID not in ended.stdout
    return [json.loads(line) for line in ended.stdout.splitlines()]


def test_every_line_says_when_how_bad_and_what_in_this_order(lines: list[dict[str, Any]]) -> None:
    assert {tuple(line)[:3] for line in lines} == {("timestamp", "level", "message")}
    assert all(line["timestamp"].endswith("Z") for line in lines)


def test_our_own_lines_are_masked(lines: list[dict[str, Any]]) -> None:
    del lines[0]["timestamp"]
    assert lines[0] == {"level": "info", "message": "ours", "text": "…", "phone": "[phone]", "took_ms": 1.25}


def test_a_library_says_its_sentence_and_its_numbers(lines: list[dict[str, Any]]) -> None:
    assert [line["message"] for line in lines if line.get("logger") == "library"] == [
        "… spoke 3 times in 0.5 s",
        "no such name: …",
        "bad frame:",
        "%d is no number",
        "<list>",
        "cannot reach … and tries again",
    ]
    assert {line["level"] for line in lines if line.get("logger") == "library"} == {"warning"}
    assert [line["message"] for line in lines if line.get("logger") == "bot.web.socketio.gate"] == [
        "book was not finished in its time"
    ]


def test_what_nobody_caught_is_a_line_that_says_where(lines: list[dict[str, Any]]) -> None:
    failed = [line for line in lines if "exception" in line]
    assert [line["message"] for line in failed] == [
        "a failure of ours",
        *("Task exception was never retrieved", "Exception in callback fail"),  # asyncio's own loop
        *("Task exception was never retrieved", "Exception in callback"),  # uvloop
        *("an error was not caught",) * 3,
    ]
    assert [line.get("where") for line in failed[5:]] == ["thread", "finalizer", "program"]
    assert {line["level"] for line in failed} == {"error"}
    assert {line["exception"][0]["error"] for line in failed} == {"ValueError"}
    assert all(line["exception"][0]["calls"][-1].endswith(" fail") for line in failed)


def test_the_lines_for_people_hold_no_more() -> None:
    ended = run("console")
    assert (ended.returncode, ended.stderr) == (1, "")
    assert SAID not in ended.stdout
    assert "+6281377788899" not in ended.stdout
    assert "ValueError\n  at <string>:" in ended.stdout


def test_a_log_that_cannot_be_written_stops_nobody() -> None:
    program = """
import os, sys
from bot.logs.setup import configure
from bot.settings.settings import Settings
import structlog

configure(Settings(secret="s" * 32, log_format="json", database="janji"))
reader, writer = os.pipe()
os.close(reader)
os.dup2(writer, 1)
for _ in range(3):
    structlog.get_logger().info("nobody reads this")
sys.stderr.write("went on")
os._exit(0)
"""
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "went on")
