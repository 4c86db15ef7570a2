"""Where we listen, which database is ours, how Redis is trusted, and whose pages may connect."""

from __future__ import annotations

import pytest

from bot.settings.loading import load_settings
from tests.bot.settings.environment import SECRET, set_variables


def test_a_port_given_by_the_environment_opens_the_program_to_the_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, PORT="5000")
    settings = load_settings()
    assert (settings.host, settings.port) == ("0.0.0.0", 5000)


def test_a_named_host_stands_even_where_a_port_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, PORT="5000", JANJI_HOST="127.0.0.1")
    assert load_settings().host == "127.0.0.1"


@pytest.mark.parametrize(
    ("uri", "database"),
    [
        ("mongodb://user:p%2Fw@one:27017,two:27017/shop?replicaSet=rs0", "shop"),
        ("mongodb+srv://cluster.example.net/?retryWrites=true", "janji"),
        ("mongodb://localhost", "janji"),
    ],
)
def test_the_database_is_the_one_in_the_uri(monkeypatch: pytest.MonkeyPatch, uri: str, database: str) -> None:
    set_variables(monkeypatch, MONGODB_URI=uri, JANJI_SECRET=SECRET)
    assert load_settings().database == database


def test_a_named_database_stands_before_the_one_in_the_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, MONGODB_URI="mongodb://localhost/shop", JANJI_DATABASE="other", JANJI_SECRET=SECRET)
    assert load_settings().database == "other"


@pytest.mark.parametrize(
    ("variables", "redis_url"),
    [
        ({"REDIS_URL": "redis://h:6379"}, "redis://h:6379"),
        ({"REDIS_URL": "rediss://:pw@h:6380"}, "rediss://:pw@h:6380"),
        ({"REDIS_URL": "rediss://:pw@h:6380", "JANJI_REDIS_VERIFY": "false"}, "rediss://:pw@h:6380?ssl_cert_reqs=none"),
        (
            {"REDIS_URL": "rediss://h:6380/1?db=2", "JANJI_REDIS_VERIFY": "false"},
            "rediss://h:6380/1?db=2&ssl_cert_reqs=none",
        ),
        ({"REDIS_URL": "rediss://h?ssl_cert_reqs=required"}, "rediss://h?ssl_cert_reqs=required"),
        ({"REDIS_URL": "rediss://h?ssl_cert_reqs=none"}, "rediss://h?ssl_cert_reqs=none"),
        ({"REDIS_URL": "redis://plain", "REDIS_TLS_URL": "rediss://tls"}, "rediss://tls"),
    ],
)
def test_a_self_signed_redis_is_accepted_unless_it_shall_be_verified(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], redis_url: str
) -> None:
    set_variables(monkeypatch, **variables)
    assert load_settings().redis_url == redis_url


def test_origins_are_written_as_browsers_send_them(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, JANJI_ALLOWED_ORIGINS="https://Shop.example:443/, http://localhost:3000")
    assert load_settings().allowed_origins == ("https://shop.example", "http://localhost:3000")
