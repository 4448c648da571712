"""Collecting problems: each with its place, its key and the nearest valid spelling, up to a limit."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gnomon.core.errors import Problem, UsageError

from .reading import Document, Path_
from .tree import MAX_PROBLEMS


class Report:
    """The problems of one file, each once, in the order found; after `MAX_PROBLEMS` they are only counted."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.count = 0
        self.warnings: list[Problem] = []
        self._problems: list[Problem] = []
        self._seen: set[tuple[str, str, str]] = set()

    @property
    def full(self) -> bool:
        """Whether further problems are only counted."""
        return len(self._problems) >= MAX_PROBLEMS

    def problems(self) -> tuple[Problem, ...]:
        """What was found; the last entry says how much was left out."""
        left = self.count - len(self._problems)
        if left <= 0:
            return tuple(self._problems)
        message = f"{left} further problems are not shown"
        return (*self._problems, Problem("too_many_problems", message, "", "mend these first", self.document.file))

    def add(self, code: str, message: str, path: Path_, hint: str = "", *, key: str = "", of_key: bool = False) -> None:
        """Note a problem at `path` (`key`: a further, relative key)."""
        if self.full:
            self.count += 1
            return
        dotted = joined(dotted_path(path), key)
        if (code, dotted, message) in self._seen:
            return
        self.count += 1
        self._seen.add((code, dotted, message))
        line, column = self.document.place((*path, *steps(key)), of_key=of_key)
        self._problems.append(Problem(code, message, dotted, hint, self.document.file, line, column))


@dataclass(frozen=True, slots=True)
class At:
    """A place in a document to read from, and to complain about."""

    report: Report
    path: Path_ = ()

    def child(self, step: str | int) -> At:
        """The place one level deeper."""
        return At(self.report, (*self.path, step))

    def problem(self, code: str, message: str, hint: str = "", *, of_key: bool = False) -> None:
        """Note a problem with the value here (or with its key)."""
        self.report.add(code, message, self.path, hint, of_key=of_key)

    def warning(self, code: str, message: str) -> None:
        """Note something that works and is probably not meant."""
        if len(self.report.warnings) < MAX_PROBLEMS:
            document = self.report.document
            place = document.place(self.path)
            self.report.warnings.append(Problem(code, message, dotted_path(self.path), "", document.file, *place))

    def unknown(self, code: str, what: str, word: str, words: Iterable[str], *, of_key: bool = True) -> None:
        """Note that `word` is none of `words`, with the nearest of them; at the key, or at the value."""
        hint = "" if self.report.full else nearest(word, words)
        self.report.add(code, what, self.path, hint, of_key=of_key)

    def refused(self, error: UsageError) -> None:
        """Note what another room found wrong with the value here; its keys are relative to it."""
        for item in error.problems:
            of_key = item.code in ("unknown_key", "key_unknown")
            self.report.add(item.code, item.message, self.path, item.hint, key=item.key, of_key=of_key)


def nearest(word: str, words: Iterable[str]) -> str:
    """The hint that names the valid spelling nearest to `word`, or all of them when they are few, or nothing."""
    known = list(dict.fromkeys(words))
    folded = {folded_word(item): item for item in known}
    found = difflib.get_close_matches(folded_word(word[:100]), folded, n=1, cutoff=0.6)
    if found:
        return f"did you mean `{folded[found[0]]}`?"
    return f"known: {listed(known)}" if 0 < len(known) <= 30 else ""


def folded_word(word: str) -> str:
    """`word` as it is compared: case, `-` and spaces do not count."""
    return word.strip().lower().replace("-", "_").replace(" ", "_")


def listed(words: Sequence[str]) -> str:
    """`a`, `b`, `c`."""
    return ", ".join(f"`{word}`" for word in words)


def dotted_path(path: Path_) -> str:
    """`jobs[2].task.command`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step[:60]}" if text else step[:60]
    return text


def joined(first: str, second: str) -> str:
    """Two dotted keys, one below the other."""
    return f"{first}{second}" if second.startswith("[") or not first or not second else f"{first}.{second}"


def steps(key: str) -> Path_:
    """The path that a dotted key means: `command[0]` is ("command", 0)."""
    path: list[str | int] = []
    for part in key.split(".") if key else []:
        name, *indexes = part.split("[")
        if name:
            path.append(name)
        path.extend(int(index[:-1]) for index in indexes if index[:-1].isdigit())
    return tuple(path)
