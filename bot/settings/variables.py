"""Where a setting comes from: the environment first, then `.env`, under the name of ours or of a platform."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic.fields import FieldInfo
from pydantic_settings import PydanticBaseSettingsSource

PREFIX = "JANJI_"
ENV_FILE = Path(".env")
# What platforms call these; of several names the first that is set counts.
PLATFORM_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "port": ("PORT",),
    "web_concurrency": ("WEB_CONCURRENCY",),
    "mongodb_uri": ("MONGODB_URI", "MONGO_URL"),
    "redis_url": ("REDIS_TLS_URL", "REDIS_URL"),
    "commit": ("JANJI_COMMIT", "HEROKU_BUILD_COMMIT"),
}

Places = tuple[Mapping[str, str | None], ...]


def variables_of(field_name: str) -> tuple[str, ...]:
    """The environment variables of a setting, the preferred one first."""
    return PLATFORM_VARIABLES.get(field_name, (PREFIX + field_name.upper(),))


def places() -> Places:
    return os.environ, dotenv_values(ENV_FILE)


def find(field_name: str, places: Places) -> tuple[str, str | None]:
    """The variable that gives a setting its value, and the value; the preferred variable and None where none does."""
    for place in places:
        for variable in variables_of(field_name):
            if value := place.get(variable):
                return variable, value
    return variables_of(field_name)[0], None


class Variables(PydanticBaseSettingsSource):
    """The environment, then `.env`, each under every name of a setting; what is empty is not set.

    The library's own sources would let one name of a setting in `.env` win over another one in the environment.
    """

    def __call__(self) -> dict[str, Any]:
        everywhere = places()
        found = {name: find(name, everywhere)[1] for name in self.settings_cls.model_fields}
        return {name: value for name, value in found.items() if value is not None}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[str | None, str, bool]:
        return find(field_name, places())[1], field_name, False
