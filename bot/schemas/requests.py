"""What comes over HTTP and is no command of a conversation: signing in, devices, queries, preferences, frames."""

from __future__ import annotations

import re
from datetime import time
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, ValidationInfo, field_validator

from bot.schemas.fields import Duration, Payload, WithPhone
from bot.schemas.texts import Cleaned
from bot.schemas.webpush import is_point
from conversations.replies import N_


class SignIn(WithPhone):
    """A therapist asks for a code."""


class SignInConfirm(WithPhone):
    """A therapist gives the code."""

    code: Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{6}$")]


FcmToken = Annotated[str, StringConstraints(strict=True, min_length=8, max_length=4096, pattern=r"^[A-Za-z0-9_:.-]+$")]
# Hosts are looked at by the door, which knows the push services that we write to.
Endpoint = Annotated[str, StringConstraints(strict=True, max_length=2048, pattern=r"^https://[!-~]+$")]


class FcmDevice(Payload):
    """Where Firebase reaches an app or a browser."""

    token: FcmToken
    platform: Literal["ios", "android", "web"] | None = None


class FcmTokenGone(Payload):
    token: FcmToken


class SubscriptionKeys(Payload):
    """What is sent to a browser is encrypted for these; base64url."""

    p256dh: Annotated[str, StringConstraints(strict=True, pattern=r"^B[A-Za-z0-9_-]{86}=?$")]
    auth: Annotated[str, StringConstraints(strict=True, pattern=r"^[A-Za-z0-9_-]{22}(==)?$")]

    @field_validator("p256dh")
    @classmethod
    def _is_on_the_curve(cls, value: str) -> str:
        if not is_point(value):
            raise ValueError(N_("is not valid"))
        return value


class WebPushSubscription(Payload):
    """A browser's own `PushSubscription.toJSON()`."""

    endpoint: Endpoint
    keys: SubscriptionKeys
    # Browsers write it so.
    expirationTime: Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)] | None = None


class WebPushEndpointGone(Payload):
    endpoint: Endpoint


def _minutes_of_text(value: Any) -> Any:
    """A choice of numbers is none of texts: `60` in an address is read here."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,3}", value) else value


class TherapistsQuery(Payload):
    """The query of `GET /api/therapists`, whose values come as text."""

    latitude: Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)] | None = None
    longitude: Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)] | None = None
    duration: Annotated[Duration, BeforeValidator(_minutes_of_text)] | None = None


class PlacesQuery(Payload):
    """What somebody has written of an address; the places that it names are looked for."""

    q: Annotated[str, StringConstraints(strict=True, max_length=300), Cleaned] = ""


LONGEST_POLL_S = 20.0


class StreamQuery(Payload):
    """The query of the streams, whose values come as text; `wait` is in seconds."""

    feed: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    since: Annotated[int, Field(ge=0, le=2**53)] | None = None
    epoch: Annotated[str, Field(max_length=64)] | None = None
    wait: Annotated[float, Field(ge=0, le=LONGEST_POLL_S, allow_inf_nan=False)] = LONGEST_POLL_S
    signals: Annotated[str, Field(max_length=128)] | None = None
    """What a poll knows of the live signals: `signals_cursor` of the answer before."""
    userId: Annotated[str, Field(max_length=128)] | None = None
    """Taken and ignored, as `type` is: who somebody is stands in the token."""
    type: Annotated[str, Field(max_length=64)] | None = None


# Channels, and kinds of notifications that no visit needs.
Choice = Literal["email", "sms", "push", "reminder", "starts_soon", "message_waiting", "new_offer"]


def _time_of_day(text: str) -> str:
    try:
        time.fromisoformat(text)
    except ValueError:
        raise ValueError(N_("is not the time of a day like 22:00")) from None
    return text


TimeOfDay = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{2}:[0-9]{2}$"), AfterValidator(_time_of_day)]


class QuietHours(Payload):
    """On the person's own clock, over midnight where they end before they begin."""

    begins: TimeOfDay
    ends: TimeOfDay

    @field_validator("ends")
    @classmethod
    def _not_at_once(cls, value: str, info: ValidationInfo) -> str:
        if value == info.data.get("begins"):
            raise ValueError(N_("must be two different times"))
        return value


class ChosenPreferences(Payload):
    """The whole choice: what is left out is wanted. What is urgent is told at any hour."""

    off: Annotated[tuple[Choice, ...], Field(max_length=20)] = ()
    quiet_hours: QuietHours | None = None


class WebSocketFrame(Payload):
    """A command on a plain WebSocket."""

    event: Annotated[str, StringConstraints(strict=True, max_length=64)]
    data: dict[str, Any]
