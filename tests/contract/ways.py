"""The ways to say a command: over HTTP, on Socket.IO and on a plain WebSocket."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import ClientSession

from tests.clients import PATIENCE_S
from tests.contract.scenes import Sender
from tests.contract.watch import WATCH

# Says a command as the sender, and gives the status, where the transport has one, and the ack or the error.
Say = Callable[[Sender, str, dict[str, Any]], Awaitable[tuple[int | None, dict[str, Any]]]]


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def by_http(http: ClientSession) -> Say:
    async def say(sender: Sender, command: str, payload: dict[str, Any]) -> tuple[int | None, dict[str, Any]]:
        path = f"/api/{sender.audience}/{command}"
        async with http.post(path, json=payload, headers=bearer(sender.token)) as response:
            return response.status, await response.json()

    return say


async def by_socket_io(sender: Sender, command: str, payload: dict[str, Any]) -> tuple[int | None, dict[str, Any]]:
    namespace = sender.client.namespace
    ack = await sender.client.sio.call(command, payload, namespace=namespace, timeout=PATIENCE_S)
    WATCH.ack(namespace, command, ack)
    return None, ack


def by_websocket(http: ClientSession) -> Say:
    async def say(sender: Sender, command: str, payload: dict[str, Any]) -> tuple[int | None, dict[str, Any]]:
        async with http.ws_connect("/ws/bookings", headers=bearer(sender.token)) as socket:
            await socket.send_json({"event": command, "data": payload})
            while True:
                frame = await socket.receive_json(timeout=PATIENCE_S)
                if "ack" in frame:
                    acked = frame.pop("ack")
                    # What could be no `client_id` is not sent back.
                    sent = payload.get("client_id")
                    assert acked == (sent if isinstance(sent, str) else None)
                    return None, frame

    return say
