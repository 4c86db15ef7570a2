"""What may come in: one pydantic model per command and request, which validates it and documents it.

Models refuse unknown fields and never convert: a number in a string is an error that names its field.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import time
from typing import Annotated, Any, Literal, TypeVar

import phonenumbers
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)

from bot.errors import Refusal
from bot.schemas.webpush import is_point
from conversations.replies import N_

MESSAGE_LENGTH = 4000
# A refusal names at most this many fields, and of a name that the sender made up no more than this.
MOST_FIELDS_NAMED = 20
LONGEST_FIELD_NAMED = 64
_LINE_BREAKS = frozenset("\n\t")
# Categories of characters that show nothing; what this Python's Unicode does not know yet may be a new emoji.
_INVISIBLE = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})


def _clean(text: str) -> str:
    """The text as it is kept: NFC, without control characters."""
    if text.isprintable() and unicodedata.is_normalized("NFC", text):
        return text.strip()  # as nearly every text is; the rest looks at each character
    visible = (char for char in text if char in _LINE_BREAKS or unicodedata.category(char) != "Cc")
    return unicodedata.normalize("NFC", "".join(visible)).strip()


def _not_empty(text: str) -> str:
    """Spaces and invisible marks alone are nothing that anybody could read."""
    is_plain = text[:1].isalnum()  # as nearly every text begins
    if not is_plain and all(unicodedata.category(char) in _INVISIBLE for char in text):
        raise ValueError(N_("must not be empty"))
    return text


def _one_line(text: str) -> str:
    return " ".join(text.split())


ClientId = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
Id = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
Line = Annotated[str, StringConstraints(strict=True, max_length=200), AfterValidator(_clean), AfterValidator(_one_line)]
Reason = Annotated[Line, AfterValidator(_not_empty)]
Name = Annotated[
    str,
    StringConstraints(strict=True, max_length=80),
    AfterValidator(_clean),
    AfterValidator(_one_line),
    AfterValidator(_not_empty),
]
Email = Annotated[
    str,
    StringConstraints(strict=True, max_length=254, pattern=r"^[^@\s\p{C}]+@[^@\s\p{C}]+\.[^@\s\p{C}]+$"),
    # Not every reader of a JSON Schema knows `\p`.
    WithJsonSchema({"type": "string", "format": "email", "maxLength": 254}),
]
Text = Annotated[
    str,
    StringConstraints(strict=True, max_length=MESSAGE_LENGTH),
    AfterValidator(_clean),
    AfterValidator(_not_empty),
]
Note = Annotated[str, StringConstraints(strict=True, max_length=1000), AfterValidator(_clean)]
Revision = Annotated[StrictInt, Field(ge=0, le=2**53)]
Cursor = Annotated[StrictInt, Field(ge=0, le=2**53)]
Latitude = Annotated[float, Field(strict=True, ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(strict=True, ge=-180, le=180, allow_inf_nan=False)]
Duration = Literal[60, 90, 120]


def parse_phone(raw: str, region: str) -> str:
    """The number in E.164; numbers without a country are read as the region's. Raises ValueError with the reason."""
    spelled = "+" + raw[2:] if raw.startswith("00") else raw
    try:
        number = phonenumbers.parse(spelled, region)
    except phonenumbers.NumberParseException as error:
        raise ValueError(N_("is not a phone number")) from error
    if not phonenumbers.is_valid_number(number):
        raise ValueError(N_("is not a complete phone number"))
    kind = phonenumbers.number_type(number)
    if kind not in (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE):
        raise ValueError(N_("must be a mobile number"))
    return str(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))


class Payload(BaseModel):
    """Anything that comes in. Validation gets the default region for phone numbers as its context."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class _WithPhone(Payload):
    phone: Annotated[str, StringConstraints(strict=True, min_length=4, max_length=32)]

    @field_validator("phone")
    @classmethod
    def _phone_in_e164(cls, value: str, info: ValidationInfo) -> str:
        region = (info.context or {}).get("region", "ID")
        return parse_phone(_clean(value), region)


P = TypeVar("P", bound=Payload)

REASONS: Mapping[str, str] = {
    "missing": N_("is required"),
    "extra_forbidden": N_("is not known"),
    "literal_error": N_("is not one of the choices"),
    "string_type": N_("must be text"),
    "string_unicode": N_("contains characters that are not text"),
    "string_too_long": N_("is too long"),
    "string_too_short": N_("is too short"),
    "bool_type": N_("must be yes or no"),
    "int_type": N_("must be a whole number"),
    "float_type": N_("must be a number"),
    "float_parsing": N_("must be a number"),
    "finite_number": N_("must be a number"),
    "greater_than_equal": N_("is out of range"),
    "less_than_equal": N_("is out of range"),
    "model_type": N_("must be an object"),
    "dict_type": N_("must be an object"),
    "other": N_("is not valid"),
}


class CommandPayload(Payload):
    """Every command carries an id of the client's own: the same id again gets the first answer again."""

    client_id: ClientId


