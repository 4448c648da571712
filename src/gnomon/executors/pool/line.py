"""Attempts that wait for a worker: first come, first served among those that need the same `path`."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from gnomon.executors.attempt import Key

from .worker import Errand

Path = tuple[str, ...]


class Line:
    """Ordered by `Errand.order`, per path."""

    def __init__(self) -> None:
        self._lines: dict[Path, deque[Errand]] = {}
        self._members: dict[Key, Errand] = {}

    def __len__(self) -> int:
        return len(self._members)

    def push(self, errand: Errand) -> None:
        """At the end."""
        self._lines.setdefault(errand.path, deque()).append(errand)
        self._members[errand.key] = errand

    def push_front(self, errands: Iterable[Errand]) -> None:
        """Back to where they were: they come before everything that has not been handed out yet."""
        for errand in sorted(errands, key=lambda one: -one.order):
            self._lines.setdefault(errand.path, deque()).appendleft(errand)
            self._members[errand.key] = errand

    def pop(self, path: Path) -> Errand | None:
        """The next one that needs `path`."""
        line = self._lines.get(path)
        while line:
            errand = line.popleft()
            if self._members.pop(errand.key, None) is errand:
                return errand
        self._lines.pop(path, None)
        return None

    def remove(self, key: Key) -> Errand | None:
        """Take one out, wherever it stands."""
        return self._members.pop(key, None)

    def paths(self) -> list[Path]:
        """The paths needed, the longest waiting first."""
        found = []
        for path, line in list(self._lines.items()):
            while line and self._members.get(line[0].key) is not line[0]:
                line.popleft()
            if line:
                found.append((line[0].order, path))
            else:
                del self._lines[path]
        return [path for _, path in sorted(found)]
