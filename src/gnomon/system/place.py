"""Which file a name means: whether it still is the one that was opened, and which ones lie beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeAlias

Mark: TypeAlias = "tuple[int, int]"
"""Device and number of a file."""


class Place:
    """A file by its name, remembered: another one that gets the name later is told from it.

    It is held open as a mere place (O_PATH): so its number is not given to another file, and closing it drops no lock
    that a library of this process has on the file, as closing any ordinary descriptor would.

    Raises:
        OSError: there is no such file.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._fd = os.open(name, os.O_PATH | os.O_CLOEXEC)
        found = os.fstat(self._fd)
        self.mark: Mark = (found.st_dev, found.st_ino)

    def is_right(self) -> bool:
        """Whether the name means the same file as in the beginning."""
        return mark_of(self.name) == self.mark

    def close(self) -> None:
        """Idempotent."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def mark_of(path: str | os.PathLike[str]) -> Mark | None:
    """Of the file that has this name now, if there is one."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def written(marks: Sequence[Mark]) -> str:
    """Marks as text."""
    return " ".join(f"{device}:{number}" for device, number in marks)


def read_marks(text: str) -> Sequence[Mark]:
    """The marks in such a text; none, if it says something else."""
    try:
        return [(int(device), int(number)) for device, number in (pair.split(":") for pair in text.split())]
    except ValueError:
        return []
