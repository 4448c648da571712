"""What the command line can ask a server for."""

from __future__ import annotations

import ast
import inspect
from importlib import import_module
from pathlib import Path

import pytest

import gnomon.operations
from gnomon.app import registries
from gnomon.core.errors import UsageError
from gnomon.operations.context import Desk
from gnomon.remote import Client
from gnomon.remote.desk import remote_desk
from gnomon.remote.table import ANSWERS

OPERATIONS = Path(gnomon.operations.__file__).parent
ROOM = Path(inspect.getfile(Client)).parent


def marked() -> set[str]:
    """Operations with `@anywhere` before them."""
    return {
        f"gnomon.operations.{path.stem}.{node.name}"
        for path in OPERATIONS.glob("*.py")
        for node in ast.parse(path.read_bytes()).body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(one, ast.Name) and one.id == "anywhere" for one in node.decorator_list)
    }


def test_what_is_marked_is_in_the_table_and_nothing_else() -> None:
    assert len(marked()) > 50
    assert marked() == ANSWERS.keys()


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_it_is_called_the_same_way(name: str) -> None:
    module, _, function = name.rpartition(".")
    here = list(inspect.signature(getattr(import_module(module), function)).parameters.values())[1:]
    there = list(inspect.signature(ANSWERS[name]).parameters.values())[1:]
    assert [(p.name, p.kind, p.default) for p in here if "lambda" not in str(p.default)] == [
        (p.name, p.kind, p.default) for p in there if "lambda" not in str(p.default)
    ]


def test_what_needs_the_database_says_so() -> None:
    with Client("http://127.0.0.1:9") as client:
        desk = remote_desk(client, *registries(), "UTC")
        with pytest.raises(UsageError) as caught:
            desk.store.read(lambda reader: None)
        assert caught.value.code == "not_remote"
        assert isinstance(desk, Desk)


def test_the_room_knows_neither_the_web_side_nor_the_composition_root() -> None:
    """import-linter lets it, since it stands above them."""
    found = [
        f"{path.name}: {node.module}"
        for path in ROOM.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith(("gnomon.web", "gnomon.app"))
    ]
    assert found == []
