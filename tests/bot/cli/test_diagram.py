"""The README's diagram is the table's."""

from __future__ import annotations

from bot.cli.diagram import README, block, current_block


def test_the_readme_shows_the_diagram_that_the_table_prints() -> None:
    assert current_block(README.read_text(encoding="utf-8")) == block(), "run: make diagram"
