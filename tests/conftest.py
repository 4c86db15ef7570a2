"""The fixtures that every test may use, and the order in which tests run."""

from __future__ import annotations

import pytest

from tests.contract.watch import _as_the_contract_says, _watched
from tests.house import database, house, migrated, sweepers
from tests.program import _keeps_its_logging
from tests.servers import servers
from tests.trust import _trusted_authorities

__all__ = [
    "_as_the_contract_says",
    "_keeps_its_logging",
    "_trusted_authorities",
    "_watched",
    "database",
    "house",
    "migrated",
    "servers",
    "sweepers",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slow ones first, so that no worker begins one of them while all others have come to their end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
