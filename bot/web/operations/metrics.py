"""`/metrics`: the numbers of this process for a Prometheus collector that has the token; without a token there is none.

They are counts and ages; nothing of a person, a booking or a message stands in them. What they mean, and which of them
should wake somebody, stands in `docs/operations.md`.
"""

from __future__ import annotations

import asyncio
import gc
import hmac
import os
import resource
import socket
import sys
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web

from bot import __version__
from bot.access.limits import SCOPES
from bot.integrations.incoming import SENDERS
from bot.runtime.exposition import CONTENT_TYPE, Family, exposition
from bot.runtime.vitals import Report
from bot.services import Services
from bot.store.driver import PyMongoError, within
from bot.store.kinds import KINDS
from bot.web.http.exchange import SERVICES
from bot.web.sessions.answers import refusal
from bot.web.socketio.limits import Counters
from bot.web.streams.outlet import COUNTERS, StreamCounters

SOCKET_IO_COUNTERS: web.AppKey[Counters] = web.AppKey("socket.io counters", Counters)
TRANSPORTS = ("sse", "websocket", "poll")
RECORDS = tuple(kind.name for kind in KINDS)
OPEN_FILES = Path("/proc/self/fd")
MEMORY = Path("/proc/self/statm")

T = TypeVar("T")


async def metrics(request: web.Request) -> web.Response:
    services = request.app[SERVICES]
    _let_in(request, services.settings.metrics_token)
    report = await services.vitals.report()
    socket_io, streams = request.app[SOCKET_IO_COUNTERS], request.app[COUNTERS]
    families = [
        *_health(services, report),
        *_connections(services, socket_io, streams),
        *_work(services, socket_io),
        *_feeds_and_bus(services),
        *_limits(services),
        *await _notifications(services),
        *await _webhooks(services),
        *_process(services),
    ]
    # Of several processes behind one address any may answer: this keeps their numbers apart.
    text = exposition(families, {"process": f"{socket.gethostname()}:{os.getpid()}"})
    return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE, "Cache-Control": "no-store"})


def _let_in(request: web.Request, token: str | None) -> None:
    if token is None:
        raise web.HTTPNotFound
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(errors="surrogateescape"), f"Bearer {token}".encode()):
        raise refusal("unauthorized")


def _gauge(name: str, help: str, value: float) -> Family:
    return Family(f"janji_{name}", "gauge", help, samples={(): value})


def _gauges(name: str, help: str, label: str, values: Mapping[str, float]) -> Family:
    return Family(f"janji_{name}", "gauge", help, (label,), {(key,): value for key, value in values.items()})


def _count(name: str, help: str, value: float) -> Family:
    return Family(f"janji_{name}_total", "counter", help, samples={(): value})


def _counts(name: str, help: str, label: str, values: Mapping[str, float]) -> Family:
    return Family(f"janji_{name}_total", "counter", help, (label,), {(key,): value for key, value in values.items()})


def _each(names: Iterable[str], counts: Mapping[Any, int]) -> dict[str, float]:
    """What has not happened yet is counted, too: a collector sees the first time as a rise."""
    return {name: counts.get(name, 0) for name in names}


def _health(services: Services, report: Report) -> Iterator[Family]:
    about = (__version__, services.settings.commit or "")
    yield Family("janji_info", "gauge", "Which program this is.", ("version", "commit"), {about: 1})
    well: dict[str, float] = {part.name: part.state == "ok" for part in report.parts}
    yield _gauges("part_well", "1 while a part is as it should be, as /status says it.", "part", well)
    ages: dict[str, float] = {part.name: part.age_s for part in report.parts if part.age_s is not None}
    yield _gauges("part_age_seconds", "The age of what a part is judged by, as /status says it.", "part", ages)
    yield _gauge("loop_lag_seconds", "How late the event loop was at worst of late.", services.loop_lag.worst_s)
    heard: dict[str, float] = dict(services.vitals.heard_s.items())
    yield _gauges("heartbeat_age_seconds", "How long ago the workers showed life.", "heart", heard)
    yield _gauge("clock_offset_seconds", "How far the database's time is ahead of ours.", services.clock.offset_s)
    yield _gauge("tasks", "What the event loop has under way.", len(asyncio.all_tasks()))
    yield _gauge("stopping", "1 once the process has been told to end.", services.is_stopping)


def _connections(services: Services, socket_io: Counters, streams: StreamCounters) -> Iterator[Family]:
    is_open = {**_each(TRANSPORTS, streams.open), "socketio": socket_io.connections}
    opened = {**_each(TRANSPORTS, streams.opened), "socketio": socket_io.connections_opened}
    cut_off = {"socketio": socket_io.slow_readers_aborted, "streams": streams.slow_readers_aborted}
    refused = {"address": services.connections.refused, "connect": socket_io.connects_refused}
    yield _gauges("connections", "Open connections.", "transport", is_open)
    yield _counts("connections_opened", "Connections since the start.", "transport", opened)
    yield _counts("connections_refused", "Too many of one address, or a connect that was refused.", "why", refused)
    yield _count("connections_gave_way", "The oldest of a person with too many.", services.connections.gave_way)
    yield _counts("readers_cut_off", "Readers who took nothing of what waited for them.", "transport", cut_off)
    yield _count("ping_timeouts", "Socket.IO clients that answered no ping.", socket_io.ping_timeouts)
    yield _count("strike_outs", "Socket.IO clients that talked nonsense.", socket_io.strike_outs)


