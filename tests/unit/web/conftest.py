"""The whole application, gate included, on a real SQLite file, with a caller for each role."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gnomon.app.parts import open_parts
from gnomon.core.access import Role
from gnomon.operations.settings import load_settings
from tests.unit.web.calling import Caller, World


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with its schema: made once, then copied."""
    path = tmp_path_factory.mktemp("empty") / "gnomon.db"
    with open_parts(load_settings({"db": f"sqlite:///{path}"}, {}, search=False), upgrade=True):
        return path


@pytest.fixture
def world(tmp_path: Path, empty: Path) -> Iterator[World]:
    """An empty database and a service on it."""
    shutil.copy(empty, tmp_path / "gnomon.db")
    settings = load_settings({"db": f"sqlite:///{tmp_path}/gnomon.db"}, {}, search=False)
    with open_parts(settings) as parts, World(parts) as made:
        yield made


@pytest.fixture
def admin(world: World) -> Caller:
    return world.caller(Role.ADMIN)


@pytest.fixture
def author(world: World) -> Caller:
    return world.caller(Role.AUTHOR)


@pytest.fixture
def operator(world: World) -> Caller:
    return world.caller(Role.OPERATOR)


@pytest.fixture
def viewer(world: World) -> Caller:
    return world.caller(Role.VIEWER)


@pytest.fixture
def stranger(world: World) -> Caller:
    return world.caller(None)
