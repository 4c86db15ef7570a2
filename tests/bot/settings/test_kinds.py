"""Kinds of values are read as they are written, or say what they must be."""

from __future__ import annotations

import pytest

from bot.settings.kinds import as_origin, is_on_this_machine, key_of_standard, with_scheme


def test_a_secret_is_base64_with_a_prefix() -> None:
    assert len(key_of_standard("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")) == 24
    with pytest.raises(ValueError, match="base64"):
        key_of_standard("whsec_not base64")


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://Shop.example:443/", "https://shop.example"),
        ("http://localhost:80", "http://localhost"),
        ("http://localhost:443", "http://localhost:443"),
        (" https://[::1]:8000 ", "https://[::1]:8000"),
    ],
)
def test_an_origin_is_as_a_browser_sends_it(address: str, origin: str) -> None:
    assert as_origin(address) == origin


@pytest.mark.parametrize(
    "address", ["shop.example", "ftp://shop.example", "https://shop.example/path", "https://a@b.cd"]
)
def test_what_is_no_origin_says_what_one_looks_like(address: str) -> None:
    with pytest.raises(ValueError, match=r"^must be an address like https://example\.com without a path$"):
        as_origin(address)


def test_an_address_begins_with_a_scheme_that_is_known() -> None:
    assert with_scheme("redis://h", "redis", "rediss") == "redis://h"
    with pytest.raises(ValueError, match=r"^must start with redis:// or rediss://$"):
        with_scheme("redis.example", "redis", "rediss")


@pytest.mark.parametrize(
    ("uri", "is_so"),
    [
        ("mongodb://127.0.0.1:27017/?replicaSet=rs0", True),
        ("mongodb://ann:p%40ss@localhost/shop", True),
        ("mongodb://[::1]:27017,127.0.0.2:27018", True),
        ("mongodb://%2Ftmp%2Fmongodb-27017.sock/shop", True),
        ("mongodb://localhost,db.example.com", False),
        ("mongodb://localhost@db.example.com", False),
        ("mongodb://localhost.example.com", False),
        ("mongodb://127.0.0.1.example.com", False),
        ("mongodb://10.0.0.5:27017", False),
        ("mongodb+srv://localhost", False),
    ],
)
def test_a_database_is_of_this_machine_only_if_each_of_its_servers_is(uri: str, is_so: bool) -> None:
    assert is_on_this_machine(uri) is is_so
