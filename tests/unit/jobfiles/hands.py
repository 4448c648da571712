"""A watched directory that tests change by hand, in a time of its own."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from gnomon.jobfiles.directory import DirectoryWatcher
from tests.unit.jobfiles.rooms import KINDS, TASKS

GOOD = "job_id: {}\ntask: [date]\n"


class Hands:
    """A directory, its watcher, and a clock that stands still between steps."""

    def __init__(self, root: Path, owned: Iterable[str] = ()) -> None:
        self.root = root
        self.now = 1_000.0
        self.watcher = DirectoryWatcher(
            root, KINDS, TASKS, monotonic=lambda: self.now, wall=lambda: self.now + 1e9, owned=owned
        )

    def write(self, name: str, text: str, *, age: float = 10.0) -> str:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o644)
        modified = self.now + 1e9 - age
        os.utime(path, (modified, modified))
        return str(path)

    def look(self, seconds: float = 0.5):  # type: ignore[no-untyped-def]
        """Look, wait, look again: the changes of both looks."""
        first = self.watcher.scan()
        self.now += seconds
        second = self.watcher.scan()
        second.loaded.update(first.loaded)  # type: ignore[attr-defined]
        second.failed.update(first.failed)  # type: ignore[attr-defined]
        return second if not first.removed else first


def hands_in(parent: Path) -> Hands:
    """The hands on a new directory in `parent`."""
    root = parent / "jobs.d"
    root.mkdir(mode=0o755)
    return Hands(root)


def denied(path: object) -> object:
    raise PermissionError(13, "Permission denied", str(path))