# --- connecting -------------------------------------------------------------------------------------------------------


class GuestConnect(Payload):
    """`auth` of the namespace `/guest`; without a token, or with one that is not valid, a new guest begins."""

    token: Annotated[str, StringConstraints(strict=True, max_length=2048)] | None = None
    since: Annotated[StrictInt, Field(ge=0, le=2**53)] | None = None
    epoch: Annotated[str, StringConstraints(strict=True, max_length=64)] | None = None
    locale: Annotated[str, StringConstraints(strict=True, max_length=35)] | None = None
    timezone: Annotated[str, StringConstraints(strict=True, max_length=64)] | None = None


class TherapistConnect(Payload):
    """`auth` of the namespace `/therapist`; `since` has a cursor for each feed that is known already."""

    token: Annotated[str, StringConstraints(strict=True, max_length=2048)]
    since: Annotated[
        dict[Annotated[str, Field(max_length=128)], Annotated[StrictInt, Field(ge=0, le=2**53)]], Field(max_length=200)
    ] = Field(default_factory=dict)
    epoch: Annotated[str, StringConstraints(strict=True, max_length=64)] | None = None
    locale: Annotated[str, StringConstraints(strict=True, max_length=35)] | None = None


# --- the guest's commands ---------------------------------------------------------------------------------------------


class LocationPayload(Payload):
    address: Annotated[
        str,
        StringConstraints(strict=True, max_length=300),
        AfterValidator(_clean),
        AfterValidator(_one_line),
        AfterValidator(_not_empty),
    ]
    latitude: Latitude
    longitude: Longitude


class Book(CommandPayload):
    """Opens the form: from the menu, from a price, or from the profile of one therapist."""

    kind: Literal["now"]
    therapist_id: Id | None = None
    service: Id | None = None
    source: Literal["profile", "menu", "price"]


class ConfirmService(CommandPayload, _WithPhone):
    """The filled-in form: the search for a therapist begins."""

    revision: Revision
    duration: Duration
    location: LocationPayload
    name: Name
    email: Email | None = None
    gender_preference: Literal["any", "female", "male"] = "any"
    notes: Note | None = None


class AcceptTherapist(CommandPayload):
    """Yes to the therapist who was found: the visit is booked."""

    revision: Revision
    offer_id: Id


class FindAnother(AcceptTherapist):
    """No to the therapist who was found: they go back, and the search goes on."""


class SearchAgain(CommandPayload):
    """Asks the therapists nearby once more."""

    revision: Revision


class Cancel(CommandPayload):
    """Ends the form, the search or the visit, whichever there is."""

    reason: Line | None = None


class Message(CommandPayload):
    """Something to read for the therapist of the visit."""

    text: Text


class ForgetMe(CommandPayload):
    """Deletes whatever we know about the guest, for good. What goes on is cancelled first, and every token ends."""


class Rate(CommandPayload):
    """A rating of the visit that was completed last; with a revision, of the one whose card says so."""

    stars: Annotated[StrictInt, Field(ge=1, le=5)]
    comment: Note | None = None
    revision: Revision | None = None


class Typing(Payload):
    """Said again at most every three seconds while keys are pressed. Signals carry no `client_id`: twice is once."""

    on: StrictBool


class Delivered(Payload):
    """This device has every entry up to `seq`."""

    seq: Cursor


class Read(Delivered):
    """The person has seen everything up to `seq`."""


class TabPresence(Payload):
    """This tab is in the background, or back."""

    away: StrictBool


GUEST_COMMANDS: Mapping[str, type[Payload]] = {
    "book": Book,
    "confirm_service": ConfirmService,
    "accept_therapist": AcceptTherapist,
    "find_another": FindAnother,
    "search_again": SearchAgain,
    "cancel": Cancel,
    "message": Message,
    "rate": Rate,
    "forget_me": ForgetMe,
    "typing": Typing,
    "delivered": Delivered,
    "read": Read,
    "presence": TabPresence,
}


# --- the therapist's commands -----------------------------------------------------------------------------------------


