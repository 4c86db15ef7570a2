"""How far hypothesis looks here."""

from tests.profiles import load_profile

load_profile()
