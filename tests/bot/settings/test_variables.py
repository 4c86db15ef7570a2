"""A setting comes from the environment or from `.env`, under the name of ours or of a platform."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from bot.settings.loading import load_settings
from tests.bot.settings.environment import SECRET, set_variables


def test_a_setting_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(
        monkeypatch,
        WEB_CONCURRENCY="4",
        JANJI_ANSWER_S="2.5",
        JANJI_RADII_KM="1, 2.5,9",
        JANJI_COMMISSION_PERCENT="12.25",
        JANJI_DEMO="true",
        JANJI_LOG_LEVEL="WARNING",
        JANJI_MONGO_DRIVER="pymongo",
    )
    settings = load_settings()

    assert settings.web_concurrency == 4
    assert settings.answer_s == 2.5
    assert settings.radii_km == (1, 2.5, 9)
    assert settings.commission_percent == Decimal("12.25")
    assert settings.commission_basis_points == 1225
    assert settings.demo
    assert settings.log_level == "warning"
    assert settings.mongo_driver == "pymongo"


def test_the_env_file_counts_where_the_environment_says_nothing(monkeypatch: pytest.MonkeyPatch, bare: Path) -> None:
    (bare / ".env").write_text("JANJI_WAVE_SIZE=7\nJANJI_ANSWER_S=30 # a comment\nUNRELATED=1\n")
    set_variables(monkeypatch, JANJI_ANSWER_S="20")
    settings = load_settings()
    assert (settings.wave_size, settings.answer_s) == (7, 20)


def test_the_environment_wins_over_the_env_file_under_any_name(monkeypatch: pytest.MonkeyPatch, bare: Path) -> None:
    (bare / ".env").write_text(f"MONGODB_URI=mongodb://file/\nJANJI_SECRET={SECRET}\n")
    set_variables(monkeypatch, MONGO_URL="mongodb://environment/")
    assert load_settings().mongodb_uri == "mongodb://environment/"


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, JANJI_ANSWER_S="", MONGODB_URI="", PORT="")
    settings = load_settings()
    assert (settings.answer_s, settings.mongodb_uri, settings.port) == (60, None, 8000)
