"""Errors as people (or, with `--json`, programs) read them, on stderr."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path

from typer.exceptions import TyperException

from gnomon.core.errors import GnomonError, InvariantViolated, Problem

from .sanitising import json_for, plain

_WIDEST = 160
_MOST_PLACES = 1000
_WRITTEN: dict[str, Path] = {}
"""Tracebacks that are in a file already, by their place."""


def report(error: GnomonError, as_json: bool) -> None:
    """An error gnomon raised on purpose."""
    if isinstance(error, InvariantViolated):
        report_bug(error, as_json)
    else:
        report_problems(error.problems, as_json)


def report_problems(problems: Sequence[Problem], as_json: bool) -> None:
    """`{"errors": […]}`, or for each problem: what, where with the line in question, and what to do."""
    if as_json:
        _say(json_for(sys.stderr, {"errors": [as_object(p) for p in problems]}, indent=2))
        return
    for line in lines_of(problems):
        _say(line)


def as_object(problem: Problem) -> dict[str, object]:
    """The JSON object of a problem: `file, line, column, key, code, message, hint`."""
    names = ("file", "line", "column", "key", "code", "message", "hint")
    return {name: getattr(problem, name) for name in names}


def lines_of(problems: Iterable[Problem]) -> list[str]:
    """The readable lines of problems."""
    lines: list[str] = []
    for problem in problems:
        place = problem.file or ""
        if problem.line is not None:
            place += f":{problem.line}" + (f":{problem.column}" if problem.column is not None else "")
        key = f"{problem.key}: " if problem.key else ""
        lines.append(plain(f"{place or 'error'}: {key}{problem.message} [{problem.code}]"))
        lines += _excerpt(problem)
        if problem.hint:
            lines.append(plain(f"  hint: {problem.hint}"))
    return lines


def _excerpt(problem: Problem) -> list[str]:
    """The source line and a caret below the column."""
    if problem.file is None or problem.line is None:
        return []
    try:
        with Path(problem.file).open("rb") as file:
            data = file.read(1 << 20)
    except OSError:
        return []
    lines = data.decode("utf-8", "replace").splitlines()
    if not 1 <= problem.line <= len(lines):
        return []
    text = lines[problem.line - 1].replace("\t", " ")
    column = max((problem.column or 1) - 1, 0)
    start = max(0, column - _WIDEST // 2) if len(text) > _WIDEST else 0
    shown = plain(text[start : start + _WIDEST])
    number = f"{problem.line:>5} | "
    if not shown.strip():
        return []
    return [f"{number}{shown}", f"{' ' * (len(number) - 2)}| {' ' * min(column - start, len(shown))}^"]


def report_usage(error: TyperException, as_json: bool) -> None:
    """A command line that cannot be read."""
    message = error.format_message()
    if not message:  # `gnomon jobs` alone: its help was printed
        return
    context = getattr(error, "ctx", None)
    hint = "" if context is None else f"`{context.command_path} --help` lists what there is"
    report_problems([Problem("command_line", message, hint=hint)], as_json)


def report_os_error(error: OSError, as_json: bool) -> None:
    """The system refused something that no room had a better word for."""
    what = f"{error.filename}: " if error.filename else ""
    said = error.strerror or str(error)
    hint = "check the file, its owner and mode, and the space on its disk"
    report_problems([Problem("system_error", f"{what}{said}", hint=hint)], as_json)
    if os.environ.get("GNOMON_DEBUG"):
        traceback.print_exception(error)


def report_bug(error: BaseException, as_json: bool) -> None:
    """Our fault: one line, and where the traceback is."""
    what = " ".join(str(error).split())[:300]
    message = f"this is a bug in gnomon: {type(error).__name__}: {what}"
    hint = "please report it"
    if os.environ.get("GNOMON_DEBUG"):
        traceback.print_exception(error)
    elif (path := write_traceback(error)) is not None:
        hint = f"please report it with {path} (GNOMON_DEBUG=1 prints it instead)"
    report_problems([Problem("bug", message, hint=hint)], as_json)


def write_traceback(error: BaseException) -> Path | None:
    """Into a new file of the temporary directory, readable by its owner only; None if that fails too.

    What fails again at the same place, as a step does that is tried every few seconds, is in the file already.
    """
    place = f"{type(error).__name__}{traceback.format_tb(error.__traceback__)}"
    known = _WRITTEN.get(place)
    if known is not None and known.exists():
        return known
    try:
        handle, name = tempfile.mkstemp(prefix="gnomon-bug-", suffix=".log")
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            traceback.print_exception(error, file=file)
    except OSError:
        return None
    if len(_WRITTEN) < _MOST_PLACES:
        _WRITTEN[place] = Path(name)
    return Path(name)


def _say(text: str) -> None:
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        return