def _work(services: Services, socket_io: Counters) -> Iterator[Family]:
    outcomes = services.outcomes + socket_io.outcomes
    yield Family("janji_commands_total", "counter", "Commands by their answer.", ("command", "code"), outcomes)
    yield _counts("requests_failed", "Requests answered `unavailable`.", "route", services.failed_requests)
    turns = services.turns
    yield _counts("turns", "Events that records were asked about.", "record", _each(RECORDS, turns.taken))
    yield _counts("turn_conflicts", "Turns begun again.", "record", _each(RECORDS, turns.conflicts))
    yield _gauge("alarms", "Deadlines that this process will ring.", len(services.alarms))
    yield _count("sweep_rounds", "Looks for what is overdue or left.", services.sweep.laps)
    yield _count("sweep_failures", "Rings that failed by a fault of ours.", services.sweep.failures)
    yield _gauge("outboxes_busy", "Records whose effects are being performed here.", services.outboxes.busy)
    yield _count("effect_failures", "Effects that failed by a fault of ours.", services.outboxes.failures)


def _feeds_and_bus(services: Services) -> Iterator[Family]:
    feeds, bus = services.feeds, services.bus
    yield _count("feed_entries", "Entries written.", feeds.written)
    yield _count("feed_batches", "Batches that they were written in.", feeds.batches)
    yield _count("feed_retries", "Batches that were tried again.", feeds.retries)
    yield _gauge("feed_entries_waiting", "Entries that are not known to be durable yet.", feeds.unwritten)
    yield _gauge("feed_readers", "Readers of feeds, on all transports.", feeds.readers)
    yield _gauge("bus_up", "1 while hints go out and come in.", bus.healthy)
    yield _count("bus_published", "Hints told to other processes.", bus.published)
    yield _count("bus_received", "Hints heard from them.", bus.received)
    yield _count("bus_dropped", "Hints that could not be told.", bus.dropped)
    yield _gauge("bus_waiting", "Hints that are not sent yet.", bus.waiting)


def _limits(services: Services) -> Iterator[Family]:
    refused = services.limits.refused
    yield _counts("limits_refused", "Requests that came too often.", "kind", _each(SCOPES, refused))
    unsigned = _each(SENDERS, services.unsigned_webhooks)
    yield _counts("webhooks_unsigned", "Webhooks whose signature was not right.", "sender", unsigned)
    yield _count("limits_decided_alone", "Limits that Redis did not answer for.", services.limits.decided_alone)


async def _known(services: Services, ask: Awaitable[T]) -> T | None:
    """What all processes see the same; without the database nothing is seen, and the other numbers do not wait."""
    try:
        async with within(services.settings.rhythms.vitals.asked_for_s):
            return await ask
    except (PyMongoError, OSError):
        return None


async def _notifications(services: Services) -> list[Family]:
    health = await _known(services, services.delivery_desk.health())
    if health is None:
        return []
    resting = {each["name"]: each["state"] == "resting" for each in health["channels"] if each["state"] != "not_set"}
    rows = {"waiting": health["pending"], "dead": health["dead"]}
    return [
        _gauges("notifications", "Notifications that have not been sent.", "state", rows),
        _gauges("channel_resting", "1 while a provider is left alone since it fails.", "channel", resting),
    ]


async def _webhooks(services: Services) -> list[Family]:
    counts = await _known(services, services.webhooks.counts())
    if counts is None:
        return []
    rows = {state: counts[state] for state in ("waiting", "dead")}
    return [
        _gauges("webhook_deliveries", "Events that integrators have not heard of.", "state", rows),
        _gauge("webhook_endpoints_disabled", "Integrators who are told nothing any more.", counts["disabled"]),
    ]


def _process(services: Services) -> Iterator[Family]:
    """By the names that Prometheus has for them; what a system does not tell is left out."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = usage.ru_utime + usage.ru_stime
    yield Family("process_cpu_seconds_total", "counter", "CPU time.", samples={(): cpu_s})
    yield _gauge("allocated_blocks", "Objects and their parts that Python holds in memory.", sys.getallocatedblocks())
    circular = sum(each["collected"] for each in gc.get_stats())
    yield _count("circular_garbage", "Objects that only the collector could free.", circular)
    started_at = services.clock.now().timestamp() - services.vitals.uptime_s
    yield Family("process_start_time_seconds", "gauge", "When it began.", samples={(): round(started_at)})
    if MEMORY.exists():
        resident = int(MEMORY.read_text().split()[1]) * resource.getpagesize()
        yield Family("process_resident_memory_bytes", "gauge", "Resident memory.", samples={(): resident})
        files = len(os.listdir(OPEN_FILES))
        yield Family("process_open_fds", "gauge", "Open file descriptors.", samples={(): files})


ROUTES = [web.get("/metrics", metrics)]
