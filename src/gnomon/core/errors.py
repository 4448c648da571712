"""Errors, sorted by who can mend them. Each has a stable code and says what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input: what, where, and what to do about it.

    Attributes:
        code: stable identifier, `snake_case` (documented in docs/errors.md).
        message: one sentence: what was wrong, with the offending text.
        key: dotted path of the key inside the input (`jobs[2].task.command`), or "" for the whole.
        hint: what to do next, or "".
        file: path of the file the input came from, or None.
        line: 1-based line in that file, or None.
        column: 1-based column in that file, or None.
    """

    code: str
    message: str
    key: str = ""
    hint: str = ""
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = self.file or ""
        if self.line is not None:
            place += f":{self.line}" + (f":{self.column}" if self.column is not None else "")
        text = f"{place}: " if place else ""
        text += f"{self.key}: {self.message}" if self.key else self.message
        return f"{text} ({self.hint})" if self.hint else text


class GnomonError(Exception):
    """Base of every error gnomon raises on purpose. `problems` is never empty."""

    exit_code: ClassVar[int] = 70

    def __init__(self, *problems: Problem) -> None:
        self.problems: Sequence[Problem] = problems
        super().__init__("\n".join(str(p) for p in problems))

    @property
    def code(self) -> str:
        """Stable code of the first problem."""
        return self.problems[0].code

    @property
    def brief(self) -> str:
        """The first problem in a line, without its hint."""
        return f"{self.code}: {self.problems[0].message}"


class UsageError(GnomonError):
    """The caller's mistake: bad input, unknown name, refused request. Exit code 2, HTTP 4xx."""

    exit_code = 2


class NotFound(UsageError):
    """A name or id that does not exist. HTTP 404."""


class Conflict(UsageError):
    """The object changed meanwhile, or another owner holds it. HTTP 409."""


class Stale(Conflict):
    """The caller edits something that was changed since it was read. HTTP 412."""


class Unauthenticated(UsageError):
    """Nobody known asks. HTTP 401."""


class Forbidden(UsageError):
    """The one who asks may not do this. HTTP 403."""


class Unavailable(GnomonError):
    """Something gnomon needs is not there right now (disk, database, lock); trying again may work."""

    exit_code = 3


class InvariantViolated(GnomonError):
    """A bug in gnomon. Please report it with the text."""

    exit_code = 70


def usage(code: str, message: str, *, key: str = "", hint: str = "") -> UsageError:
    """A `UsageError` of one problem."""
    return UsageError(Problem(code, message, key, hint))
