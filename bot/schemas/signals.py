"""What both sides say of themselves while they are there: that they write, and how far they have received and read."""

from __future__ import annotations

from pydantic import StrictBool

from bot.schemas.fields import Cursor, Payload


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
