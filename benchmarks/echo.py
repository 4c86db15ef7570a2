"""A bare python-socketio server, as its documentation shows it: what comes in goes to the room of two, nothing is kept.

It speaks frames of the same shape and size as Janji's, on the same event loop, and stands for what the libraries
themselves cost on the machine.
"""

from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime
from typing import Any

import socketio
import uvloop
from aiohttp import web

NAMESPACE = "/guest"


def build() -> web.Application:
    server = socketio.AsyncServer(async_mode="aiohttp", cors_allowed_origins=[])
    app = web.Application()
    server.attach(app)
    seqs: dict[str, int] = {}

    async def connect(sid: str, environ: dict[str, Any], auth: dict[str, Any]) -> None:
        await server.save_session(sid, auth, namespace=NAMESPACE)
        await server.enter_room(sid, auth["room"], namespace=NAMESPACE)

    async def message(sid: str, payload: dict[str, Any]) -> dict[str, Any]:
        session = await server.get_session(sid, namespace=NAMESPACE)
        room = session["room"]
        seq = seqs[room] = seqs.get(room, 0) + 1
        entry = {
            "feed": f"conversation:{room}",
            "seq": seq,
            "id": f"e_{seq:024x}",
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "type": "message",
            "data": {"from": session["party"], "text": payload["text"], "client_id": payload["client_id"]},
        }
        await server.emit("entry", entry, room=room, namespace=NAMESPACE)
        return {"ok": True, "seq": seq, "id": entry["id"]}

    server.on("connect", connect, namespace=NAMESPACE)
    server.on("message", message, namespace=NAMESPACE)
    return app


async def _serve(port: int) -> None:
    runner = web.AppRunner(build(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(int(os.environ["PORT"])))
