"""How processes of ours start: with the servers of the environment, or with our own where there are none."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from bot.runtime import embedded
from bot.settings.settings import Settings


@contextmanager
def with_servers(settings: Settings) -> Iterator[Settings]:
    """The settings with the addresses of both servers; what the environment does not name is started here."""
    with embedded.running(
        settings.data_dir, mongo=settings.mongodb_uri is None, redis=settings.redis_url is None
    ) as servers:
        yield settings.model_copy(
            update={
                "mongodb_uri": settings.mongodb_uri or servers.mongodb_uri,
                "redis_url": settings.redis_url or servers.redis_url,
            }
        )


def environment_of(settings: Settings, **more: str) -> Mapping[str, str]:
    """The environment for a process that shall find the same servers and sign with the same secret."""
    return {
        **os.environ,
        "MONGODB_URI": settings.mongodb_uri or "",
        "REDIS_URL": settings.redis_url or "",
        "JANJI_SECRET": settings.secret,
        "JANJI_DATABASE": settings.database,
        "JANJI_RHYTHMS": str(settings.rhythms),
        **more,
    }
