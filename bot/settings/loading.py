"""The settings of a process, complete, or one line that names each variable which is wrong."""

from __future__ import annotations

import difflib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from bot.settings.servers import MIN_SECRET_LENGTH
from bot.settings.settings import Settings
from bot.settings.variables import PREFIX, Places, find, places, variables_of

# Read by scripts/chromium and the browser tests: not a setting of the program, and no typo either.
TOOL_VARIABLES = frozenset({"JANJI_CHROMIUM"})
CONFIDENTIAL = frozenset(
    {
        *("secret", "mongodb_uri", "redis_url", "metrics_token"),
        *("smtp_url", "twilio_auth_token", "fcm_service_account", "vapid_private_key"),
        *("stripe_webhook_secret", "booking_wizard_secret"),
    }
)


class SettingsError(Exception):
    """A setting is wrong: the text is one line that names the variable."""


def load_settings() -> Settings:
    """The settings of this process, complete: a secret is generated and kept where the data is our own.

    Raises SettingsError.
    """
    everywhere = places()
    _refuse_unknown_variables(everywhere)
    try:
        settings = Settings()
    except ValidationError as error:
        raise SettingsError("; ".join(_explain(error.errors(), everywhere))) from None
    if settings.secret:
        return settings
    if settings.mongodb_uri is not None:
        raise SettingsError(f"JANJI_SECRET must be set, to at least {MIN_SECRET_LENGTH} characters, beside MONGODB_URI")
    return settings.model_copy(update={"secret": _kept_secret(settings.data_dir)})


def _refuse_unknown_variables(everywhere: Places) -> None:
    known = {variable for field_name in Settings.model_fields for variable in variables_of(field_name)}
    ours = {variable for place in everywhere for variable in place if variable.startswith(PREFIX)}
    if unknown := sorted(ours - known - TOOL_VARIABLES):
        raise SettingsError(
            "; ".join(f"{variable} is not a setting{_suggest(variable, known)}" for variable in unknown)
        )


def _suggest(variable: str, known: set[str]) -> str:
    by_short_name = {name.removeprefix(PREFIX): name for name in sorted(known)}
    alike = difflib.get_close_matches(variable.removeprefix(PREFIX), by_short_name, n=1, cutoff=0.7)
    return f": did you mean {by_short_name[alike[0]]}?" if alike else ""


def _explain(problems: list[ErrorDetails], everywhere: Places) -> Iterator[str]:
    for problem in problems:
        if problem["type"] == "default_factory_not_called":
            continue  # it follows from another problem, and that one is named
        field_name = str(problem["loc"][0])
        variable, value = find(field_name, everywhere)
        shown = f", not {value!r}" if value is not None and field_name not in CONFIDENTIAL else ""
        yield f"{variable} {_requirement(problem)}{shown}"


def _requirement(problem: ErrorDetails) -> str:
    """What the library found, as the end of a sentence that begins with the variable."""
    limits = problem.get("ctx", {})
    match problem["type"]:
        case "value_error":
            return str(limits["error"])
        case "int_parsing" | "int_from_float":
            return "must be a whole number"
        case "float_parsing" | "decimal_parsing" | "finite_number":
            return "must be a number"
        case "bool_parsing":
            return "must be true or false"
        case "literal_error":
            return f"must be {limits['expected']}"
        case "greater_than_equal":
            return f"must be at least {limits['ge']}"
        case "less_than_equal":
            return f"must be at most {limits['le']}"
        case "decimal_max_places":
            return f"must have at most {limits['decimal_places']} decimals"
    return f"is wrong ({problem['msg']})"


def _kept_secret(data_dir: Path) -> str:
    """The secret in the data directory, made at the first start; two starts at once agree on one."""
    kept = data_dir / "secret"
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        with os.fdopen(os.open(kept, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            secret = file.read().strip()
            if not secret:
                secret = secrets.token_urlsafe(48)
                file.write(secret)
    except OSError as error:
        raise SettingsError(f"JANJI_DATA_DIR must be a directory that we can write to: {error}") from None
    if len(secret) < MIN_SECRET_LENGTH:
        raise SettingsError(f"JANJI_SECRET must have at least {MIN_SECRET_LENGTH} characters, and {kept} has fewer")
    return secret
