"""The fixtures that every test may use."""

from tests.contract.watch import _as_the_contract_says, _watched
from tests.house import database, house, migrated, sweepers
from tests.servers import servers
from tests.trust import _trusted_authorities

__all__ = [
    "_as_the_contract_says",
    "_trusted_authorities",
    "_watched",
    "database",
    "house",
    "migrated",
    "servers",
    "sweepers",
]
