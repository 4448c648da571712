"""Directories that may be missing: the one we are in, and those of a user without a home."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import platformdirs

from gnomon.core.errors import usage


def working_directory() -> Path:
    """Where we are. Raises UsageError: it was removed, or may not be read."""
    try:
        return Path.cwd()
    except OSError as error:
        text = f"the working directory cannot be told: {error.strerror}"
        raise usage(
            "working_directory_missing", text, hint="it was removed or may not be read: cd to another"
        ) from None


def default_db(project: Path | None) -> str | None:
    """`.gnomon/` of a project, else the platform's state directory; None: the user has no home."""
    place = project / ".gnomon" if project is not None else of_user(platformdirs.user_state_dir)
    return None if place is None else f"sqlite:///{place / 'gnomon.db'}"


def of_user(directory: Callable[[str], str]) -> Path | None:
    """A directory of the user; None: they have no home (no HOME, and no entry among the users of the system)."""
    try:
        return Path(directory("gnomon"))
    except (RuntimeError, KeyError):
        return None
