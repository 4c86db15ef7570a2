"""The fixtures that every test may use."""

from tests.house import database, house, migrated
from tests.servers import servers

__all__ = ["database", "house", "migrated", "servers"]
