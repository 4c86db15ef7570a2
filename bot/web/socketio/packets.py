"""Socket.IO packets as we speak them: text only, strict JSON, and only what a client has business to send.

Upstream's packets (python-socketio 5.18.1) are not used for our clients:

- they collect binary attachments, as many as the client announces: here there are none in either direction;
- `int("²")`, an id of Arabic digits, an event without a name and other near misses get through or raise anything: here
  a packet from a client is understood or it is a ValueError;
- encoding one walks over its data in search of bytes before it looks at it.

Frames that go out are bytes with Engine.IO's mark of a message before them, as they stand in a WebSocket frame.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from socketio.packet import EVENT

# type, namespace (a query string behind it is allowed and ignored), ack id, JSON
_FROM_CLIENT = re.compile(r"([0-2])(?:(/[^,?]{0,64})(?:\?[^,]{0,256})?(?:,|\Z))?([0-9]{1,15})?(.*)", re.DOTALL)


@dataclass(slots=True)
class Received:
    """What a client may send: CONNECT, DISCONNECT or EVENT. JSON without NaN, lone surrogates and endless nesting."""

    kind: int
    namespace: str
    id: int | None
    data: Any


def decode_packet(text: str) -> Received:
    """Raises ValueError for everything that is not a whole, well-formed packet."""
    match = _FROM_CLIENT.fullmatch(text)
    if match is None:
        raise ValueError("not a packet of a client")
    kind, namespace, ack_id, data = match.groups()
    packet = Received(
        int(kind), namespace or "/", int(ack_id) if ack_id else None, orjson.loads(data) if data else None
    )
    if packet.kind == EVENT and not _is_event(packet.data):
        raise ValueError("an event without a name")
    return packet


def _is_event(data: Any) -> bool:
    return isinstance(data, list) and len(data) > 0 and isinstance(data[0], str)


def encode_event(namespace: str, event: str, data: Mapping[str, Any] | bytes) -> bytes:
    """The frame of one event, for example `42/guest,["entry",{"seq":1}]`; bytes are JSON already."""
    encoded = data if isinstance(data, bytes) else orjson.dumps(data)
    return b'42%b,["%b",%b]' % (namespace.encode(), event.encode(), encoded)


def encode_ack(namespace: str, ack_id: int, answer: Mapping[str, Any]) -> bytes:
    return b"43%b,%d[%b]" % (namespace.encode(), ack_id, orjson.dumps(answer))


def encode_connect(namespace: str, sid: str) -> bytes:
    return b"40%b,%b" % (namespace.encode(), orjson.dumps({"sid": sid}))


def encode_connect_error(namespace: str, error: Mapping[str, Any]) -> bytes:
    """Official clients make an Error of it, with our whole error object as its `data`."""
    return b"44%b,%b" % (namespace.encode(), orjson.dumps({"message": error["message"], "data": error}))


def encode_disconnect(namespace: str) -> bytes:
    return b"41%b," % namespace.encode()
