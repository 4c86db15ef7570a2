"""What comes in is kept as it was meant, or refused with the name of the field that is wrong."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from pydantic import ValidationError

from bot.errors import Refusal
from bot.schemas.fields import Payload, parse_phone
from bot.schemas.guest import (
    GUEST_COMMANDS,
    Cancel,
    ConfirmService,
    GuestConnect,
    LocationPayload,
    Message,
    Rate,
    SearchAgain,
)
from bot.schemas.parsing import LONGEST_FIELD_NAMED, MOST_FIELDS_NAMED, REASONS, parse, refusal_of
from bot.schemas.requests import SignInConfirm, TherapistsQuery
from bot.schemas.texts import MESSAGE_LENGTH
from bot.schemas.therapist import THERAPIST_COMMANDS, Availability, CancelBooking, Progress, TherapistConnect

BUDI = "+6281234567890"
LONE_SURROGATE = "\ud800"
FORM: dict[str, Any] = {
    "client_id": "c-1",
    "revision": 1,
    "duration": 60,
    "location": {"address": "Jl. Sudirman 1", "latitude": -6.2, "longitude": 106.8},
    "name": "Budi",
    "phone": BUDI,
}
PROGRESS: dict[str, Any] = {"client_id": "c-1", "booking_id": "b_1", "step": "on_the_way"}


def refused(model: type[Payload], data: Any) -> Refusal:
    with pytest.raises(Refusal) as caught:
        read(model, data)
    return caught.value


def read(model: type[Payload], data: Any) -> Payload:
    """The query of an address comes as text, and is read by a way of its own."""
    return query(**data) if model is TherapistsQuery else parse(model, data)


def query(**values: str) -> TherapistsQuery:
    try:
        return TherapistsQuery.model_validate_strings(values)
    except ValidationError as error:
        raise refusal_of(error) from None


def form(**changes: Any) -> ConfirmService:
    return parse(ConfirmService, {**FORM, **changes})


def said(text: str) -> str:
    return parse(Message, {"client_id": "c-1", "text": text}).text


# --- phone numbers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spelled", "e164"),
    [
        ("081234567890", BUDI),
        ("0812-3456-7890", BUDI),
        ("0812 3456 7890", BUDI),
        ("0812.3456.7890", BUDI),
        ("(0812) 3456-7890", BUDI),
        ("81234567890", BUDI),
        ("6281234567890", BUDI),
        ("+62 812-3456-7890", BUDI),
        ("+62 (0)812 3456 7890", BUDI),
        ("0062 812 3456 7890", BUDI),
        ("  081234567890\n", BUDI),
        ("\x000812\x1f34567890", BUDI),
        ("０８１２３４５６７８９０", BUDI),
        ("٠٨١٢٣٤٥٦٧٨٩٠", BUDI),
        ("\u202a+62 812\u20113456\u20117890\u202c", BUDI),
        ("tel:+62-812-3456-7890", BUDI),
        ("0811223344", "+62811223344"),
        ("+1 202 555 0123", "+12025550123"),
        ("001 202 555 0123", "+12025550123"),
        ("+44 7911 123456", "+447911123456"),
        ("+65 8123 4567", "+6581234567"),
        ("+61 412 345 678", "+61412345678"),
    ],
)
def test_a_phone_number_is_understood_as_people_write_it(spelled: str, e164: str) -> None:
    assert form(phone=spelled).phone == e164


@pytest.mark.parametrize(
    ("spelled", "reason"),
    [
        ("021 555 1234", "must be a mobile number"),
        ("+62 21 5551234", "must be a mobile number"),
        ("+44 20 7946 0958", "must be a mobile number"),
        ("+1 800 555 0199", "must be a mobile number"),
        ("0812", "is not a complete phone number"),
        ("0812 3456", "is not a complete phone number"),
        ("+62 8123 4567 8901 2345", "is not a complete phone number"),
        ("+1 555", "is not a complete phone number"),
        ("+999 123 456", "is not a phone number"),
        ("0000", "is not a phone number"),
        ("++++", "is not a phone number"),
        ("budi@example.com", "is not a phone number"),
        ("$token", "is not a phone number"),
        ("🙂🙂🙂🙂", "is not a phone number"),
    ],
)
def test_what_is_no_mobile_number_is_refused_with_the_reason(spelled: str, reason: str) -> None:
    refusal = refused(ConfirmService, {**FORM, "phone": spelled})
    assert (refusal.code, refusal.fields) == ("invalid", {"phone": reason})


def test_a_number_without_a_country_belongs_to_the_region_of_this_installation() -> None:
    assert parse_phone("0412 345 678", "AU") == "+61412345678"
    assert parse(ConfirmService, {**FORM, "phone": "0412 345 678"}, region="AU").phone == "+61412345678"


# --- names and texts --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("Budi", "Budi"),
        ("  Budi \t Kanari\n", "Budi Kanari"),
        ("Bu\x00di\x1b[31m", "Budi[31m"),
        ("Bu\u0085di\u009b", "Budi"),
        ("Ame\u0301lie", "Amélie"),
        ("$$ROOT", "$$ROOT"),
        ("<b>Budi</b>", "<b>Budi</b>"),
        ("N" * 80, "N" * 80),
    ],
)
def test_a_name_is_one_clean_line(typed: str, kept: str) -> None:
    assert form(name=typed).name == kept
    assert form(location={**FORM["location"], "address": typed}).location.address == kept


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  Blok B\nlantai 3\t–  terima kasih!  ", "Blok B\nlantai 3\t–  terima kasih!"),
        ("a\x00b\x07c\x7fd\x9fe", "abcde"),
        ("e\u0301", "é"),
        ("\u202emoor", "\u202emoor"),
        ("👨‍👩‍👧", "👨‍👩‍👧"),
        ("\U0001fae8", "\U0001fae8"),
        ('{"$gt": ""}', '{"$gt": ""}'),
        ("ก" * MESSAGE_LENGTH, "ก" * MESSAGE_LENGTH),
    ],
)
def test_a_message_keeps_its_lines_and_loses_only_what_no_screen_shows(typed: str, kept: str) -> None:
    assert said(typed) == kept


@pytest.mark.parametrize("blank", ["", " ", "\n\t", "\x00", "\u200b", "\u202e\u202c", "\ufeff", "\u2028 \u2029"])
def test_what_shows_nothing_is_empty(blank: str) -> None:
    for model, data, field in (
        (Message, {"client_id": "c-1", "text": blank}, "text"),
        (ConfirmService, {**FORM, "name": blank}, "name"),
        (ConfirmService, {**FORM, "location": {**FORM["location"], "address": blank}}, "location.address"),
        (CancelBooking, {"client_id": "c-1", "booking_id": "b_1", "reason": blank}, "reason"),
    ):
        assert refused(model, data).fields == {field: "must not be empty"}


def test_a_newer_emoji_than_this_python_knows_is_no_empty_message() -> None:
    unassigned = "\U0001faff"
    assert unicodedata.category(unassigned) == "Cn", "choose one that Unicode has not given yet"
    assert said(unassigned) == unassigned


def test_a_reason_for_a_cancellation_may_be_left_out_by_the_guest_only() -> None:
    assert parse(Cancel, {"client_id": "c-1"}).reason is None
    assert refused(CancelBooking, {"client_id": "c-1", "booking_id": "b_1"}).fields == {"reason": "is required"}


@pytest.mark.parametrize("address", ["budi@example.com", "b.u+d-i@mail.example.co.id"])
def test_an_email_address_is_taken_as_it_is(address: str) -> None:
    assert form(email=address).email == address


@pytest.mark.parametrize(
    "address",
    ["", "budi", "@example.com", "a@b", "a b@c.de", "a@b@c.de", "a@b.c\r\nBcc: x@y.z", "a\x00@b.cd", "bü@example.de"],
)
def test_no_header_can_be_smuggled_into_an_email_address(address: str) -> None:
    assert refused(ConfirmService, {**FORM, "email": address}).fields == {"email": "is not an e-mail address"}


# --- numbers and choices ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("latitude", "longitude"), [(-6.2, 106.8), (0, 0), (90, 180), (-90.0, -180.0), (1e-300, -0.0), (5, 106)]
)
def test_coordinates_on_the_globe_are_taken(latitude: float, longitude: float) -> None:
    place = parse(LocationPayload, {"address": "x", "latitude": latitude, "longitude": longitude})
    assert (place.latitude, place.longitude) == (latitude, longitude)


NOT_A_NUMBER = ["1.5", "", True, None, [1], {"$gt": 0}, float("nan"), float("inf"), float("-inf")]
OFF_THE_GLOBE = [180.0001, -180.0001, 1e308, 2**70, -(2**70)]


@pytest.mark.parametrize("field", ["latitude", "longitude"])
def test_coordinates_off_the_globe_or_of_another_kind_are_refused(field: str) -> None:
    place = {"address": "x", "latitude": 1.0, "longitude": 2.0}
    for value in NOT_A_NUMBER:
        assert refused(LocationPayload, {**place, field: value}).fields == {field: "must be a number"}, value
    for value in OFF_THE_GLOBE:
        assert refused(LocationPayload, {**place, field: value}).fields == {field: "is out of range"}, value
    assert refused(LocationPayload, {**place, "latitude": 90.0001}).fields == {"latitude": "is out of range"}


def test_a_number_too_big_for_a_float_is_refused_too() -> None:
    place = {"address": "x", "latitude": 10**400, "longitude": 2.0}
    assert refused(LocationPayload, place).fields.keys() == {"latitude"}


@pytest.mark.parametrize(
    "position", [{}, {"latitude": -6.2, "longitude": 106.8}, {"latitude": None, "longitude": None}]
)
def test_a_therapist_sends_a_whole_position_or_none(position: dict[str, Any]) -> None:
    assert parse(Availability, {"available": True, **position}).latitude == position.get("latitude")


@pytest.mark.parametrize(
    ("position", "fields"),
    [
        ({"latitude": -6.2}, {"longitude": "goes with latitude"}),
        ({"longitude": 106.8}, {"longitude": "goes with latitude"}),
        ({"latitude": -6.2, "longitude": None}, {"longitude": "goes with latitude"}),
        ({"latitude": "-6.2", "longitude": 106.8}, {"latitude": "must be a number"}),
        ({"latitude": 91, "longitude": 181}, {"latitude": "is out of range", "longitude": "is out of range"}),
    ],
)
def test_half_a_position_is_refused_and_only_the_wrong_half_is_named(
    position: dict[str, Any], fields: dict[str, str]
) -> None:
    assert refused(Availability, {"available": True, **position}).fields == fields


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"step": "delayed"}, {"minutes": "is required"}),
        ({"step": "arrived", "minutes": 5}, {"minutes": "goes with the step delayed only"}),
        ({"step": "delayed", "minutes": 0}, {"minutes": "is out of range"}),
        ({"step": "delayed", "minutes": 241}, {"minutes": "is out of range"}),
        ({"step": "delayed", "minutes": True}, {"minutes": "must be a whole number"}),
        ({"step": "late", "minutes": 5}, {"step": "is not one of the choices"}),
        ({"step": None}, {"step": "is not one of the choices"}),
    ],
)
def test_minutes_belong_to_a_delay(changes: dict[str, Any], fields: dict[str, str]) -> None:
    assert refused(Progress, {**PROGRESS, **changes}).fields == fields
    assert parse(Progress, {**PROGRESS, "step": "delayed", "minutes": 240}).minutes == 240


@pytest.mark.parametrize("duration", [60, 90, 120])
def test_a_duration_is_one_of_three(duration: int) -> None:
    assert form(duration=duration).duration == duration
    assert query(duration=str(duration)).duration == duration


@pytest.mark.parametrize("duration", [0, 61, -60, 60.5, "60", True, None, [60], {"$in": [60]}, 2**62, float("nan")])
def test_any_other_duration_is_refused(duration: Any) -> None:
    assert refused(ConfirmService, {**FORM, "duration": duration}).fields == {"duration": "is not one of the choices"}


@pytest.mark.parametrize("duration", ["", "61", " 60", "60.0", "6e1", "60,90", "٦٠", "060 ", "9" * 5000])
def test_a_duration_in_an_address_is_written_in_plain_digits(duration: str) -> None:
    assert refused(TherapistsQuery, {"duration": duration}).fields == {"duration": "is not one of the choices"}


@pytest.mark.parametrize("revision", [-1, 2**53 + 1, 2**70, "1", 1.0, True, None, float("nan")])
def test_a_revision_is_a_whole_number_that_javascript_can_count(revision: Any) -> None:
    assert refused(SearchAgain, {"client_id": "c-1", "revision": revision}).fields.keys() == {"revision"}
    assert parse(SearchAgain, {"client_id": "c-1", "revision": 2**53}).revision == 2**53


@pytest.mark.parametrize("client_id", ["", "a b", "a\n", "ü", "$a", "a/b", "{}", "a\x00", 7, None, {"$gt": ""}])
def test_a_client_id_is_a_plain_word(client_id: Any) -> None:
    assert refused(Message, {"client_id": client_id, "text": "x"}).fields.keys() == {"client_id"}
    assert parse(Message, {"client_id": "A-b_c.d:9" + "x" * 55, "text": "x"})


@pytest.mark.parametrize("code", ["12345", "1234567", "12345a", "١٢٣٤٥٦", "123456\n", 123456, None, {"$ne": None}])
def test_a_code_is_six_plain_digits(code: Any) -> None:
    assert refused(SignInConfirm, {"phone": BUDI, "code": code}).fields.keys() == {"code"}


# --- refusals ---------------------------------------------------------------------------------------------------------

FAULTS: dict[str, tuple[type[Payload], dict[str, Any], str]] = {
    "missing": (Message, {"client_id": "c-1"}, "text"),
    "extra_forbidden": (Message, {"client_id": "c-1", "text": "x", "from": "therapist"}, "from"),
    "literal_error": (ConfirmService, {**FORM, "gender_preference": "ALL"}, "gender_preference"),
    "string_type": (Message, {"client_id": "c-1", "text": 7}, "text"),
    "string_unicode": (Message, {"client_id": "c-1", "text": LONE_SURROGATE}, "text"),
    "string_too_long": (Message, {"client_id": "c-1", "text": "x" * (MESSAGE_LENGTH + 1)}, "text"),
    "string_too_short": (SignInConfirm, {"phone": "081", "code": "123456"}, "phone"),
    "bool_type": (Availability, {"available": 1}, "available"),
    "int_type": (SearchAgain, {"client_id": "c-1", "revision": "1"}, "revision"),
    "float_type": (Availability, {"available": True, "latitude": "1", "longitude": 1}, "latitude"),
    "float_parsing": (TherapistsQuery, {"latitude": "north"}, "latitude"),
    "finite_number": (TherapistsQuery, {"latitude": "nan"}, "latitude"),
    "greater_than_equal": (TherapistsQuery, {"latitude": "-91"}, "latitude"),
    "less_than_equal": (TherapistsQuery, {"longitude": "181"}, "longitude"),
    "model_type": (ConfirmService, {**FORM, "location": "Jl. Sudirman 1"}, "location"),
    "dict_type": (TherapistConnect, {"token": "x", "since": [["therapist:t", 1]]}, "since"),
    "other": (Message, {"client_id": "a b", "text": "x"}, "client_id"),
}


def test_every_reason_has_a_payload_that_earns_it() -> None:
    assert FAULTS.keys() == REASONS.keys()


@pytest.mark.parametrize("kind", sorted(REASONS))
def test_a_refusal_names_the_field_and_the_reason(kind: str) -> None:
    model, data, field = FAULTS[kind]
    refusal = refused(model, data)
    assert refusal.fields == {field: REASONS[kind]}
    assert refusal.code == ("too_large" if kind == "string_too_long" else "invalid")


@pytest.mark.parametrize("data", [None, [], "text", 7, True, [["client_id", "c-1"]]])
@pytest.mark.parametrize("model", [*GUEST_COMMANDS.values(), *THERAPIST_COMMANDS.values(), GuestConnect])
def test_what_is_no_object_is_refused_as_a_whole(model: type[Payload], data: Any) -> None:
    refusal = refused(model, data)
    assert (refusal.code, refusal.fields) == ("invalid", {"": "must be an object"})


def test_every_field_that_is_wrong_is_named_with_its_path() -> None:
    wrong = {**FORM, "duration": 61, "name": "", "location": {"address": "", "latitude": 91}}
    assert refused(ConfirmService, wrong).fields == {
        "duration": "is not one of the choices",
        "name": "must not be empty",
        "location.address": "must not be empty",
        "location.latitude": "is out of range",
        "location.longitude": "is required",
    }


def test_a_sender_cannot_have_thousands_of_names_of_their_own_read_back() -> None:
    invented = {f"{number}-{'x' * 1000}": 1 for number in range(5000)}
    fields = refused(Message, {**invented, "client_id": "c-1"}).fields
    assert fields["text"] == "is required"
    assert len(fields) <= MOST_FIELDS_NAMED
    assert max(len(name) for name in fields) <= LONGEST_FIELD_NAMED


def test_a_text_that_is_too_long_outweighs_what_else_is_wrong() -> None:
    refusal = refused(ConfirmService, {**FORM, "name": "N" * 81, "duration": 61})
    assert (refusal.code, refusal.status) == ("too_large", 413)
    assert refusal.fields == {"name": "is too long", "duration": "is not one of the choices"}


@pytest.mark.parametrize("stars", [0, 6, 4.5, "4", True, None])
def test_a_rating_has_one_to_five_whole_stars(stars: Any) -> None:
    assert set(refused(Rate, {"client_id": "c-1", "stars": stars}).fields) == {"stars"}
    assert parse(Rate, {"client_id": "c-1", "stars": 5, "comment": " tenang\x07 "}).comment == "tenang"
