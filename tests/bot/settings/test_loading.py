"""A wrong setting is named in one line, and a secret is made and kept where nobody gave one."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from bot.settings.loading import SettingsError, load_settings
from bot.settings.servers import MIN_SECRET_LENGTH
from bot.settings.settings import Settings
from tests.bot.settings.environment import SECRET, set_variables


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("PORT", "http", "PORT must be a whole number, not 'http'"),
        ("PORT", "65536", "PORT must be at most 65535, not '65536'"),
        ("WEB_CONCURRENCY", "33", "WEB_CONCURRENCY must be at most 32, not '33'"),
        ("JANJI_ANSWER_S", "0", "JANJI_ANSWER_S must be at least 0.1, not '0'"),
        ("JANJI_SWEEP_S", "nan", "JANJI_SWEEP_S must be a number, not 'nan'"),
        (
            "JANJI_APP_STORE_URL",
            "apps.example.com",
            "JANJI_APP_STORE_URL must be an address like https://apps.example.com/app, not 'apps.example.com'",
        ),
        *(
            (
                "JANJI_MAP_CENTER",
                wrong,
                f"JANJI_MAP_CENTER must be a latitude and a longitude, like -6.2088,106.8456, not {wrong!r}",
            )
            for wrong in ("-6.2", "-6.2,106.8,0", "91,106", "-6.2,181")
        ),
        ("JANJI_MAP_CENTER", "-6.2,there", "JANJI_MAP_CENTER must be a number, not '-6.2,there'"),
        ("JANJI_DEMO", "perhaps", "JANJI_DEMO must be true or false, not 'perhaps'"),
        ("JANJI_MONGO_DRIVER", "mongoose", "JANJI_MONGO_DRIVER must be 'motor' or 'pymongo', not 'mongoose'"),
        ("JANJI_DEFAULT_LOCALE", "de", "JANJI_DEFAULT_LOCALE must be 'en' or 'id', not 'de'"),
        (
            "JANJI_DEFAULT_TIMEZONE",
            "../Jakarta",
            "JANJI_DEFAULT_TIMEZONE must be the name of a time zone, like Asia/Jakarta, not '../Jakarta'",
        ),
        (
            "JANJI_DEFAULT_REGION",
            "UK",
            "JANJI_DEFAULT_REGION must be the two capital letters of a country, like ID, not 'UK'",
        ),
        (
            "JANJI_DEFAULT_CURRENCY",
            "rupiah",
            "JANJI_DEFAULT_CURRENCY must be the three capital letters of a currency, like IDR, not 'rupiah'",
        ),
        ("JANJI_STRIPE_WEBHOOK_SECRET", "whsec_short", "JANJI_STRIPE_WEBHOOK_SECRET must have at least 16 characters"),
        ("JANJI_BOOKING_WIZARD_SECRET", "whsec_no base64", "JANJI_BOOKING_WIZARD_SECRET must be whsec_ and base64"),
        (
            "JANJI_BOOKING_WIZARD_SECRET",
            "whsec_c2hvcnQ=",
            "JANJI_BOOKING_WIZARD_SECRET must be whsec_ and the base64 of at least 16 bytes",
        ),
        ("JANJI_COMMISSION_PERCENT", "100.01", "JANJI_COMMISSION_PERCENT must be at most 100, not '100.01'"),
        (
            "JANJI_COMMISSION_PERCENT",
            "3.125",
            "JANJI_COMMISSION_PERCENT must have at most 2 decimals, not '3.125'",
        ),
        (
            "JANJI_PUBLIC_URL",
            "https://example.com/shop",
            "JANJI_PUBLIC_URL must be an address like https://example.com without a path, "
            "not 'https://example.com/shop'",
        ),
        (
            "JANJI_ALLOWED_ORIGINS",
            "https://example.com,*",
            "JANJI_ALLOWED_ORIGINS must be an address like https://example.com without a path, "
            "not 'https://example.com,*'",
        ),
        (
            "JANJI_FRAME_ANCESTORS",
            "*; script-src *",
            "JANJI_FRAME_ANCESTORS must be a list like: 'self' https://example.com, not '*; script-src *'",
        ),
        ("JANJI_DATABASE", "a.b", "JANJI_DATABASE must be 1 to 63 letters, digits, - or _, not 'a.b'"),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_must_be(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, line: str
) -> None:
    set_variables(monkeypatch, **{variable: value})
    with pytest.raises(SettingsError, match=f"^{re.escape(line)}$"):
        load_settings()


def test_all_wrong_settings_stand_in_the_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, PORT="x", JANJI_WAVE_SIZE="0\n")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value) == "PORT must be a whole number, not 'x'; JANJI_WAVE_SIZE must be at least 1, not '0\\n'"


def test_a_misspelt_variable_is_named_and_corrected(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, JANJI_ANSWER_SECONDS="30")
    with pytest.raises(SettingsError, match=r"^JANJI_ANSWER_SECONDS is not a setting"):
        load_settings()
    monkeypatch.delenv("JANJI_ANSWER_SECONDS")
    set_variables(monkeypatch, JANJI_PORT="30")
    with pytest.raises(SettingsError, match=r"^JANJI_PORT is not a setting: did you mean PORT\?$"):
        load_settings()


def test_a_misspelt_variable_in_the_env_file_is_named_too(bare: Path) -> None:
    (bare / ".env").write_text("JANJI_RADI_KM=5\n")
    with pytest.raises(SettingsError, match=r"^JANJI_RADI_KM is not a setting: did you mean JANJI_RADII_KM\?$"):
        load_settings()


def test_the_variable_of_the_browser_is_no_typo(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, JANJI_CHROMIUM="/usr/bin/chromium")
    load_settings()


def test_addresses_with_passwords_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, MONGO_URL="http://u:hunter2@h", REDIS_URL="http://:hunter2@h", JANJI_SECRET="hunter2")
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value) == (
        "MONGO_URL must start with mongodb:// or mongodb+srv://; "
        "REDIS_URL must start with redis:// or rediss:// or unix://; "
        f"JANJI_SECRET must have at least {MIN_SECRET_LENGTH} characters"
    )
    shown = repr(Settings(mongodb_uri="mongodb://u:hunter2@h", redis_url="redis://:hunter2@h", secret="hunter2" * 9))
    assert "hunter2" not in shown


def test_a_database_elsewhere_needs_a_secret_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, MONGODB_URI="mongodb://h")
    with pytest.raises(
        SettingsError, match=r"^JANJI_SECRET must be set, to at least 32 characters, beside MONGODB_URI$"
    ):
        load_settings()


def test_a_generated_secret_is_kept_and_private(bare: Path) -> None:
    secret = load_settings().secret

    kept = bare / ".janji" / "secret"
    assert len(secret) >= MIN_SECRET_LENGTH
    assert kept.read_text() == secret
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert load_settings().secret == secret


def test_a_given_secret_leaves_no_file(monkeypatch: pytest.MonkeyPatch, bare: Path) -> None:
    set_variables(monkeypatch, JANJI_SECRET=SECRET)
    assert load_settings().secret == SECRET
    assert not (bare / ".janji").exists()


def test_a_data_directory_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, bare: Path) -> None:
    (bare / "file").touch()
    set_variables(monkeypatch, JANJI_DATA_DIR="file/data")
    with pytest.raises(SettingsError, match=r"^JANJI_DATA_DIR must be a directory that we can write to: .*file"):
        load_settings()
