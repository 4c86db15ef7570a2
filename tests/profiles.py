"""How far hypothesis looks: a second's worth on every run, and as far as it takes with HYPOTHESIS_PROFILE=thorough."""

from __future__ import annotations

import os

from hypothesis import settings


def load_profile() -> None:
    """`quick` tries the same examples every time, so that a run is red only because of what was changed.

    `thorough` tries others every time and takes a minute or two: what it finds, it prints.
    """
    settings.register_profile("quick", max_examples=50, deadline=None, derandomize=True, database=None)
    settings.register_profile("thorough", max_examples=2_000, deadline=None, print_blob=True)
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))
