"""Settings come from the environment and `.env`, and a wrong one is named in one line."""

from __future__ import annotations

import json
import os
import re
import stat
from decimal import Decimal
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bot.__main__ import main
from bot.settings.channels import SmtpServer
from bot.settings.loading import SettingsError, load_settings
from bot.settings.servers import MIN_SECRET_LENGTH
from bot.settings.settings import Settings
from bot.settings.vapid import new_private_key, public_key_of
from bot.settings.variables import variables_of

EXAMPLE = Path(__file__).parents[3] / ".env.example"
SECRET = "s" * MIN_SECRET_LENGTH


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty working directory, and no variable of ours in the environment."""
    known = {variable for field_name in Settings.model_fields for variable in variables_of(field_name)}
    for variable in known | {variable for variable in os.environ if variable.startswith("JANJI_")}:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def set_variables(monkeypatch: pytest.MonkeyPatch, **variables: str) -> None:
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)


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


def test_a_port_given_by_the_environment_opens_the_program_to_the_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, PORT="5000")
    settings = load_settings()
    assert (settings.host, settings.port) == ("0.0.0.0", 5000)


def test_a_named_host_stands_even_where_a_port_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, PORT="5000", JANJI_HOST="127.0.0.1")
    assert load_settings().host == "127.0.0.1"


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


@pytest.mark.parametrize("radii", ["10,5", "5,5", "0,5", "-1", "5,600", ",", "5,far", ",".join(map(str, range(1, 22)))])
def test_radii_are_rising_distances_of_at_most_500_km(monkeypatch: pytest.MonkeyPatch, radii: str) -> None:
    set_variables(monkeypatch, JANJI_RADII_KM=radii)
    with pytest.raises(SettingsError, match=r"^JANJI_RADII_KM must be"):
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
        ({"REDIS_URL": "rediss://:pw@h:6380"}, "rediss://:pw@h:6380?ssl_cert_reqs=none"),
        ({"REDIS_URL": "rediss://h:6380/1?db=2"}, "rediss://h:6380/1?db=2&ssl_cert_reqs=none"),
        ({"REDIS_URL": "rediss://h?ssl_cert_reqs=required"}, "rediss://h?ssl_cert_reqs=required"),
        ({"REDIS_URL": "rediss://h", "JANJI_REDIS_VERIFY": "true"}, "rediss://h"),
        ({"REDIS_URL": "redis://plain", "REDIS_TLS_URL": "rediss://tls"}, "rediss://tls?ssl_cert_reqs=none"),
    ],
)
def test_a_self_signed_redis_is_accepted_unless_it_shall_be_verified(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], redis_url: str
) -> None:
    set_variables(monkeypatch, **variables)
    assert load_settings().redis_url == redis_url


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


def test_origins_are_written_as_browsers_send_them(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, JANJI_ALLOWED_ORIGINS="https://Shop.example:443/, http://localhost:3000")
    assert load_settings().allowed_origins == ("https://shop.example", "http://localhost:3000")


def test_the_example_names_exactly_the_settings_that_exist() -> None:
    named = re.findall(r"^#?([A-Z_]+)=", EXAMPLE.read_text(), re.MULTILINE)
    known = [variable for field_name in Settings.model_fields for variable in variables_of(field_name)]
    assert sorted(named) == sorted(known)


def test_the_example_shows_the_defaults(bare: Path) -> None:
    defaults = load_settings()
    (bare / ".env").write_text(re.sub(r"^#(?=[A-Z])", "", EXAMPLE.read_text(), flags=re.MULTILINE))
    assert load_settings() == defaults


# --- channels ---------------------------------------------------------------------------------------------------------

ACCOUNT = "AC" + "0" * 32
VAPID_KEY = new_private_key()


def service_account(**more: object) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    fields = {"project_id": "p", "private_key": pem, "client_email": "a@b.c", "token_uri": "https://x.y/token"}
    return json.dumps({"type": "service_account", **fields, **more})


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example.com", SmtpServer("mail.example.com", 587, False)),
        ("smtps://mail.example.com", SmtpServer("mail.example.com", 465, True)),
        ("smtp://mail.example.com:2525/", SmtpServer("mail.example.com", 2525, False)),
        ("smtps://a%40b.c:p%3A%2F@[::1]:1465", SmtpServer("::1", 1465, True, "a@b.c", "p:/")),
        ("smtp://a@b.c:pw@mail.example.com", SmtpServer("mail.example.com", 587, False, "a@b.c", "pw")),
    ],
)
def test_a_mail_server_is_read_from_one_address(monkeypatch: pytest.MonkeyPatch, url: str, server: SmtpServer) -> None:
    set_variables(monkeypatch, JANJI_SMTP_URL=url, JANJI_MAIL_FROM="no-reply@example.com")
    assert load_settings().smtp_url == server


@pytest.mark.parametrize("as_a_file", [False, True])
def test_a_service_account_is_its_json_or_a_file_with_it(
    monkeypatch: pytest.MonkeyPatch, bare: Path, as_a_file: bool
) -> None:
    (bare / "account.json").write_text(service_account())
    set_variables(monkeypatch, JANJI_FCM_SERVICE_ACCOUNT="account.json" if as_a_file else service_account())
    account = load_settings().fcm_service_account
    assert account is not None
    assert account["project_id"] == "p"


WRONG_CHANNELS: dict[str, tuple[dict[str, str], str]] = {
    "an address of the web": ({"SMTP_URL": "https://hunter2"}, "JANJI_SMTP_URL must be an address like smtp://user:"),
    "no host": ({"SMTP_URL": "smtp://"}, "JANJI_SMTP_URL must be an address like smtp://user:"),
    "a port that is none": ({"SMTP_URL": "smtp://h:hunter2"}, "JANJI_SMTP_URL must be an address like smtp://user:"),
    "a user without a password": ({"SMTP_URL": "smtp://u@h"}, "JANJI_SMTP_URL must have a user and a password"),
    "nobody who sends": ({"SMTP_URL": "smtp://u:hunter2@h"}, "JANJI_MAIL_FROM must be set beside JANJI_SMTP_URL"),
    "a name before the address": ({"MAIL_FROM": "Janji <a@b.cd>"}, "JANJI_MAIL_FROM must be an address like no-"),
    "two addresses": ({"MAIL_FROM": "a@b.cd,c@d.ef"}, "JANJI_MAIL_FROM must be an address like no-reply@"),
    "certificates that are none": ({"SMTP_CA_FILE": "nowhere.pem"}, "JANJI_SMTP_CA_FILE must be a file with cert"),
    "an account that is none": ({"TWILIO_ACCOUNT_SID": "AC1"}, "JANJI_TWILIO_ACCOUNT_SID must be AC and 32 hexa"),
    "an account alone": (
        {"TWILIO_ACCOUNT_SID": ACCOUNT},
        "JANJI_TWILIO_AUTH_TOKEN must be set beside JANJI_TWILIO_ACCOUNT_SID; "
        "JANJI_TWILIO_FROM must be set beside JANJI_TWILIO_ACCOUNT_SID",
    ),
    "a number without its country": ({"TWILIO_FROM": "08123456789"}, "JANJI_TWILIO_FROM must be a number like +62"),
    "an API in the clear": ({"TWILIO_API_URL": "http://api.twilio.com"}, "JANJI_TWILIO_API_URL must be an address"),
    "an API with a path": ({"FCM_URL": "https://fcm.googleapis.com/v1"}, "JANJI_FCM_URL must be an address like"),
    "an account that is no file": ({"FCM_SERVICE_ACCOUNT": "no.json"}, "JANJI_FCM_SERVICE_ACCOUNT must be the JSON"),
    "an account that is no JSON": ({"FCM_SERVICE_ACCOUNT": "{hunter2"}, "JANJI_FCM_SERVICE_ACCOUNT must be the JSON"),
    "another kind of account": (
        {"FCM_SERVICE_ACCOUNT": '{"type": "hunter2"}'},
        'JANJI_FCM_SERVICE_ACCOUNT must be the JSON of a service account, with "type": "service_account"',
    ),
    "an account with holes": (
        {"FCM_SERVICE_ACCOUNT": service_account(project_id=None)},
        "JANJI_FCM_SERVICE_ACCOUNT must be the JSON of a service account: project_id is missing in it",
    ),
    "an account that cannot sign": (
        {"FCM_SERVICE_ACCOUNT": service_account(private_key="hunter2")},
        "JANJI_FCM_SERVICE_ACCOUNT must be the JSON of a service account: private_key in it is no key",
    ),
    "a key that is none": ({"VAPID_PRIVATE_KEY": "hunter2"}, "JANJI_VAPID_PRIVATE_KEY must be a key that `python"),
    "a key of nothing": ({"VAPID_PRIVATE_KEY": "A" * 43}, "JANJI_VAPID_PRIVATE_KEY must be a key that `python"),
    "a key without a subject": (
        {"VAPID_PRIVATE_KEY": VAPID_KEY},
        "JANJI_VAPID_SUBJECT must be set beside JANJI_VAPID_PRIVATE_KEY",
    ),
    "a subject that is none": ({"VAPID_SUBJECT": "operator"}, "JANJI_VAPID_SUBJECT must be an address like mailto:"),
    "a push service by its address": ({"PUSH_SERVICES": "10.0.0.1"}, "JANJI_PUSH_SERVICES must be host names like"),
    "a time that is too short": ({"PROVIDER_TIMEOUT_S": "0"}, "JANJI_PROVIDER_TIMEOUT_S must be at least 0.05"),
}


@pytest.mark.parametrize("case", WRONG_CHANNELS)
def test_a_channel_that_is_half_set_or_wrong_is_named_at_the_start(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    variables, complaint = WRONG_CHANNELS[case]
    set_variables(monkeypatch, **{f"JANJI_{name}": value for name, value in variables.items()})
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value).startswith(complaint)
    assert "hunter2" not in str(refused.value)


def test_keys_of_channels_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(
        monkeypatch,
        JANJI_SMTP_URL="smtp://u:hunter2@h",
        JANJI_MAIL_FROM="a@b.cd",
        JANJI_TWILIO_ACCOUNT_SID=ACCOUNT,
        JANJI_TWILIO_AUTH_TOKEN="hunter2",
        JANJI_TWILIO_FROM="+6281234567890",
        JANJI_FCM_SERVICE_ACCOUNT=service_account(client_email="hunter2"),
        JANJI_VAPID_PRIVATE_KEY=VAPID_KEY,
        JANJI_VAPID_SUBJECT="operator@example.com",
    )
    settings = load_settings()
    assert settings.vapid_subject == "mailto:operator@example.com"
    for shown in (repr(settings), repr(settings.smtp_url)):
        assert "hunter2" not in shown
        assert VAPID_KEY not in shown


def test_the_keys_that_the_program_makes_are_a_pair(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vapid-keys"]) == 0
    public, private = re.fullmatch(
        r"# public, for pages: (\S{87})\nJANJI_VAPID_PRIVATE_KEY=(\S{43})\n", capsys.readouterr().out
    ).groups()  # type: ignore[union-attr]
    assert public_key_of(private) == public


def test_mails_of_brands_are_in_a_directory_that_is_there(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_variables(monkeypatch, JANJI_TEMPLATES_DIR=str(bare / "nowhere"))
    with pytest.raises(SettingsError, match="JANJI_TEMPLATES_DIR must be a directory that is there"):
        load_settings()
    set_variables(monkeypatch, JANJI_TEMPLATES_DIR=str(bare))

    assert load_settings().templates_dir == bare
