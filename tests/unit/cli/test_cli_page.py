"""docs/cli.md names every command and option, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

from gnomon.cli.application import make_app

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "cli.md").read_text("utf-8")
SHARED = {"--db", "--server", "--token-file", "--config", "--json", "--help"}


def commands(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Each command, and its own options."""
    inner = getattr(command, "commands", None)
    if inner is None:
        options = {name for p in command.params for name in (*p.opts, *p.secondary_opts) if name.startswith("-")}
        yield words, options - SHARED
    for name, one in (inner or {}).items():
        yield from commands(one, (*words, name))


REAL = dict(commands(typer.main.get_command(make_app())))


def places() -> dict[tuple[str, ...], str]:
    """Where the page tells of each command: its row of a table, or its section."""
    found: dict[tuple[str, ...], str] = {}
    for line in PAGE.splitlines():
        if row := re.match(r"\| `gnomon ([a-z]+ [a-z-]+)[^`]*` \|", line):
            found[tuple(row[1].split())] = line
    for section in re.split(r"^#+ ", PAGE, flags=re.M):
        if title := re.match(r"`gnomon ([a-z]+)", section):
            found[(title[1],)] = section
    return found


def test_every_command_is_on_the_page_and_no_other() -> None:
    assert sorted(places()) == sorted(REAL)


def test_every_option_is_with_its_command_and_no_other() -> None:
    wrong = {}
    for words, text in places().items():
        named = set(re.findall(r"`(--?[a-z][a-z-]*)", text)) - SHARED
        if named != REAL[words]:
            wrong[words] = named ^ REAL[words]
    assert wrong == {}
