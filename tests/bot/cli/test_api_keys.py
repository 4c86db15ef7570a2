"""Keys of other systems: shown once, kept as a digest, and good until they are revoked."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from contextlib import redirect_stderr, redirect_stdout
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot.__main__ import main
from bot.logs.masking import masked
from bot.runtime.embedded import Servers
from bot.store import driver
from bot.store.api_keys import SECRET_BYTES, SHAPE, USE_IS_WRITTEN_EVERY, ApiKey, ApiKeys
from tests.house import SECRET

NOW = datetime(2026, 12, 1, 3, 0, 0, 123_000, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


@pytest.fixture
async def collection(servers: Servers, database: str) -> AsyncIterator[Any]:
    client = driver.connect("pymongo", servers.mongodb_uri or "")
    try:
        yield driver.read_database(client, database)["api_keys"]
    finally:
        await driver.close(client)


@pytest.fixture
def keys(collection: Any) -> ApiKeys:
    return ApiKeys(collection)


async def test_a_key_is_recognised_by_its_text_and_by_nothing_that_only_looks_like_it(keys: ApiKeys) -> None:
    key, text = await keys.issue("shop", ["notifications:send"], NOW)
    other, _ = await keys.issue("shop", ["notifications:send"], NOW)
    secret = text.rpartition(key.id)[2]
    assert (await keys.recognise(text, NOW)) == key
    wrong = (
        *("", "jk_", key.id, f"jk_{key.id}", f"jk_{key.id}_", f"jk_{other.id}{secret}", f"jk_{'0' * 16}{secret}"),
        *(text[:-1], f"{text}A", text.upper(), f" {text}", text[:-1] + ("A" if text[-1] != "A" else "B"), "jk_ÿ_ÿ"),
    )
    assert [await keys.recognise(each, NOW) for each in wrong] == [None] * len(wrong)


async def test_nothing_that_is_kept_opens_anything(keys: ApiKeys, collection: Any) -> None:
    key, text = await keys.issue("shop", ["notifications:read"], NOW)
    shape = SHAPE.fullmatch(text)
    assert shape is not None
    assert len(shape[2]) * 6 // 8 >= SECRET_BYTES
    kept = await collection.find_one({"_id": key.id})
    assert shape[2] not in json.dumps(kept, default=str)
    assert await keys.recognise(f"jk_{key.id}_{kept['digest'][:43]}", NOW) is None


async def test_a_revoked_key_opens_nothing_and_keeps_its_name(keys: ApiKeys) -> None:
    key, text = await keys.issue("shop", ["notifications:read"], NOW)
    assert await keys.revoke(key.id, LATER)
    assert await keys.recognise(text, LATER) is None
    assert await keys.all() == [ApiKey(key.id, "shop", ("notifications:read",), NOW, None, LATER)]
    assert not await keys.revoke(key.id, LATER), "once more changes nothing"
    assert not await keys.revoke("nobody", LATER)


async def test_when_a_key_was_used_is_written_once_a_minute_at_most(keys: ApiKeys) -> None:
    _, text = await keys.issue("shop", ["notifications:read"], NOW)

    async def used_at() -> datetime | None:
        return (await keys.all())[0].last_used_at

    assert await used_at() is None
    await asyncio.gather(*(keys.recognise(text, NOW) for _ in range(5)))
    assert await used_at() == NOW
    await keys.recognise(text, NOW + USE_IS_WRITTEN_EVERY / 2)
    assert await used_at() == NOW
    await keys.recognise(text, NOW + USE_IS_WRITTEN_EVERY)
    assert await used_at() == NOW + USE_IS_WRITTEN_EVERY


async def test_a_key_is_masked_wherever_it_is_written(keys: ApiKeys) -> None:
    _, text = await keys.issue("shop", ["notifications:read"], NOW)
    for written in (text, text.lower(), text[:-3]):
        assert masked(f"got {written} there") == "got [key] there"
    assert masked(f"Authorization: Bearer {text}") == "Authorization: [key]"


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def environment(servers: Servers, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (
        ("MONGODB_URI", servers.mongodb_uri or ""),
        ("REDIS_URL", servers.redis_url or ""),
        ("JANJI_DATABASE", database),
        ("JANJI_SECRET", SECRET),
    ):
        monkeypatch.setenv(name, value)


def command(*arguments: str) -> tuple[int, str, str]:
    """The exit code, what it wrote and what it said besides."""
    with redirect_stdout(io.StringIO()) as written, redirect_stderr(io.StringIO()) as said:
        code = main(["apikey", *arguments])
    return code, written.getvalue(), said.getvalue()


@pytest.mark.usefixtures("environment")
def test_an_operator_makes_lists_and_revokes_keys() -> None:
    code, text, said = command(
        "add", "--name", "Shop 1", "--scope", "notifications:send", "--scope", "notifications:read"
    )
    shape = SHAPE.fullmatch(text.strip())
    assert code == 0
    assert shape is not None
    assert shape[2] not in said
    _, listed, _ = command("list")
    assert listed.startswith(f"{shape[1]}  Shop 1  notifications:read notifications:send  made 2")
    assert "never used" in listed
    assert shape[2] not in listed
    assert command("revoke", shape[1])[0] == 0
    assert "revoked 2" in command("list")[1]
    assert command("revoke", shape[1])[0] == 1


@pytest.mark.usefixtures("environment")
def test_a_key_has_a_name_and_a_scope_that_there_is() -> None:
    for wrong in (["--name", "x"], ["--scope", "notifications:send"], ["--name", "x", "--scope", "everything"]):
        with pytest.raises(SystemExit) as refused:
            command("add", *wrong)
        assert refused.value.code == 2
    assert command("list")[1] == ""
