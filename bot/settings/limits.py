"""The settings of the limits: how much one connection, one token and one address may have, and by which transports."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, FiniteFloat, field_validator
from pydantic_settings import BaseSettings

from bot.settings.kinds import CommaSeparated, RateSetting, Seconds, Transport
from bot.settings.rates import Rate


class LimitSettings(BaseSettings):
    transports: Annotated[tuple[Transport, ...], CommaSeparated] = ("websocket",)
    """Of Socket.IO. Polling needs a router that sends each client always to the same process."""
    compression: bool = False
    """Whether Socket.IO offers permessage-deflate: it costs about 100 kB of memory for each idle client."""
    largest_frame_bytes: Annotated[int, Field(ge=8_192, le=1_048_576)] = 32_768
    """Of what a client may send at once, on both kinds of WebSocket."""
    ping_interval_s: Annotated[FiniteFloat, Field(ge=0.1, le=50)] = 20.0
    """Routers cut a line that is silent for a minute or less."""
    open_per_phone: Annotated[int, Field(ge=0, le=100)] = 1
    """How many searches and visits one phone number may have at once; 0 for any number."""
    open_per_network: Annotated[int, Field(ge=0, le=1000)] = 3
    """The same of one network, which is an IPv4 address or an IPv6 /64; addresses that are not public have no limit."""
    ping_timeout_s: Annotated[FiniteFloat, Field(ge=0.1, le=60)] = 10.0
    queued_frames: Annotated[int, Field(ge=16, le=100_000)] = 256
    """How many may wait for one Socket.IO reader before it is cut off; it comes back with its cursor."""
    queued_bytes: Annotated[int, Field(ge=65_536, le=67_108_864)] = 512_000
    connections_per_address: Annotated[int, Field(ge=1, le=1_000_000)] = 200
    """In one process, streams included: a mobile network lets many people share one address."""
    connections_per_token: Annotated[int, Field(ge=1, le=1_000)] = 10
    """In one process, streams included: the oldest gives way to the newest."""
    limit_connects_per_token: RateSetting = Rate(1, "s", 30)
    limit_connects_per_address: RateSetting = Rate(20, "s", 400)
    limit_streams_per_token: RateSetting = Rate(5, "s", 60)
    """Of streams that are opened, long polls that are begun and tickets that are asked for."""
    limit_streams_per_address: RateSetting = Rate(100, "s", 1_000)
    limit_commands_per_connection: RateSetting = Rate(20, "s", 60)
    """Of one Socket.IO client, whatever it sends."""
    limit_commands_per_token: RateSetting = Rate(5, "s", 30)
    limit_commands_per_address: RateSetting = Rate(50, "s", 500)
    limit_messages_per_token: RateSetting = Rate(5, "s", 30)
    limit_messages_per_address: RateSetting = Rate(100, "s", 1_000)
    limit_signals_per_token: RateSetting = Rate(10, "s", 60)
    limit_signals_per_address: RateSetting = Rate(200, "s", 2_000)
    limit_codes_per_phone_and_address: RateSetting = Rate(6, "h", 4)
    limit_codes_per_phone: RateSetting = Rate(20, "h", 12)
    """Above what one address may ask for, so that no stranger keeps a therapist from a code."""
    limit_codes_per_address: RateSetting = Rate(1, "m", 30)
    limit_guesses_per_phone_and_address: RateSetting = Rate(10, "h", 5)
    limit_guesses_per_phone: RateSetting = Rate(30, "h", 15)
    limit_guesses_per_address: RateSetting = Rate(1, "m", 30)
    limit_desk_per_token: RateSetting = Rate(20, "s", 200)
    """Of one API key; a request with a wrong one counts for its address alone."""
    limit_desk_per_address: RateSetting = Rate(50, "s", 500)
    fallback_after_s: Seconds = 6.0
    """How long a page does without Socket.IO before it takes the next best transport that works."""

    @field_validator("transports")
    @classmethod
    def _some_transport_is_left(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not value:
            raise ValueError("must be websocket, polling or both, like websocket,polling")
        return value