class Availability(Payload):
    """Whether a therapist can be asked, and from where; who goes offline gives open offers back."""

    available: StrictBool
    latitude: Latitude | None = None
    longitude: Longitude | None = Field(default=None, validate_default=True)
    client_id: ClientId | None = None

    @field_validator("longitude")
    @classmethod
    def _both_or_neither(cls, value: float | None, info: ValidationInfo) -> float | None:
        is_latitude_right = "latitude" in info.data
        if is_latitude_right and (value is None) != (info.data["latitude"] is None):
            raise ValueError(N_("goes with latitude"))
        return value


class AcceptOffer(CommandPayload):
    """Yes to an offer; the guest has the last word."""

    offer_id: Id


class DeclineOffer(CommandPayload):
    """No to an offer: the next therapist is asked at once."""

    offer_id: Id
    reason: Line | None = None


class Progress(CommandPayload):
    """How the visit goes; `minutes` go with `delayed` and with nothing else."""

    booking_id: Id
    step: Literal["on_the_way", "delayed", "arrived", "completed", "no_show"]
    minutes: Annotated[StrictInt, Field(ge=1, le=240)] | None = Field(default=None, validate_default=True)

    @field_validator("minutes")
    @classmethod
    def _minutes_of_a_delay(cls, value: int | None, info: ValidationInfo) -> int | None:
        step = info.data.get("step")
        if value is None and step == "delayed":
            raise ValueError(N_("is required"))
        if value is not None and step not in ("delayed", None):
            raise ValueError(N_("goes with the step delayed only"))
        return value


class CancelBooking(CommandPayload):
    """The therapist cannot come after all, and says to the guest why."""

    booking_id: Id
    reason: Reason


class RoomMessage(CommandPayload):
    """Something to read for the guest of the visit."""

    booking_id: Id
    text: Text


class RoomTyping(Typing):
    __doc__ = Typing.__doc__
    booking_id: Id


class RoomDelivered(Delivered):
    __doc__ = Delivered.__doc__
    booking_id: Id


class RoomRead(Read):
    __doc__ = Read.__doc__
    booking_id: Id


THERAPIST_COMMANDS: Mapping[str, type[Payload]] = {
    "availability": Availability,
    "accept_offer": AcceptOffer,
    "decline_offer": DeclineOffer,
    "progress": Progress,
    "cancel_booking": CancelBooking,
    "message": RoomMessage,
    "typing": RoomTyping,
    "delivered": RoomDelivered,
    "read": RoomRead,
    "presence": TabPresence,
}


# --- HTTP -------------------------------------------------------------------------------------------------------------


class SignIn(_WithPhone):
    """A therapist asks for a code."""


class SignInConfirm(_WithPhone):
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


LONGEST_POLL_S = 20.0


class StreamQuery(Payload):
    """The query of the streams, whose values come as text; `wait` is in seconds."""

    feed: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    since: Annotated[int, Field(ge=0, le=2**53)] | None = None
    epoch: Annotated[str, Field(max_length=64)] | None = None
    wait: Annotated[float, Field(ge=0, le=LONGEST_POLL_S, allow_inf_nan=False)] = LONGEST_POLL_S
    signals: Annotated[str, Field(max_length=128)] | None = None
    """What a poll knows of the live signals: `signals_cursor` of the answer before."""


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


# --- from input to payload --------------------------------------------------------------------------------------------


def parse(model: type[P], data: Any, *, region: str = "ID") -> P:
    """The payload, or `Refusal` that names every field which is wrong (`too_large` where a text is too long)."""
    if not isinstance(data, dict):
        raise Refusal("invalid", "Please check what you entered.", fields={"": N_("must be an object")})
    try:
        return model.model_validate(data, context={"region": region})
    except ValidationError as error:
        raise refusal_of(error) from None


def refusal_of(error: ValidationError) -> Refusal:
    """The refusal that names every field which is wrong; `too_large` where a text is too long."""
    faults = error.errors(include_url=False, include_input=False)
    fields: dict[str, str] = {}
    for fault in faults[:MOST_FIELDS_NAMED]:
        name = ".".join(str(part) for part in fault["loc"])
        fields.setdefault(name[:LONGEST_FIELD_NAMED], _reason(fault))
    if any(fault["type"] == "string_too_long" for fault in faults):
        return Refusal("too_large", "This is too long.", fields=fields)
    return Refusal("invalid", "Please check what you entered.", fields=fields)


def _reason(fault: Any) -> str:
    """Why the field is wrong, as a msgid: our own checks say it themselves, the library's are named by their type."""
    if fault["type"] == "value_error":
        return str(fault["ctx"]["error"])
    return REASONS.get(fault["type"], REASONS["other"])
