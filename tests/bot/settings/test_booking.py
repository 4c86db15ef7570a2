"""How far is looked for a therapist."""

from __future__ import annotations

import pytest

from bot.settings.loading import SettingsError, load_settings
from tests.bot.settings.environment import set_variables


@pytest.mark.parametrize("radii", ["10,5", "5,5", "0,5", "-1", "5,600", ",", "5,far", ",".join(map(str, range(1, 22)))])
def test_radii_are_rising_distances_of_at_most_500_km(monkeypatch: pytest.MonkeyPatch, radii: str) -> None:
    set_variables(monkeypatch, JANJI_RADII_KM=radii)
    with pytest.raises(SettingsError, match=r"^JANJI_RADII_KM must be"):
        load_settings()
