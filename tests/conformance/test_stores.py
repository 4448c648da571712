"""The store conformance suite over every store in the box."""

from __future__ import annotations

from pathlib import Path

from gnomon.core.ports import Clock, Store
from gnomon.stores import BUILTIN, Hook, open_store
from gnomon.testing.stores import StoreConformance


class TestMemory(StoreConformance):
    def open(self, directory: Path, clock: Clock, on_commit: Hook | None = None) -> Store:
        return open_store(":memory:", clock, on_commit=on_commit)


class TestSqlite(StoreConformance):
    durable = True

    def open(self, directory: Path, clock: Clock, on_commit: Hook | None = None) -> Store:
        return open_store(directory / "gnomon.db", clock, on_commit=on_commit)


def test_no_case_hides_another() -> None:
    names = [name for base in StoreConformance.__mro__[1:] for name in vars(base) if name.startswith("test_")]
    assert len(names) == len(set(names))


def test_every_scheme_is_tried() -> None:
    assert {scheme.name for scheme in BUILTIN} == {"memory", "sqlite"}
