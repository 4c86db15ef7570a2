"""The key pair for Web Push that the program makes."""

from __future__ import annotations

import re

import pytest

from bot.__main__ import main
from bot.settings.vapid import public_key_of


def test_the_keys_that_the_program_makes_are_a_pair(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["vapid-keys"]) == 0
    public, private = re.fullmatch(
        r"# public, for pages: (\S{87})\nJANJI_VAPID_PRIVATE_KEY=(\S{43})\n", capsys.readouterr().out
    ).groups()  # type: ignore[union-attr]
    assert public_key_of(private) == public
