"""The real servers that the tests run against: our own, in a folder that goes away, or those of the environment."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pymongo
import pytest

from bot.runtime.embedded import Servers, running


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Where MongoDB and Valkey listen. What a test puts there, it names so that no other test meets it."""
    mongodb_uri, redis_url = os.environ.get("MONGODB_URI"), os.environ.get("REDIS_URL")
    with running(tmp_path_factory.mktemp("servers"), mongo=not mongodb_uri, redis=not redis_url) as ours:
        found = Servers(mongodb_uri=mongodb_uri or ours.mongodb_uri, redis_url=redis_url or ours.redis_url)
        _keep_what_is_old(found)
        yield found


def _keep_what_is_old(servers: Servers) -> None:
    """Many tests write down moments that stand still and are long past one day: the server must not tidy them away."""
    with pymongo.MongoClient[Any](servers.mongodb_uri) as client:
        client.admin.command("setParameter", 1, ttlMonitorEnabled=False)
