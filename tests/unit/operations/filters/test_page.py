"""docs/filters.md: its examples are read, and its keys are all there are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gnomon.operations.filters import LANGUAGES

from .test_language import READING

PAGE = (Path(__file__).resolve().parents[4] / "docs" / "filters.md").read_text("utf-8")
BLOCKS = re.findall(r"^<!-- filter: (\w+) -->\n```text\n(.*?)^```", PAGE, re.S | re.M)
LINES = [(kind, line) for kind, block in BLOCKS for line in block.splitlines()]


def test_every_list_has_an_example() -> None:
    assert {kind for kind, _ in BLOCKS} == LANGUAGES.keys()


@pytest.mark.parametrize(("kind", "line"), LINES)
def test_the_examples_are_read(kind: str, line: str) -> None:
    language = LANGUAGES[kind]
    where = language.parse(line, READING)
    assert where != language.parse("", READING)
    assert language.parse(language.write(where), READING) == where


@pytest.mark.parametrize("kind", sorted(LANGUAGES))
def test_every_key_is_on_the_page(kind: str) -> None:
    title = kind.capitalize() if kind in ("runs", "jobs") else "Schedules"
    section = re.split(r"^## ", PAGE, flags=re.M)
    text = next(part for part in section if part.startswith(title))
    if title == "Schedules":
        text = next(line for line in text.splitlines() if line.startswith(f"| {kind} |"))
    assert [name for name in LANGUAGES[kind].names() if not re.search(rf"`{name}[:`]", text)] == []
