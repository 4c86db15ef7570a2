"""A stock RQ worker, which forks for each job; all that a job needs is imported before."""

from __future__ import annotations

import sys

from redis import Redis
from rq import Worker
from twilio.rest import Client

from benchmarks import plain_jobs
from benchmarks.provider import ACCOUNT, TOKEN

LISTENS = "a plain worker listens"


def main(redis_url: str) -> None:
    _ = Client(ACCOUNT, TOKEN).messages  # upstream imports most of itself at first use
    with Redis.from_url(redis_url) as connection:
        sys.stdout.write(f"{LISTENS}\n")
        sys.stdout.flush()
        Worker([plain_jobs.QUEUE], connection=connection).work(logging_level="WARNING")


if __name__ == "__main__":
    main(sys.argv[1])
