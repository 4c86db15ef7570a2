"""The web process: one aiohttp application with its doors, from the first connection to the last goodbye."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from aiohttp import web

from bot.clock import Clock
from bot.runtime.collector import collecting_seldom
from bot.runtime.ending import run, until_told_to_stop
from bot.runtime.engines import ServerFailed
from bot.services import Services, running
from bot.settings.settings import Settings
from bot.web.http import commands, contracts, devices, exchange, origins, preferences, unsubscribe
from bot.web.http.pages import add_pages
from bot.web.integrations import booking_notifications, twilio, webhooks
from bot.web.operations import health, metrics, status
from bot.web.socketio.limits import Limits
from bot.web.socketio.namespaces import GUEST, THERAPIST, GuestDoor, TherapistDoor
from bot.web.socketio.server import SocketIOServer
from bot.web.streams import outlet, plain_websocket, sse_and_poll

log = structlog.get_logger()

# Whoever takes nothing of an answer for so long is cut off by the system, whatever it is that we send.
UNTAKEN_MS = 30_000


def build(services: Services) -> tuple[web.Application, SocketIOServer]:
    """The application and its Socket.IO server, with every door open."""
    settings = services.settings
    middlewares = [exchange.errors_as_json, origins.one_sender, origins.known_origins]
    app = web.Application(middlewares=middlewares, client_max_size=exchange.LARGEST_BODY)
    app.on_response_prepare.append(origins.say_who_is_welcome)
    app[exchange.SERVICES] = services
    app[outlet.COUNTERS] = outlet.StreamCounters()
    server = SocketIOServer(
        limits=_limits_of(settings),
        transports=settings.transports,
        origins=settings.welcome_origins,
        trust_proxy=settings.trust_proxy,
        compression=settings.compression,
        admit=services.connections.admit,
    )
    app[metrics.SOCKET_IO_COUNTERS] = server.counters
    server.register(GUEST, GuestDoor(services, server))
    server.register(THERAPIST, TherapistDoor(services, server))
    server.attach(app)
    app.add_routes(exchange.ROUTES)
    app.add_routes(health.ROUTES)
    app.add_routes(status.ROUTES)
    app.add_routes(metrics.ROUTES)
    app.add_routes(commands.ROUTES)
    app.add_routes(devices.ROUTES)
    app.add_routes(sse_and_poll.ROUTES)
    app.add_routes(plain_websocket.ROUTES)
    app.add_routes(booking_notifications.ROUTES)
    app.add_routes(webhooks.ROUTES)
    app.add_routes(twilio.ROUTES)
    app.add_routes(preferences.ROUTES)
    app.add_routes(unsubscribe.ROUTES)
    app.add_routes(contracts.routes())
    add_pages(app, chat_frame_ancestors=settings.frame_ancestors)
    return app, server


def _limits_of(settings: Settings) -> Limits:
    """What one Socket.IO client may take."""
    return Limits(
        ping_interval_s=settings.ping_interval_s,
        ping_timeout_s=settings.ping_timeout_s,
        handler_timeout_s=settings.command_timeout_s,
        max_frame_bytes=settings.largest_frame_bytes,
        max_queued_frames=settings.queued_frames,
        max_queued_bytes=settings.queued_bytes,
        commands_per_s=settings.limit_commands_per_connection.per_s,
        command_burst=settings.limit_commands_per_connection.burst,
        returns_spread_over_s=settings.rhythms.ending.returns_spread_over_s,
        stalled_for_s=settings.rhythms.streams.stalled_for_s,
    )


@dataclass(frozen=True, slots=True)
class Serving:
    """A web process that accepts connections."""

    services: Services
    app: web.Application
    port: int


@asynccontextmanager
async def serving(
    settings: Settings, *, reuse_port: bool = False, clock: Clock | None = None
) -> AsyncIterator[Serving]:
    """Listen and serve; leaving drains: clients are told to move, commands in flight are finished and answered."""
    async with running(settings, clock=clock) as services:
        app, server = build(services)
        ending = settings.rhythms.ending
        runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=ending.requests_finish_s)
        await runner.setup()
        listening = _listen(settings.host, settings.port, reuse_port)
        site = web.SockSite(runner, listening)
        await site.start()
        try:
            yield Serving(services, app, listening.getsockname()[1])
        finally:
            services.stopping.set()
            await site.stop()  # whoever comes now finds another process, or nobody, at once
            await server.drain(ending.drain_s)
            await runner.cleanup()


def _listen(host: str, port: int, reuse_port: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux; the connections inherit it
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNTAKEN_MS)
    if reuse_port:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise ServerFailed(f"PORT {port} on {host} can't be listened on: {error.strerror}.") from None
    return listening


def check_port(host: str, port: int) -> None:
    """Raises `ServerFailed` where another program has it: those that share one on purpose would take it in silence."""
    _listen(host, port, reuse_port=False).close()


async def _serve_until_told(settings: Settings, reuse_port: bool) -> None:
    stop = until_told_to_stop()
    async with serving(settings, reuse_port=reuse_port) as web_process, collecting_seldom():
        if not (settings.sends_codes or settings.show_sign_in_codes or settings.demo):
            log.warning("no therapist can be sent a code", missing="JANJI_TWILIO_ACCOUNT_SID")
        log.info("serving", url=f"http://{settings.host}:{web_process.port}")
        await stop.wait()
        log.info("stopping")


def serve(settings: Settings, *, reuse_port: bool = False) -> None:
    """Run one web process until SIGTERM or SIGINT."""
    run(_serve_until_told(settings, reuse_port))
