"""What the tests of settings stand on: an environment with nothing of ours in it, and how to put something there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.settings.servers import MIN_SECRET_LENGTH
from bot.settings.settings import Settings
from bot.settings.variables import variables_of

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
