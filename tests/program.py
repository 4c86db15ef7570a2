"""The command line inside of the tests' own process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import bot.__main__


@pytest.fixture(scope="session", autouse=True)
def _keeps_its_logging() -> Iterator[None]:
    """A command sets up what its process logs, and where warnings go: every test after it would have it so, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bot.__main__, "configure", lambda _: None)
        yield
