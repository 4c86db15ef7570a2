"""Every setting has a default, and `.env.example` names each with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.settings.loading import SettingsError, load_settings
from bot.settings.settings import Settings
from bot.settings.variables import variables_of
from tests.bot.settings.environment import SECRET, set_variables

EXAMPLE = Path(__file__).parents[3] / ".env.example"


def test_nothing_need_be_set(bare: Path) -> None:
    settings = load_settings()

    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.mongodb_uri is None
    assert settings.redis_url is None
    assert settings.database == "janji"
    assert settings.default_locale == "id"
    assert settings.radii_km == (5, 10, 20, 35, 50)
    assert settings.max_attempts == 5
    assert settings.commission_basis_points == 3000
    assert not settings.show_sign_in_codes


def test_the_example_names_exactly_the_settings_that_exist() -> None:
    named = re.findall(r"^#?([A-Z_]+)=", EXAMPLE.read_text(), re.MULTILINE)
    known = [variable for field_name in Settings.model_fields for variable in variables_of(field_name)]
    assert sorted(named) == sorted(known)


def test_the_example_shows_the_defaults(bare: Path) -> None:
    defaults = load_settings()
    (bare / ".env").write_text(re.sub(r"^#(?=[A-Z])", "", EXAMPLE.read_text(), flags=re.MULTILINE))
    assert load_settings() == defaults


def test_mails_of_brands_are_in_a_directory_that_is_there(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, JANJI_TEMPLATES_DIR=str(bare / "nowhere"))
    with pytest.raises(SettingsError, match="JANJI_TEMPLATES_DIR must be a directory that is there"):
        load_settings()
    set_variables(monkeypatch, JANJI_TEMPLATES_DIR=str(bare))

    assert load_settings().templates_dir == bare


@pytest.mark.parametrize("variable", ["JANJI_DEMO", "JANJI_SHOW_SIGN_IN_CODES"])
def test_codes_are_shown_beside_no_database_of_another_machine(
    bare: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    set_variables(monkeypatch, JANJI_SECRET=SECRET, MONGODB_URI="mongodb://localhost/shop", **{variable: "true"})
    load_settings()
    set_variables(monkeypatch, MONGODB_URI="mongodb://localhost,db.example.com/shop")
    with pytest.raises(SettingsError, match=f"{variable} must not be true beside a MONGODB_URI of another machine"):
        load_settings()
