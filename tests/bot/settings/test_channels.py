"""A channel is set as a whole, a wrong one is named, and its keys are never shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from bot.settings.channels import SmtpServer
from bot.settings.loading import SettingsError, load_settings
from bot.settings.vapid import new_private_key
from tests.bot.settings.environment import set_variables

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
