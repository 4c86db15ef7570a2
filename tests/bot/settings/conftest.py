"""Every test of settings begins where nothing is set."""

from __future__ import annotations

from tests.bot.settings.environment import bare

__all__ = ["bare"]
