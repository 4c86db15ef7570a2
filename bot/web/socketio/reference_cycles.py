"""What aiohttp leaves of a WebSocket that has ended: circles, which would stay until the collector finds them.

It leans on names that aiohttp does not promise (3.14); where they have gone, so may the circles have, and
`tests/stories/test_reference_cycles.py` tells.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web


def break_cycles(websocket: web.WebSocketResponse, request: web.Request) -> None:
    """The error that it ended with knows the frames that met it, and the HTTP side knows whom to tell of data."""
    ended: Any = websocket
    ended._exception = None
    protocol: Any = request.protocol
    protocol._data_received_cb = None
