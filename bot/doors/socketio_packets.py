"""Socket.IO packets as we speak them: text only, strict JSON, and only what a client has business to send."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson
from socketio import packet

# Engine.IO's type of a message; a Socket.IO packet stands behind it in the same WebSocket frame.
MESSAGE = "4"

# type, namespace (a query string behind it is allowed and ignored), ack id, JSON
_FROM_CLIENT = re.compile(r"([0-2])(?:(/[^,?]{0,64})(?:\?[^,]{0,256})?(?:,|\Z))?([0-9]{1,15})?(.*)", re.DOTALL)


class StrictJson:
    """orjson under the two names upstream calls; it refuses NaN, Infinity, lone surrogates and endless nesting."""

    @staticmethod
    def dumps(value: object, separators: tuple[str, str] | None = None) -> str:
        """Always compact: upstream asks for it by `separators`."""
        return orjson.dumps(value).decode()

    @staticmethod
    def loads(text: str) -> Any:
        return orjson.loads(text)


class TextPacket(packet.Packet):  # type: ignore[misc]  # upstream has no types
    """Why upstream's packet is overridden (python-socketio 5.18.1):

    - it collects binary attachments, as many as the client announces: here there are none in either direction;
    - `int("²")`, an id of Arabic digits, an event without a name and other near misses get through or raise anything:
      here a packet from a client is understood or it is a ValueError;
    - its JSON module is set for the whole process by the server's `json` argument: here it belongs to the class.
    """

    uses_binary_events = False
    json = StrictJson
    packet_type: int
    namespace: str
    id: int | None
    data: Any

    def decode(self, encoded_packet: str) -> int:
        """Reads what a client may send (CONNECT, DISCONNECT, EVENT) and says that no attachments follow."""
        match = _FROM_CLIENT.fullmatch(encoded_packet)
        if match is None:
            raise ValueError("not a packet of a client")
        kind, namespace, ack_id, data = match.groups()
        self.packet_type = int(kind)
        self.namespace = namespace or "/"
        self.id = int(ack_id) if ack_id else None
        self.data = self.json.loads(data) if data else None
        if self.packet_type == packet.EVENT and not _is_event(self.data):
            raise ValueError("an event without a name")
        return 0


def _is_event(data: Any) -> bool:
    return isinstance(data, list) and len(data) > 0 and isinstance(data[0], str)


def decode_packet(text: str) -> TextPacket:
    """Raises ValueError for everything that is not a whole, well-formed packet."""
    if not text:
        raise ValueError("an empty packet")
    return TextPacket(encoded_packet=text)


def encode_event(namespace: str, event: str, data: Mapping[str, Any]) -> str:
    """The WebSocket frame of one event, for example `42/guest,["entry",{"seq":1}]`."""
    return _frame(packet.EVENT, namespace, [event, data])


def encode_ack(namespace: str, ack_id: int, answer: Mapping[str, Any]) -> str:
    return _frame(packet.ACK, namespace, [answer], ack_id)


def encode_connect(namespace: str, sid: str) -> str:
    return _frame(packet.CONNECT, namespace, {"sid": sid})


def encode_connect_error(namespace: str, error: Mapping[str, Any]) -> str:
    """Official clients make an Error of it, with our whole error object as its `data`."""
    return _frame(packet.CONNECT_ERROR, namespace, {"message": error["message"], "data": error})


def encode_disconnect(namespace: str) -> str:
    return _frame(packet.DISCONNECT, namespace, None)


def _frame(packet_type: int, namespace: str, data: Any, ack_id: int | None = None) -> str:
    encoded: str = TextPacket(packet_type, data=data, namespace=namespace, id=ack_id).encode()
    return MESSAGE + encoded
